"""Referral's audit trail as a producer, and a bus on which the log answers it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from common import topics
from common.audit_trail import (
    AuditTrail,
    Receipt,
    RecordRef,
    Rejection,
    audit_trail_tables,
)
from common.audit_trail.tables import PENDING
from common.bus import Outgoing
from common.database import Database, ensure_schema, new_metadata
from common.events.audit import AuditBatch
from common.inbox import inbox_tables
from common.keyring import FileKeyring
from common.outbox import outbox_tables
from common.testing import ManualClock
from hubformats.audit_record import Account, Actor, AuditEntry, Origin
from hubformats.clock import SystemClock
from hubformats.envelope import Message, open_envelope, seal
from hubformats.event import Event
from hubformats.ids import uuid7
from standalone.bus import EmbeddedBus
from tests.support.databases import database, database_url
from tests.support.members import (
    KEYS,
    OPENING,
    SIGNING,
    embedded_bus,
    inbox_of,
    opening_of,
    outbox_of,
)

__all__ = ["database", "database_url"]

METADATA = new_metadata()
outbox_tables(METADATA)
inbox_tables(METADATA)
audit_trail_tables(METADATA)

ALICE = UUID("01932000-0000-7000-8000-00000000000a")
ACTOR = Actor(
    subject="https://example.org|officer-7",
    agency="northmoor-police",
    role="officer",
    name="Officer Seven",
)


class Producer:
    """Referral's audit trail, wired as in production."""

    def __init__(
        self, database: Database, bus: EmbeddedBus, folder: Path, clock: SystemClock | ManualClock
    ) -> None:
        self.database, self.bus, self.clock = database, bus, clock
        self.outbox = outbox_of(database, bus, clock, "svc:referral")
        self.inbox = inbox_of(database, self.outbox, clock, "svc:referral")
        self.keyring = FileKeyring(folder / "keyring", passphrase=None, open_allowed=True)
        self.trail = AuditTrail(
            database, self.outbox, self.inbox, keyring=self.keyring, origin=Origin("referral")
        )
        self.receipts: list[Receipt] = []
        self.rejections: list[Rejection] = []
        self.trail.on_receipt(lambda unit, receipt: self.receipts.append(receipt))
        self.trail.on_rejected(lambda unit, rejection: self.rejections.append(rejection))

    async def start(self) -> None:
        await ensure_schema(self.database, METADATA)
        await self.trail.start()
        await self.outbox.start()
        await self.trail.consume(self.bus)

    async def stop(self) -> None:
        await self.inbox.stop()
        await self.outbox.stop()
        await self.trail.stop()

    async def record(self, entry: AuditEntry | None = None) -> RecordRef:
        return await self.database.write(
            lambda unit: self.trail.record(unit, entry or consultation())
        )

    async def batches(self, records: int) -> list[AuditBatch]:
        """The batches on the bus, once they hold that many records."""
        async with asyncio.timeout(20):
            while True:
                found = [
                    self._batch(record.value)
                    for record in await self.bus.read(topics.audit("referral"))
                ]
                if sum(len(batch.items) for batch in found) >= records:
                    return found
                await asyncio.sleep(0.02)

    def _batch(self, value: bytes) -> AuditBatch:
        opened = open_envelope(value, me="svc:audit", opening=opening_of("svc:audit"), keys=KEYS)
        assert opened.source == "svc:referral"
        batch = AuditBatch.model_validate(opened.data)
        assert opened.stream == batch.src
        return batch


async def say(
    bus: EmbeddedBus,
    event: Event,
    *,
    seq: int = 1,
    to: str = "svc:referral",
    source: str = "svc:audit",
) -> None:
    """Publish an event on the receipt topic as the audit service does."""
    value = seal(
        Message(
            type=event.TYPE,
            version=event.VERSION,
            data=event.data(),
            stream=f"receipts-{to}",
            seq=seq,
            id=uuid7(),
            issued_at=SystemClock().now(),
        ),
        sender=SIGNING[source],
        recipients=[OPENING[to].public()],
    )
    await bus.publish([Outgoing(topics.AUDIT_RECEIPT, b"receipts", value)])


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    made = embedded_bus(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def producer(database: Database, bus: EmbeddedBus, tmp_path: Path) -> AsyncIterator[Producer]:
    made = Producer(database, bus, tmp_path, SystemClock())
    await made.start()
    yield made
    await made.stop()


def consultation(*subjects: UUID) -> AuditEntry:
    return AuditEntry(
        operation="consultation",
        outcome="permit",
        actor=ACTOR,
        subjects=subjects or (ALICE,),
        case_id=uuid7(),
        case_references=("NM-7F3K-9QXA-2C4T",),
        resource_type="case",
        resource_id="case-17",
        purpose="safeguarding",
        account=Account(text="typed by a worker"),
        detail={"reason": "typed by a person"},
    )


async def pending(database: Database) -> list[tuple[int, int]]:
    wanted = select(PENDING.c.epoch, PENDING.c.seq).order_by(PENDING.c.epoch, PENDING.c.seq)
    return [(row.epoch, row.seq) for row in await database.read(lambda c: c.execute(wanted).all())]
