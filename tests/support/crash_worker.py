"""A process that acknowledges on its output what is durable and dies where told.

After `after` acknowledgements the crash point is armed; `-` arms none and it ends when everything
has been sent and applied."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import Column, Table, insert

from common import faults, topics
from common.audit_trail import AuditTrail, audit_trail_tables
from common.database import Database, Unit, UuidType, ensure_schema, new_metadata
from common.events.case import SubjectErased
from common.inbox import Inbox, Received, inbox_tables
from common.keyring import FileKeyring
from common.outbox import Outbox, outbox_tables
from hubformats.audit_record import Actor, AuditEntry, Origin
from hubformats.clock import SystemClock
from hubformats.ids import uuid7
from tests.support.members import embedded_bus, inbox_of, outbox_of

METADATA = new_metadata()
outbox_tables(METADATA)
inbox_tables(METADATA)
audit_trail_tables(METADATA)
WORK = Table("work", METADATA, Column("id", UuidType, primary_key=True))
EFFECT = Table(
    "effect",
    METADATA,
    Column("n", UuidType, primary_key=True),
    Column("work", UuidType, nullable=False),
)

ACTOR = Actor(subject="svc:referral", agency="hub")


class Worker:
    """Referral and sharing in one process on one database: work is written, recorded, sent,
    received and has its effect.
    """

    def __init__(self, database: Database, outbox: Outbox, trail: AuditTrail, inbox: Inbox) -> None:
        self.database, self.outbox, self.trail, self.inbox = database, outbox, trail, inbox
        self.acknowledged = 0
        inbox.on(SubjectErased, self.effect)

    def effect(self, unit: Unit, got: Received, event: SubjectErased) -> None:
        """What the event causes; a second time would be a second row."""
        unit.connection.execute(insert(EFFECT), {"n": uuid7(), "work": event.subject_id})
        self.trail.record(unit, AuditEntry(operation="consultation", outcome="done", actor=ACTOR))

    async def work(self, crash_at: str, after: int) -> None:
        """One piece of work; its id is printed once it is durable."""
        work_id = uuid7()

        def write(unit: Unit) -> None:
            unit.connection.execute(insert(WORK), {"id": work_id})
            event = SubjectErased(subject_id=work_id, case_ids=(), erased_at=SystemClock().now())
            self.outbox.send(unit, topic=topics.CASE, key="case-1", event=event, to=["svc:sharing"])
            self.trail.record(
                unit,
                AuditEntry(
                    operation="collection", outcome="done", actor=ACTOR, subjects=(work_id,)
                ),
            )

        await self.database.write(write)
        sys.stdout.write(f"{work_id}\n")
        sys.stdout.flush()
        self.acknowledged += 1
        if self.acknowledged >= after and crash_at != "-":
            faults._ARMED = crash_at


async def run(url: str, folder: Path, crash_at: str, after: int, total: int) -> None:
    """Do `total` pieces of work, four at a time, then wait until nothing is under way."""
    clock = SystemClock()
    bus = embedded_bus(folder)
    await bus.start()
    database = Database(url, clock=clock, name="crash")
    await database.start()
    await ensure_schema(database, METADATA)
    outbox = outbox_of(database, bus, clock, "svc:referral")
    inbox = inbox_of(database, outbox, clock, "svc:sharing")
    keyring = FileKeyring(folder / "keyring", passphrase=None, open_allowed=True)
    trail = AuditTrail(database, outbox, inbox, keyring=keyring, origin=Origin("referral"))
    worker = Worker(database, outbox, trail, inbox)
    await trail.start()
    await outbox.start()
    consumption = await inbox.consume(bus, group="sharing.case", topics=[topics.CASE])
    turns = iter(range(total))

    async def loop() -> None:
        for _ in turns:
            await worker.work(crash_at, after)

    await asyncio.gather(*[loop() for _ in range(4)])
    quiet = 0
    while quiet < 5:
        before = outbox.relay.sent
        await asyncio.sleep(0.1)
        quiet = quiet + 1 if outbox.relay.sent == before and await consumption.lag() == 0 else 0
    await inbox.stop()
    await outbox.stop()
    await trail.stop()
    await database.stop()
    await bus.stop()
