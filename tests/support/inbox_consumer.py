"""A consumer of case events with one handler, and a directory of keys that can be away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Table, insert, select

from common import topics
from common.bus import Incoming, Outgoing
from common.database import Database, Unit, ensure_schema
from common.events.case import SubjectErased
from common.inbox import Received, Waiting
from hubformats.clock import SystemClock
from hubformats.envelope import Message, seal
from hubformats.ids import uuid7
from hubformats.keys import (
    KeySource,
    RecipientKey,
    SigningKey,
    VerificationKey,
)
from standalone.bus import EmbeddedBus
from tests.support.databases import database, database_url
from tests.support.members import (
    KEYS,
    METADATA,
    OPENING,
    SIGNING,
    embedded_bus,
    inbox_of,
    outbox_of,
    until,
)

__all__ = ["database", "database_url"]

AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
APPLIED = Table("applied", METADATA, Column("n", Integer, primary_key=True), Column("seq", Integer))


class Consumer:
    """Sharing with one handler that stores what it was given."""

    def __init__(self, database: Database, bus: EmbeddedBus, keys: KeySource) -> None:
        self.database, self.bus = database, bus
        self.outbox = outbox_of(database, bus, SystemClock(), "svc:sharing")
        self.inbox = inbox_of(database, self.outbox, SystemClock(), "svc:sharing", keys=keys)
        self.seen: list[Received] = []
        self.trouble: dict[int, Exception] = {}
        self.inbox.on(SubjectErased, self.apply)

    def apply(self, unit: Unit, got: Received, event: SubjectErased) -> None:
        unit.connection.execute(insert(APPLIED), {"seq": got.seq})
        if got.seq in self.trouble:
            raise self.trouble[got.seq]
        unit.after_commit(lambda: self.seen.append(got))

    async def applied(self) -> list[int]:
        wanted = select(APPLIED.c.seq).order_by(APPLIED.c.n)
        return list(await self.database.read(lambda c: c.execute(wanted).scalars().all()))

    async def start(self, **options: Any) -> None:
        await self.outbox.start()
        await self.inbox.consume(self.bus, group="sharing.case", topics=[topics.CASE], **options)

    async def settle(self, applied: int = 0, quarantined: int = 0, repeats: int = 0) -> None:
        tally = self.inbox.tally
        await until(
            lambda: (
                (tally.applied, tally.quarantined, tally.repeats) == (applied, quarantined, repeats)
            )
        )

    async def quarantine(self) -> list[Incoming]:
        """Records of the quarantine topic, once the outbox is empty."""
        await asyncio.sleep(0.3)
        return await self.bus.read(topics.quarantine(topics.CASE))


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    made = embedded_bus(tmp_path)
    await made.start()
    yield made
    await made.stop()


class Directory:
    """Keys that can become known, and a directory that can be away."""

    def __init__(self) -> None:
        self.known = KEYS
        self.after_refresh = KEYS
        self.away = False
        self.asked = 0

    def verification(self, kid: str) -> VerificationKey | None:
        return self.known.verification(kid)

    def recipient(self, owner: str) -> RecipientKey | None:
        return self.known.recipient(owner)

    async def refresh(self) -> None:
        self.asked += 1
        if self.away:
            raise ConnectionError
        self.known = self.after_refresh


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
async def consumer(
    database: Database, bus: EmbeddedBus, directory: Directory
) -> AsyncIterator[Consumer]:
    await ensure_schema(database, METADATA)
    made = Consumer(database, bus, directory)
    yield made
    await made.inbox.stop()
    await made.outbox.stop()


def envelope(
    seq: int,
    *,
    type: str = SubjectErased.TYPE,  # noqa: A002
    sender: SigningKey = SIGNING["svc:referral"],
    to: str = "svc:sharing",
    **said: Any,
) -> Outgoing:
    """An envelope on the case topic; `said` replaces parts of the message."""
    message = Message(
        type=type,
        version=1,
        data=SubjectErased(subject_id=uuid7(), case_ids=(), erased_at=AT).data(),
        stream="case-1",
        seq=seq,
        id=uuid7(),
        issued_at=AT,
    )
    value = seal(replace(message, **said), sender=sender, recipients=[OPENING[to].public()])
    return Outgoing(topics.CASE, b"case-1", value)


async def waiting(consumer: Consumer) -> Sequence[Waiting]:
    """What stands in quarantine."""
    return await consumer.database.read(
        lambda c: consumer.inbox.waiting(c, topic=None, reason=None, limit=10)
    )
