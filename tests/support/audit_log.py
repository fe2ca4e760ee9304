"""A whole audit log on a temporary SQLite file and folder, with the receipts it would send kept for
the test to read."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select

from audit.intake.model import Intake, Sender
from audit.intake.use_cases import Delivery, append_batch
from audit.log.model.entries import LogState
from audit.log.repository.entries import read_state
from audit.log.repository.heads import SqlSequencerStore
from audit.log.use_cases import open_log
from audit.log.worker.checkpoint import HeadSigner
from audit.log.worker.sequencer import Sequencer
from audit.tables import ENTRY, METADATA
from audit.wiring import build_log, log_tx
from common.database import Database, Unit, ensure_schema
from common.events.audit import (
    AuditBatch,
    AuditReceipts,
    AuditRejected,
    Held,
    RecordItem,
)
from common.outbox import Outbox
from common.testing import ManualClock
from hubformats.audit_record import new_salt, reason_commitment
from hubformats.canonical import b64u, canonical
from hubformats.clock import Clock
from hubformats.ids import uuid7
from hubformats.tlog import Verifier, format_proof, verify_proof

ORIGIN = "log.example.org/northmoor"
SEED = bytes(range(32))
BOOTSTRAP_DIGEST = b"\x11" * 32
ENVELOPE_DIGEST = b64u(b"\x22" * 32)


def item(
    seq: int,
    *,
    service: str = "sharing",
    operation: str = "disclosure",
    salt: bytes | None = None,
    **fields: Any,
) -> RecordItem:
    """An acceptable record at `seq`."""
    tokens, held = fields.pop("tokens", {}), fields.pop("held", None)
    record = {
        "v": 1,
        "id": str(uuid7()),
        "te": ManualClock().micros(),
        "op": operation,
        "out": "permit",
        "svc": service,
        **fields,
    }
    return RecordItem(
        seq=seq,
        record=b64u(canonical(record)),
        salt=b64u(salt or new_salt()),
        tokens=tokens,
        held=held,
    )


def withheld(seq: int, why: str, **fields: Any) -> RecordItem:
    """A record of something withheld, with its reason beside it."""
    salt = new_salt()
    held = Held(why=why, salt=b64u(salt))
    said = {"v": 2, "out": "withhold", "whc": reason_commitment(salt, why), "held": held}
    return item(seq, **{**said, **fields})


def batch(
    items: Sequence[RecordItem],
    *,
    service: str = "sharing",
    src: str = "producer-one",
    epoch: int = 1,
) -> AuditBatch:
    """One batch as a producer sends it."""
    return AuditBatch(
        service=service,
        src=src,
        epoch=epoch,
        first_seq=items[0].seq if items else 1,
        items=tuple(items),
    )


def records(first: int, last: int, **fields: Any) -> AuditBatch:
    """A batch of acceptable records with sequence numbers first..last."""
    return batch([item(seq, **fields) for seq in range(first, last + 1)])


@dataclass
class KeptOutbox:
    """Keeps what would be sent.

    The unit's rollback is not mimicked: no test here rolls back after sending.
    """

    sent: list[tuple[str, AuditReceipts | AuditRejected]] = field(default_factory=list)

    def send(
        self,
        _unit: Unit,
        *,
        topic: str,
        key: str,
        event: AuditReceipts | AuditRejected,
        to: Sequence[str],
        keep: bool,
    ) -> None:
        """Keep the event with its one recipient."""
        assert topic == "hub.audit-receipt.v1"
        assert key == event.src
        assert len(to) == 1
        assert not keep
        self.sent.append((to[0], event))


class LogHarness:
    """Database, folder, sequencer and outbox of one log.

    `open` may be called again after `close`, as a restart would.
    """

    def __init__(self, folder: Path, clock: Clock | None = None, url: str = "") -> None:
        self.folder = folder
        self.url = url or f"sqlite:///{folder / 'audit.db'}"
        self.clock = clock or ManualClock()
        self.signer = HeadSigner(ORIGIN, SEED)
        self.outbox = KeptOutbox()
        self.alarms: list[str] = []

    @property
    def log(self) -> Verifier:
        """The public key."""
        return self.signer.verifier

    def new_sequencer(self) -> Sequencer:
        """Another sequencer over the same database and folder."""
        store = SqlSequencerStore(self.database, cast(Outbox, self.outbox))
        return build_log(store, self.folder / "log", self.signer, self.alarms.append).sequencer

    async def open(self, *, boot: bool = True) -> "LogHarness":
        """Start the database, make entry 0 if there is none, and boot a sequencer."""
        self.database = Database(self.url, clock=self.clock, name="audit")
        await self.database.start()
        await ensure_schema(self.database, METADATA)
        self.sequencer = self.new_sequencer()
        if boot:
            await self.sequencer.demand_one_history()
        await self.database.write(
            lambda unit: open_log(log_tx(unit), self.clock.micros(), BOOTSTRAP_DIGEST)
        )
        if boot:
            await self.sequencer.boot()
        return self

    async def close(self) -> None:
        """Stop, leaving everything on disk."""
        await self.sequencer.stop()
        await self.database.stop()

    async def append(
        self, sent: AuditBatch, *, service: str = "sharing", sequencer: Sequencer | None = None
    ) -> Intake:
        """Take a batch in, as the consumer does."""
        fence = (sequencer or self.sequencer).fence
        sender = Sender(service, ENVELOPE_DIGEST)

        def work(unit: Unit) -> Intake:
            delivery = Delivery(sender, sent, self.clock.micros(), lambda raw: raw)
            return append_batch(log_tx(unit), fence, delivery)

        return await self.database.write(work)

    async def cycle(self) -> None:
        """Sign, send receipts and publish."""
        await self.sequencer.round()
        await self.sequencer.publish()

    @property
    def checkpoint(self) -> str:
        """The published checkpoint, which there must be."""
        note = self.sequencer.checkpoint
        assert note is not None
        return note

    async def state(self) -> LogState:
        """The state row."""
        found = await self.database.read(read_state)
        assert found is not None
        return found

    async def leaf(self, index: int) -> bytes:
        """The exact bytes of one entry, from the database."""
        return await self.database.read(
            lambda connection: connection.execute(
                select(ENTRY.c.leaf).where(ENTRY.c.idx == index)
            ).scalar_one()
        )

    def reader(self) -> Callable[[str], bytes]:
        """Reads the published folder as a stranger would."""
        return lambda path: (self.folder / "log" / path).read_bytes()

    def receipts(self) -> list[AuditReceipts]:
        """Receipts sent so far."""
        return [event for _, event in self.outbox.sent if isinstance(event, AuditReceipts)]

    def rejections(self) -> list[AuditRejected]:
        """Rejections sent so far."""
        return [event for _, event in self.outbox.sent if isinstance(event, AuditRejected)]


def check_receipts(
    receipts: Sequence[AuditReceipts], log: Verifier
) -> dict[tuple[str, int, int], int]:
    """Verify every receipt as a producer would; the index by (src, epoch, seq)."""
    found: dict[tuple[str, int, int], int] = {}
    for event in receipts:
        for receipt in event.items:
            leaf = base64.urlsafe_b64decode(receipt.leaf + "=" * (-len(receipt.leaf) % 4))
            path = [base64.b64decode(node) for node in receipt.path]
            assert (
                verify_proof(format_proof(receipt.index, path, event.checkpoint), leaf, log).index
                == receipt.index
            )
            place = (event.src, event.epoch, receipt.seq)
            assert found.setdefault(place, receipt.index) == receipt.index
    return found
