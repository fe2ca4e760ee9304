"""Quarantine: an envelope that cannot be applied leaves the road untouched, with a reason, and can
come back."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from opentelemetry import metrics
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    TextClause,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)

from common import topics
from common.bus import Incoming, Outgoing
from common.database import Prepared, Unit, among
from common.inbox.received import Item, envelope_digest
from common.inbox.tables import HOLDING, QUARANTINE
from common.outbox import Outbox
from common.outbox.tables import OUTBOX
from hubformats.clock import Clock
from hubformats.envelope import digest as digest_of

_log = logging.getLogger(__name__)

REASON_HEADER: Final = "hub-reason"
CONSUMER_HEADER: Final = "hub-consumer"

_counter = metrics.get_meter("hub.inbox").create_counter(
    "hub_inbox_quarantined", description="Envelopes put into quarantine, by reason"
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One envelope that was not replayed yet.

    `place` orders them as they were set aside; the last three only if authentic.
    """

    place: UUID
    consumer: str
    topic: str
    key: bytes
    digest: str
    reason: str
    at: datetime
    holds: bool
    source: str | None
    event_id: UUID | None


def put(unit: Unit, outbox: Outbox, clock: Clock, consumer: str, item: Item, reason: str) -> bool:
    """Send the untouched envelope to its topic's quarantine, once; true when it is new there.

    Authentic: `item.received` is set; the row then holds releases until it is replayed. One that
    was taken for a forgery and turns out authentic, because its key became known, holds from now
    on.
    """
    record, got = item.record, item.received
    digest = envelope_digest(record)
    known = unit.connection.execute(
        select(QUARANTINE.c.authentic).where(_is(consumer, digest))
    ).scalar_one_or_none()
    if known is not None and got is None:
        return False
    if known:
        unit.connection.execute(
            update(QUARANTINE).where(_is(consumer, digest)).values(reason=reason)
        )
        return False
    unit.connection.execute(delete(QUARANTINE).where(_is(consumer, digest)))
    headers = (
        *_without_ours(record.headers),
        (REASON_HEADER, reason.encode()),
        (CONSUMER_HEADER, consumer.encode()),
    )
    message = Outgoing(topics.quarantine(record.topic), record.key, record.value, headers)
    # A forger's bytes are not kept beyond the quarantine topic; an authentic envelope is kept until
    # it was replayed.
    outbox_id = outbox.forward(
        unit, message, stream=f"quarantine/{record.topic}", keep=got is not None
    )
    unit.connection.execute(
        insert(QUARANTINE),
        {
            "consumer": consumer,
            "digest": digest,
            "topic": record.topic,
            "key": record.key,
            "reason": reason,
            "authentic": got is not None,
            "source": got.source if got else None,
            "stream": got.stream if got else None,
            "event_id": got.id if got else None,
            "outbox_id": outbox_id,
            "at": clock.now(),
        },
    )
    unit.after_commit(lambda: _alarm(record, reason, consumer, authentic=got is not None))
    return True


def release(unit: Unit, outbox: Outbox, clock: Clock, consumer: str, digest: str) -> None:
    """Free an envelope that was replayed or let go of: it holds nothing any more."""
    freed = update(QUARANTINE).where(_is(consumer, digest), QUARANTINE.c.replayed_at.is_(None))
    outbox_id = unit.connection.execute(
        freed.values(replayed_at=clock.now()).returning(QUARANTINE.c.outbox_id)
    ).scalar_one_or_none()
    if outbox_id is not None:
        outbox.confirm(unit, [outbox_id])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which envelopes in quarantine are meant: all conditions given must hold."""

    topic: str | None = None
    reason: str | None = None
    digests: Sequence[str] = ()
    after: UUID | None = None
    authentic: bool | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions as SQL; what was replayed is never meant."""
        yield QUARANTINE.c.replayed_at.is_(None)
        if self.topic is not None:
            yield QUARANTINE.c.topic == self.topic
        if self.reason is not None:
            yield QUARANTINE.c.reason == self.reason
        if self.authentic is not None:
            yield QUARANTINE.c.authentic.is_(self.authentic)
        if self.digests:
            yield QUARANTINE.c.digest.in_(self.digests)
        if self.after is not None:
            yield QUARANTINE.c.outbox_id > self.after


_WAITING: Final = [
    QUARANTINE.c.outbox_id.label("place"),
    *(QUARANTINE.c[name] for name in ("consumer", "topic", "key", "digest", "reason", "at")),
    QUARANTINE.c.authentic.label("holds"),
    *(QUARANTINE.c[name] for name in ("source", "event_id")),
]


def waiting(connection: Connection, wanted: Wanted, limit: int) -> Sequence[Waiting]:
    """List what this service set aside and nobody replayed, oldest first."""
    query = select(*_WAITING).where(*wanted.conditions()).order_by(QUARANTINE.c.outbox_id)
    return [Waiting(*row) for row in connection.execute(query.limit(limit))]


def replace(unit: Unit, row: Waiting, value: bytes) -> None:
    """Keep an authentic envelope sealed to another key of ours; say aloud that it still waits."""
    kept = OUTBOX.c.id == row.place, OUTBOX.c.body.is_not(None)
    unit.connection.execute(update(OUTBOX).where(*kept).values(body=value))
    mine = update(QUARANTINE).where(_is(row.consumer, row.digest))
    unit.connection.execute(mine.values(digest=digest_of(value)))
    said = {"alarm": "quarantine-waits", "topic": row.topic, "consumer": row.consumer}
    unit.after_commit(lambda: _log.error("an envelope set aside weeks ago waits", extra=said))


def discard(
    unit: Unit, outbox: Outbox, clock: Clock, wanted: Wanted, limit: int
) -> Sequence[Waiting]:
    """Let go of what is wanted: it holds nothing any more and is in no list.

    Its row stays, so that the same bytes are known when they come again.
    """
    rows = waiting(unit.connection, wanted, limit)
    for row in rows:
        release(unit, outbox, clock, row.consumer, row.digest)
    return rows


def held(
    connection: Connection, *, key: bytes | None, stream: str | None, topics: Collection[str] = ()
) -> bool:
    """Tell whether an authentic envelope with that key or stream waits, for any consumer.

    With `topics`, only one that came by one of these. Whoever may write to another must not hold
    what travels here.
    """
    if key is None and stream is None:
        raise ValueError("name a key or a stream")
    given = {"b_key": key, "b_stream": stream, "b_topics": list(topics)}
    return bool(
        _holding(key is not None, stream is not None, bool(topics))
        .run(connection, given)
        .scalar_one()
    )


@lru_cache
def _holding(by_key: bool, by_stream: bool, by_topic: bool) -> Prepared:
    def wanted(dialect: str) -> Select[Any]:
        asked: list[ColumnElement[bool] | TextClause] = [HOLDING]
        if by_key:
            asked.append(QUARANTINE.c.key == bindparam("b_key"))
        if by_stream:
            asked.append(QUARANTINE.c.stream == bindparam("b_stream"))
        if by_topic:
            asked.append(among(QUARANTINE.c.topic, "b_topics", dialect))
        return select(exists().where(*asked))

    return Prepared(wanted)


def restored(row: Waiting, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> Incoming:
    """Rebuild the record as it first stood on its topic.

    Topic and key are our own note of it, whatever stands on the quarantine topic.
    """
    return Incoming(
        row.topic, row.key, value, _without_ours(headers), 0, 0, int(row.at.timestamp() * 1000)
    )


def _without_ours(headers: tuple[tuple[str, bytes], ...]) -> tuple[tuple[str, bytes], ...]:
    return tuple(pair for pair in headers if pair[0] not in {REASON_HEADER, CONSUMER_HEADER})


def _is(consumer: str, digest: str) -> ColumnElement[bool]:
    return (QUARANTINE.c.consumer == consumer) & (QUARANTINE.c.digest == digest)


def _alarm(record: Incoming, reason: str, consumer: str, *, authentic: bool) -> None:
    """Say aloud: a forgery concerns security, what we cannot apply stops a release."""
    _counter.add(1, {"reason": reason, "consumer": consumer, "authentic": authentic})
    level = logging.ERROR if authentic else logging.WARNING
    _log.log(
        level,
        "envelope quarantined",
        extra={
            "alarm": "envelope-quarantined",
            "topic": record.topic,
            "reason": reason,
            "consumer": consumer,
            "state": "authentic" if authentic else "refused",
        },
    )
