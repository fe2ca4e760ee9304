"""Keeps the audit trail of one service.

What happened is durable with what caused it, numbered without a gap, and on its way to the log.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final, cast
from uuid import UUID
from weakref import WeakSet

from opentelemetry import metrics
from sqlalchemy import delete, select

from common import topics
from common.audit_trail import pending, sealing
from common.audit_trail.producer import begin_epoch, lease
from common.audit_trail.receipts import (
    Receipt,
    Rejection,
    oldest_open,
    take_receipts,
    take_rejection,
)
from common.audit_trail.records import chunks, covered, item
from common.audit_trail.tables import PENDING, PRODUCER
from common.bus import Bus, Consumption
from common.database import (
    Database,
    DatabaseStopped,
    DatabaseUnavailable,
    GroupCommit,
    ProcessLock,
    Unit,
)
from common.events.audit import AuditBatch, AuditReceipts, AuditRejected
from common.faults import crash_point
from common.inbox import Inbox, Received, Refused
from common.keyring import Keyring
from common.outbox import Outbox
from hubformats.agency_events import Promise
from hubformats.audit_record import (
    Actor,
    AuditEntry,
    Origin,
    Part,
    RecordRef,
    Writer,
    Written,
    is_cover,
    token,
)

_log = logging.getLogger(__name__)

BACKLOG_LIMIT: Final = timedelta(minutes=15)
PROMISE_TERM: Final = timedelta(hours=1)
RESEND_AFTER: Final = timedelta(minutes=10)
AUDIT: Final = "svc:audit"
_REFRESH_S: Final = 5.0
_SWEEP_EVERY_S: Final = 300.0
_SETTLED_FOR: Final = timedelta(days=30)
_PROOFS_FOR: Final = timedelta(days=90)

_running: Final["WeakSet[AuditTrail]"] = WeakSet()


def _unanswered(_options: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
    for trail in _running:
        yield metrics.Observation(trail.unanswered_seconds(), {"service": trail.service})


metrics.get_meter("hub.audit_trail").create_observable_gauge(
    "hub_audit_unanswered_seconds",
    [_unanswered],
    "s",
    "Age of the oldest record the log has not answered; at 900 reads are refused",
)

Ship = Callable[[Unit, AuditBatch], UUID | None]
"""Hands a batch over inside the producer's transaction; answers the outbox message that carries it,
if one does.
"""


class AuditTrail:
    """Writes records, sends them to the log in signed batches and takes the receipts.

    `ship` replaces the outbox as the way to the log: the audit service appends its own records
    directly.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        inbox: Inbox,
        *,
        keyring: Keyring,
        origin: Origin,
        ship: Ship | None = None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._inbox = inbox
        self._clock = outbox.clock
        self._keyring = keyring
        self.service = origin.service
        self._ship: Ship = ship or self._by_outbox
        self._writer = Writer(origin, keyring, keyring.secret("audit-index"))
        self._src: str | None = None
        self._lock: ProcessLock | None = None
        self._oldest: datetime | None = None
        self._refresher: asyncio.Task[None] | None = None
        self._consumption: Consumption | None = None
        self._receipt_handlers: list[Callable[[Unit, Receipt], None]] = []
        self._rejection_handlers: list[Callable[[Unit, Rejection], None]] = []
        self._highest = 0
        self._multiple = 1
        database.before_commit(self._number)
        inbox.on(AuditReceipts, self._on_receipts)
        inbox.on(AuditRejected, self._on_rejected)

    @property
    def src(self) -> str:
        """This instance's opaque producer code. Raises RuntimeError before `start`."""
        if self._src is None:
            raise RuntimeError("the audit trail was not started")
        return self._src

    def record(self, unit: Unit, entry: AuditEntry) -> RecordRef:
        """Write down what happened; durable with the unit's commit, never without it.

        An entry about more than 64 people becomes several records; the first is answered.

        Raises RecordRefused for a code that is not one. The work fails with it: what cannot be
        logged must not be done.
        """
        written = list(self._writer.write(entry, self._clock.micros()))
        for each in written:
            unit.keep(self, each)
        return written[0].ref

    def cover(self, multiple: int) -> None:
        """Fill up what is written for several recipients at once to a multiple of so many records.

        Leaves are public and numbered: on a quiet hub their number would tell how many were told.
        """
        self._multiple = multiple

    def heartbeat(self, unit: Unit) -> RecordRef:
        """Record that the service is still here, with the highest number it wrote.

        Its absence is the alarm.
        """
        actor = Actor(subject=f"svc:{self.service}", agency="hub")
        return self.record(
            unit,
            AuditEntry(operation="heartbeat", outcome="done", actor=actor, count=self._highest),
        )

    def on_receipt(self, handler: Callable[[Unit, Receipt], None]) -> None:
        """Call `handler` with each new receipt, in the transaction that stores it."""
        self._receipt_handlers.append(handler)

    def on_rejected(self, handler: Callable[[Unit, Rejection], None]) -> None:
        """Call `handler` with each rejection, in the transaction that notes it."""
        self._rejection_handlers.append(handler)

    def ready(self) -> bool:
        """Tell whether no record waits over 15 minutes for an answer; else refuse reads (503)."""
        return self.unanswered_seconds() <= BACKLOG_LIMIT.total_seconds()

    def unanswered_seconds(self) -> float:
        """Return for how many seconds the oldest open record waits; 0 when there is none."""
        return (
            max((self._clock.now() - self._oldest).total_seconds(), 0.0)
            if self._oldest is not None
            else 0.0
        )

    async def promise(self, record_id: UUID) -> Promise:
        """Promise that a committed record is in the log in an hour. Raises LookupError."""
        return await self._database.read(
            partial(pending.promise, record_id=record_id, due=self._clock.now() + PROMISE_TERM)
        )

    def promise_again(self, unit: Unit, record_id: UUID, due: datetime) -> Promise:
        """Repeat a promise by the same time: for the same delivery in another envelope.

        Raises LookupError.
        """
        return pending.promise(unit.connection, record_id, due)

    async def unseal(self, record_id: UUID, part: Part, sealed: bytes) -> dict[str, object]:
        """Open a sealed part of a record of ours.

        The caller has recorded the act first.

        Raises PartDestroyed, PartRefused.
        """
        return await self._database.read(
            partial(
                sealing.open_part,
                keyring=self._keyring,
                record_id=record_id,
                part=part,
                sealed=sealed,
            )
        )

    def destroy_subject(self, unit: Unit, subject_id: UUID) -> int:
        """Destroy the keys of all subject parts about a person; how many.

        Proofs stand, and so do who acted and why.
        """
        named = token(self._writer.index_secret, "subject", subject_id.hex)
        return sealing.destroy_subject_parts(unit, self._clock, [named])

    async def start(self) -> None:
        """Lease a producer code and look how much is unanswered.

        The database runs and has the tables.
        """
        if self._src is None:
            self._src, self._lock = await lease(self._database, self._clock)
        last = select(PRODUCER.c.last_seq).where(PRODUCER.c.src == self._src)
        self._highest = await self._database.read(
            lambda connection: connection.execute(last).scalar_one()
        )
        await self.refresh()
        _running.add(self)
        self._refresher = asyncio.create_task(
            self._keep_fresh(), name=f"{self.service}-audit-trail"
        )

    async def stop(self) -> None:
        """Give the producer code back. Stop consuming and writing first."""
        _running.discard(self)
        task, self._refresher = self._refresher, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._lock is not None:
            await self._lock.release()
        self._lock = self._src = None

    async def consume(self, bus: Bus) -> Consumption:
        """Take receipts from the log. Raises what Bus.consume raises."""
        self._consumption = await self._inbox.consume(
            bus,
            group=f"{self.service}.audit-receipts",
            topics=[topics.AUDIT_RECEIPT],
            others=True,
            senders=lambda _: (AUDIT,),
        )
        return self._consumption

    def pause(self) -> None:
        """Take no receipts until `resume`."""
        if self._consumption is not None:
            self._consumption.pause()

    def resume(self) -> None:
        """Take receipts again."""
        if self._consumption is not None:
            self._consumption.resume()

    async def begin_epoch(self) -> int:
        """Number from 1 in a new epoch, after restoring an older database.

        Returns the epoch. The log shows the old epoch's end and the new one's begin.
        """
        return await self._database.write(partial(begin_epoch, self.src, self._clock))

    async def refresh(self) -> None:
        """Look how old the oldest unanswered record is; resend after ten minutes."""
        self._oldest = await self._database.read(oldest_open)
        if self._oldest is not None and self._clock.now() - self._oldest > RESEND_AFTER:
            await self._database.write(self._send_again)

    def receive(self, unit: Unit, receipts: AuditReceipts) -> None:
        """Take receipts that came another way than the bus (the audit service's own)."""
        for receipt in take_receipts(unit, self._outbox, self._clock, receipts):
            for handler in () if is_cover(receipt.record) else self._receipt_handlers:
                handler(unit, receipt)
        self._look(unit)

    def reject(self, unit: Unit, rejected: AuditRejected) -> None:
        """Take a rejection that came another way than the bus."""
        rejection = take_rejection(unit, self._outbox, rejected)
        if rejection is not None:
            for handler in self._rejection_handlers:
                handler(unit, rejection)
        self._look(unit)

    def _on_receipts(self, unit: Unit, got: Received, receipts: AuditReceipts) -> None:
        self._check_source(got)
        self.receive(unit, receipts)

    def _on_rejected(self, unit: Unit, got: Received, rejected: AuditRejected) -> None:
        self._check_source(got)
        self.reject(unit, rejected)

    def _check_source(self, got: Received) -> None:
        # Handlers stand on the inbox, whatever it consumes: nobody but the log may say that
        # something is in the log.
        if got.source != AUDIT:
            raise Refused("not-the-log")

    def _look(self, unit: Unit) -> None:
        oldest = oldest_open(unit.connection)

        def note() -> None:
            self._oldest = oldest

        unit.after_commit(note)

    def _number(self, group: GroupCommit) -> None:
        """Number the group's records and seal them in batches, before its commit.

        The producer row stays locked until the commit, so numbers have no gap and batches leave in
        their order.
        """
        made = cast(Sequence[Written], group.kept(self))
        written = covered(made, self._multiple, partial(self._writer.cover, self._clock.micros()))
        if not written:
            return
        row = pending.TAKE.run(
            group.connection, {"producer": self.src, "taken": len(written)}
        ).one()
        seq, now = row.last_seq - len(written) + 1, self._clock.now()
        for chunk in chunks(written):
            items = tuple(item(each, number) for number, each in enumerate(chunk, seq))
            batch = AuditBatch(
                service=self.service, src=self.src, epoch=row.epoch, first_seq=seq, items=items
            )
            batch_id = self._ship(group, batch)
            pending.store(group, chunk, batch, batch_id=batch_id, now=now)
            seq += len(chunk)
        crash_point("audit.numbered")

        def note() -> None:
            self._highest = row.last_seq
            self._oldest = self._oldest or now

        group.after_commit(note)

    def _by_outbox(self, unit: Unit, batch: AuditBatch) -> UUID:
        topic = topics.audit(self.service)
        return self._outbox.send(
            unit, topic=topic, key=batch.src, event=batch, to=[AUDIT], stream=batch.src
        ).id

    def _send_again(self, unit: Unit) -> None:
        late = self._outbox.unanswered(
            unit.connection,
            topic=topics.audit(self.service),
            sent_before=self._clock.now() - RESEND_AFTER,
        )
        if late:
            _log.warning("audit batches unanswered, sending them again", extra={"count": len(late)})
            self._outbox.resend(unit, late)

    async def _keep_fresh(self) -> None:
        swept = self._clock.monotonic() - _SWEEP_EVERY_S
        while True:
            await asyncio.sleep(_REFRESH_S)
            with suppress(DatabaseUnavailable, DatabaseStopped):  # what we knew last still counts
                await self.refresh()
                if self._clock.monotonic() - swept >= _SWEEP_EVERY_S:
                    swept = self._clock.monotonic()
                    await self._database.write(self.sweep)

    def sweep(self, unit: Unit) -> None:
        """Forget what has done its duty here, in outbox and inbox; a little at a time.

        30 days are longer than any topic keeps an event, and than any service key lives to open
        one. For 90 days a proof can be fetched here; the log gives it afterwards.
        """
        now = self._clock.now()
        self._outbox.forget(unit, before=now - _SETTLED_FOR)
        self._inbox.forget(unit, before=now - _SETTLED_FOR)
        self.forget_proofs(unit, before=now - _PROOFS_FOR)

    def forget_proofs(self, unit: Unit, *, before: datetime) -> None:
        """Delete records receipted before then."""
        old = select(PENDING.c.record_id).where(PENDING.c.receipted_at < before).limit(1_000)
        unit.connection.execute(delete(PENDING).where(PENDING.c.record_id.in_(old)))
