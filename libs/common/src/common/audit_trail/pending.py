"""Records that the log has not answered yet: their numbers, rows and promises."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, update

from common.audit_trail.tables import PART_KEY, PART_SUBJECT, PENDING, PRODUCER
from common.database import GroupCommit, Prepared
from common.events.audit import AuditBatch
from hubformats.agency_events import Promise
from hubformats.audit_record import Written

TAKE: Final = Prepared(
    update(PRODUCER)
    .where(PRODUCER.c.src == bindparam("producer"))
    .values(last_seq=PRODUCER.c.last_seq + bindparam("taken"))
    .returning(PRODUCER.c.epoch, PRODUCER.c.last_seq)
)
_PENDING: Final = Prepared(
    insert(PENDING),
    *("record_id", "src", "epoch", "seq", "record", "salt", "hash", "created_at", "batch_id"),
)
_PART_KEY: Final = Prepared(
    insert(PART_KEY), "handle", "record_id", "part", "wrapped", "destroyed_at"
)
_PART_SUBJECT: Final = Prepared(insert(PART_SUBJECT), "token", "handle")


def store(
    group: GroupCommit,
    written: Sequence[Written],
    batch: AuditBatch,
    *,
    batch_id: UUID | None,
    now: datetime,
) -> None:
    """Keep a batch's records until the log has answered, and the keys of their sealed parts."""
    rows = [
        {
            "record_id": each.ref.id,
            "src": batch.src,
            "epoch": batch.epoch,
            "seq": seq,
            "record": each.ref.record,
            "salt": each.ref.salt,
            "hash": each.ref.hash,
            "created_at": now,
            "batch_id": batch_id,
        }
        for seq, each in enumerate(written, batch.first_seq)
    ]
    _PENDING.run_many(group.connection, rows)
    keys = [part.key for each in written for part in each.parts]
    _PART_KEY.run_many(group.connection, keys)
    named = [
        {"token": token, "handle": each.subject.handle}
        for each in written
        if each.subject is not None
        for token in dict.fromkeys(each.subject_tokens)
    ]
    _PART_SUBJECT.run_many(group.connection, named)


def promise(connection: Connection, record_id: UUID, due: datetime) -> Promise:
    """Promise that a record will be in the log by `due`. Raises LookupError."""
    columns = (PENDING.c.src, PENDING.c.epoch, PENDING.c.seq, PENDING.c.hash)
    row = connection.execute(
        select(*columns).where(PENDING.c.record_id == record_id, PENDING.c.rejected.is_(None))
    ).one_or_none()
    if row is None:
        raise LookupError("no such record, or it was rejected")
    return Promise(src=row.src, ep=row.epoch, seq=row.seq, h=row.hash, due=due)
