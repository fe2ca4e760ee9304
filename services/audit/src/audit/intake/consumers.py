"""Batches of audit records in, entries out.

What cannot be recorded now keeps its place on the bus; nothing is dropped.
"""

import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from opentelemetry import metrics

from audit.intake.model import AnyBatch, Intake, LogBusy, Sender
from audit.intake.use_cases import Delivery, Seal, append_batch
from audit.log.model.entries import SERVICE, LogHalted, LogStopped
from audit.log.ports import LogGate, LogTx
from common import topics
from common.bus import Bus, Consumption
from common.database import Unit
from common.events.audit import AuditBatch, AuditBatchV1
from common.inbox import Inbox, Received, Transient
from hubformats.canonical import b64u, canonical
from hubformats.clock import Clock

GROUP: Final = "audit.records"

_log = logging.getLogger("hub.audit")
_meter = metrics.get_meter("hub.audit")
_records = _meter.create_counter(
    "hub_audit_records", description="Audit records taken in, by what became of them"
)


class RecordConsumer:
    """Hands verified batches to the log, in the transaction that also marks them as seen."""

    def __init__(
        self, gate: LogGate, clock: Clock, seal: Seal, log: Callable[[Unit], LogTx]
    ) -> None:
        """`log` gives the log inside a unit of work; `seal` closes refused records."""
        self._gate = gate
        self._log = log
        self._clock = clock
        self._seal = seal

    def register(self, inbox: Inbox) -> None:
        """Stand on the inbox. Repeats come too: a repeated batch asks for its receipts again."""
        inbox.on(AuditBatch, self._take, repeats=True)
        inbox.on(AuditBatchV1, self._take, repeats=True)

    async def consume(self, inbox: Inbox, bus: Bus, services: Sequence[str]) -> Consumption:
        """Read each service's own audit topic.

        On it nobody else is heard, whatever the broker let through.
        """
        owners = {topics.audit(service): (f"svc:{service}",) for service in services}
        return await inbox.consume(
            bus, group=GROUP, topics=list(owners), senders=lambda topic: owners.get(topic, ())
        )

    def ship(self, unit: Unit, batch: AuditBatch) -> None:
        """Append this service's own records at once, in the transaction that caused them.

        Raises LogStopped.
        """
        digest = b64u(sha256(canonical(batch.data())).digest())
        try:
            self._append(unit, Sender(SERVICE, digest), batch)
        except (LogHalted, LogBusy):
            raise LogStopped("no record can be taken") from None

    def _take(self, unit: Unit, got: Received, batch: AnyBatch) -> None:
        try:
            self._append(unit, Sender(got.source.removeprefix("svc:"), got.digest), batch)
        except (LogHalted, LogBusy) as error:
            raise Transient("the log takes no records now") from error

    def _append(self, unit: Unit, sender: Sender, batch: AnyBatch) -> None:
        if self._gate.halted is not None:
            raise LogHalted(self._gate.halted)
        try:
            delivery = Delivery(sender, batch, self._clock.micros(), self._seal)
            intake = append_batch(self._log(unit), self._gate.fence, delivery)
        except LogHalted as halt:
            self._gate.halt(halt)
            raise
        unit.after_commit(_counted(intake, sender.service))
        unit.after_commit(self._gate.wake)


def _counted(intake: Intake, service: str) -> Callable[[], None]:
    def count() -> None:
        outcomes = {
            "added": intake.added,
            "repeated": intake.repeated,
            "rejected": len(intake.rejected),
            "missing": intake.missing,
        }
        for outcome, number in outcomes.items():
            if number:
                _records.add(number, {"service": service, "outcome": outcome})
        # Each of these pages somebody: a record that never came, one that could not be taken, a
        # clock that cannot be trusted.
        if intake.missing:
            _log.error(
                "a producer's numbers have a gap",
                extra={"source": f"svc:{service}", "count": intake.missing},
            )
        if intake.rejected:
            _log.error(
                "audit records rejected",
                extra={
                    "source": f"svc:{service}",
                    "reason": ",".join(sorted(set(intake.rejected))),
                },
            )
        if intake.clock_went_back:
            _log.error("the clock went back more than two seconds")

    return count
