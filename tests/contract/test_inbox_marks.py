"""Marks of what was applied outlive the keys that could open it: an event that comes again a month
later runs once, whether or not its key still exists."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from common.bus import Outgoing
from common.database import Database, ensure_schema
from common.events.case import SubjectErased
from common.inbox import Inbox
from common.testing import ManualClock
from hubformats.keys import OpeningKey, generate_opening
from standalone.bus import EmbeddedBus
from tests.support.databases import database, database_url
from tests.support.inbox_consumer import Consumer, bus, directory, envelope
from tests.support.members import KEYS, METADATA, OPENING

__all__ = ["bus", "database", "database_url", "directory"]

SHARING = "svc:sharing"
OLD = OPENING[SHARING]


class Aging:
    """A consumer whose clock and opening keys a test sets."""

    def __init__(self, database: Database, bus: EmbeddedBus) -> None:
        self.clock = ManualClock()
        self.opening: dict[str, OpeningKey] = {OLD.kid: OLD}
        self.consumer = Consumer(database, bus, KEYS)
        self.database = database
        self.consumer.inbox = Inbox(
            database,
            self.consumer.outbox,
            clock=self.clock,
            me=SHARING,
            opening=lambda: self.opening,
            keys=KEYS,
        )
        self.consumer.inbox.on(SubjectErased, self.consumer.apply)

    async def forgotten(self) -> int:
        """How many marks the daily sweep takes away, with its thirty days."""
        before = self.clock.now() - timedelta(days=30)
        return await self.database.write(
            lambda unit: self.consumer.inbox.forget(unit, before=before)
        )


@pytest.fixture
async def aging(database: Database, bus: EmbeddedBus) -> AsyncIterator[Aging]:
    await ensure_schema(database, METADATA)
    made = Aging(database, bus)
    yield made
    await made.consumer.inbox.stop()
    await made.consumer.outbox.stop()


async def again(bus: EmbeddedBus, sent: Outgoing) -> None:
    """The very bytes, once more."""
    await bus.publish([Outgoing(sent.topic, sent.key, sent.value)])


async def test_a_replay_on_day_31_finds_the_mark_while_a_key_could_open_it(
    bus: EmbeddedBus, aging: Aging
) -> None:
    sent = envelope(1)
    await bus.publish([sent])
    await aging.consumer.start()
    await aging.consumer.settle(applied=1)
    aging.clock.advance(31 * 86_400)
    assert await aging.forgotten() == 0
    await again(bus, sent)
    await aging.consumer.settle(applied=1, repeats=1)
    assert await aging.consumer.applied() == [1]


async def test_a_replay_after_its_key_was_destroyed_is_not_opened(
    bus: EmbeddedBus, aging: Aging
) -> None:
    sent = envelope(1)
    await bus.publish([sent])
    await aging.consumer.start()
    await aging.consumer.settle(applied=1)
    begins = int((aging.clock.now() + timedelta(days=8)).timestamp())
    new = replace(generate_opening(SHARING), begins=begins)
    aging.opening = {new.kid: new}
    aging.clock.advance(39 * 86_400)
    assert await aging.forgotten() == 1, "nothing opens it any more, so nothing needs the mark"
    await again(bus, sent)
    await aging.consumer.settle(applied=1, quarantined=1)
    assert await aging.consumer.applied() == [1]
    (record,) = await aging.consumer.quarantine()
    assert dict(record.headers)["hub-reason"] == b"not-for-us"


async def test_a_mark_made_while_an_older_living_key_was_used_stays(aging: Aging) -> None:
    """The clocks of sender and recipient may differ by a day."""
    begins = int(aging.clock.now().timestamp())
    aging.opening = {OLD.kid: replace(OLD, begins=begins)}
    inbox = aging.consumer.inbox
    name = UUID(int=1)
    first = await aging.database.write(lambda unit: inbox.first(unit, "keys", SHARING, name))
    second = await aging.database.write(lambda unit: inbox.first(unit, "keys", SHARING, name))
    assert (first, second) == (True, False)
    aging.clock.advance(100 * 86_400)
    assert await aging.forgotten() == 0
    aging.opening = {OLD.kid: replace(OLD, begins=begins + 86_401)}
    assert await aging.forgotten() == 1
