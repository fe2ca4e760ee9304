"""What the sequencer reads back and writes after a commit."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from audit.log.model.entries import SERVICE, Head, Logged, LogHalted, LogState, Reply, Waiting
from audit.log.repository.entries import read_state
from audit.tables import ENTRY, HEAD, LOG_STATE, WANTED
from common import topics
from common.database import Database, Prepared, Unit
from common.events.audit import AuditReceipts, AuditRejected
from common.faults import crash_point
from common.outbox import Outbox

_LOGGED: Final = (
    ENTRY.c.idx,
    ENTRY.c.leaf,
    ENTRY.c.service,
    ENTRY.c.record_id,
    ENTRY.c.rejected,
    ENTRY.c.src,
    ENTRY.c.ep,
    ENTRY.c.seq,
    ENTRY.c.claimed,
)
# Made once: a round reads and writes these for every batch.
_UNSIGNED: Final = Prepared(
    select(*_LOGGED)
    .where(ENTRY.c.idx >= bindparam("b_first"), ENTRY.c.idx < bindparam("b_end"))
    .order_by(ENTRY.c.idx)
)
# In the order of what is wanted: in that of the entries SQLite would go through all of them.
_ASKED_AGAIN: Final = Prepared(
    select(*_LOGGED).join(WANTED, WANTED.c.idx == ENTRY.c.idx).order_by(WANTED.c.idx)
)
_RECEIPTED: Final = Prepared(
    update(LOG_STATE).where(
        LOG_STATE.c.fence == bindparam("b_fence"),
        LOG_STATE.c.receipted == bindparam("b_before"),
        LOG_STATE.c.size >= bindparam("b_size"),
    ),
    "receipted",
)
_HEAD_ROOT: Final = Prepared(select(HEAD.c.root).where(HEAD.c.size == bindparam("b_size")))
_NEW_HEAD: Final = Prepared(insert(HEAD), *HEAD.c.keys())


class SqlSequencerStore:
    """Fulfils `SequencerStore`."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        own: Callable[[Unit, AuditReceipts | AuditRejected], None] | None = None,
    ) -> None:
        """Take the database and the outbox.

        `own` takes the replies to this service's own records; without it they use the outbox too.
        """
        self._database = database
        self._outbox = outbox
        self._own = own

    async def take_over(self) -> LogState | None:
        """Raise the fence by one; from now on no other sequencer's transaction can succeed."""

        def work(unit: Unit) -> LogState | None:
            unit.connection.execute(update(LOG_STATE).values(fence=LOG_STATE.c.fence + 1))
            return read_state(unit.connection)

        return await self._database.write(work)

    async def waiting(self) -> Waiting:
        """Read entries committed and not yet receipted.

        The connection had no part in writing them.
        """
        return await self._database.read(_waiting)

    async def leaves(self, first: int, last: int) -> list[bytes]:
        """Read the exact leaf bytes of entries first ≤ index < last."""

        def work(connection: Connection) -> list[bytes]:
            return list(
                connection.execute(
                    select(ENTRY.c.leaf)
                    .where(ENTRY.c.idx >= first, ENTRY.c.idx < last)
                    .order_by(ENTRY.c.idx)
                ).scalars()
            )

        return await self._database.read(work)

    async def signed(
        self, head: Head, before: LogState, replies: Sequence[Reply], answered: Sequence[int]
    ) -> None:
        """Keep the head and put its receipts into the outbox, together."""

        def work(unit: Unit) -> None:
            unchanged = {"b_fence": before.fence, "b_before": before.receipted, "b_size": head.size}
            if _RECEIPTED.run(unit.connection, {**unchanged, "receipted": head.size}).rowcount != 1:
                raise LogHalted("fence-lost")
            _keep_head(unit.connection, head)
            for reply in replies:
                self._reply(unit, reply)
            for index in answered:
                unit.connection.execute(delete(WANTED).where(WANTED.c.idx == index))
            crash_point("audit.receipts-not-committed")

        await self._database.write(work)

    async def published(self, size: int, fence: int) -> None:
        """Advance the published size; never back."""

        def work(unit: Unit) -> None:
            ahead = (
                (LOG_STATE.c.fence == fence)
                & (LOG_STATE.c.published <= size)
                & (LOG_STATE.c.receipted >= size)
            )
            if (
                unit.connection.execute(
                    update(LOG_STATE).where(ahead).values(published=size)
                ).rowcount
                != 1
            ):
                raise LogHalted("fence-lost")

        await self._database.write(work)

    async def head(self, size: int) -> Head | None:
        """Read the head signed at exactly this size."""

        def work(connection: Connection) -> Head | None:
            row = connection.execute(
                select(HEAD.c.size, HEAD.c.root, HEAD.c.note).where(HEAD.c.size == size)
            ).one_or_none()
            return None if row is None else Head(*row)

        return await self._database.read(work)

    def _reply(self, unit: Unit, reply: Reply) -> None:
        if self._own is not None and reply.service == SERVICE:
            self._own(unit, reply.event)
            return
        # A receipt lost on the way is made anew when its producer sends the batch again, so its
        # body need not be kept.
        to = [f"svc:{reply.service}"]
        self._outbox.send(
            unit,
            topic=topics.AUDIT_RECEIPT,
            key=reply.event.src,
            event=reply.event,
            to=to,
            keep=False,
        )


def _keep_head(connection: Connection, head: Head) -> None:
    """Store a head; one of the same size may only be the same."""
    kept = _HEAD_ROOT.run(connection, {"b_size": head.size}).scalar_one_or_none()
    if kept is None:
        _NEW_HEAD.run(connection, {"size": head.size, "root": head.root, "note": head.note})
    elif bytes(kept) != head.root:
        raise LogHalted("head-would-fork")


def _waiting(connection: Connection) -> Waiting:
    state = read_state(connection)
    if state is None:
        raise LogHalted("no-genesis")
    entries = _UNSIGNED.run(connection, {"b_first": state.receipted, "b_end": state.size})
    return Waiting(
        state, tuple(map(_logged, entries)), tuple(map(_logged, _ASKED_AGAIN.run(connection)))
    )


def _logged(row: Sequence[Any]) -> Logged:
    index, leaf, service, record_id, rejected, src, epoch, seq, claimed = row
    if claimed:
        src, epoch, seq = json.loads(claimed)
    return Logged(
        index, leaf, service, record_id, rejected or None, (str(src), int(epoch), int(seq))
    )
