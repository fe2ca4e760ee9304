"""An authentic envelope that waits in quarantine outlives the key it was sealed to; nothing of it
changes but who can open it."""

from collections.abc import AsyncIterator

import pytest

from common.database import Database, ensure_schema
from common.events.case import SubjectErased
from common.inbox import Inbox, Waiting
from common.testing import ManualClock
from hubformats.envelope import Message, open_envelope, reseal, seal, sealed_to
from hubformats.ids import uuid7
from hubformats.keys import OpeningKey, generate_opening
from standalone.bus import EmbeddedBus
from tests.support.databases import database, database_url
from tests.support.inbox_consumer import AT, Consumer, bus, directory, envelope, waiting
from tests.support.members import KEYS, METADATA, OPENING, SIGNING, STRANGER

__all__ = ["bus", "database", "database_url", "directory"]

SHARING = "svc:sharing"
OLD, NEW = OPENING[SHARING], generate_opening(SHARING)


class Renewing:
    """A consumer whose opening keys a test sets."""

    def __init__(self, database: Database, bus: EmbeddedBus) -> None:
        self.opening: dict[str, OpeningKey] = {OLD.kid: OLD, NEW.kid: NEW}
        self.database = database
        self.consumer = Consumer(database, bus, KEYS)
        self.consumer.inbox = Inbox(
            database,
            self.consumer.outbox,
            clock=ManualClock(),
            me=SHARING,
            opening=lambda: self.opening,
            keys=KEYS,
        )
        self.consumer.inbox.on(SubjectErased, self.consumer.apply)

    async def old_key_goes(self) -> list[Waiting]:
        """What is lost with the old key, which is then destroyed."""
        lost = await self.database.write(
            lambda unit: self.consumer.inbox.reseal(unit, OLD.kid, NEW.public())
        )
        del self.opening[OLD.kid]
        return list(lost)


@pytest.fixture
async def renewing(database: Database, bus: EmbeddedBus) -> AsyncIterator[Renewing]:
    await ensure_schema(database, METADATA)
    made = Renewing(database, bus)
    yield made
    await made.consumer.inbox.stop()
    await made.consumer.outbox.stop()


async def test_it_is_sealed_again_holds_on_and_is_applied_once(
    bus: EmbeddedBus, renewing: Renewing, caplog: pytest.LogCaptureFixture
) -> None:
    consumer, sent = renewing.consumer, envelope(1)
    consumer.trouble[1] = KeyError()
    await bus.publish([sent, envelope(2), envelope(3, sender=STRANGER)])
    await consumer.start()
    await consumer.settle(applied=1, quarantined=2)
    assert await renewing.old_key_goes() == []
    assert [alarm(line) for line in caplog.records].count("quarantine-waits") == 1
    assert await renewing.database.read(lambda c: consumer.inbox.held(c, key="case-1"))
    await bus.publish([sent])
    await consumer.settle(applied=1, quarantined=3)  # the very bytes open no more, and hold nothing
    held = [row for row in await waiting(consumer) if row.holds]
    assert [row.reason for row in held] == ["handler-failed"]
    consumer.trouble.clear()
    again = await consumer.inbox.replay_quarantine(bus, digests=[held[0].digest])
    assert (again.applied, again.absent) == (1, 0)
    assert await consumer.applied() == [2, 1]
    assert not await renewing.database.read(lambda c: consumer.inbox.held(c, key="case-1"))


async def test_what_nothing_needs_is_left_as_it_is(bus: EmbeddedBus, renewing: Renewing) -> None:
    await bus.publish([envelope(1), envelope(2, sender=STRANGER)])
    await renewing.consumer.start()
    await renewing.consumer.settle(applied=1, quarantined=1)
    before = await waiting(renewing.consumer)
    assert await renewing.old_key_goes() == []
    assert await waiting(renewing.consumer) == before


@pytest.mark.parametrize("others", [(), ("svc:audit", "svc:identity")])
def test_the_statement_and_what_stands_outside_stay(others: tuple[str, ...]) -> None:
    to = tuple(sorted((SHARING, *others)))
    said = SubjectErased(subject_id=uuid7(), case_ids=(), erased_at=AT)
    message = Message(SubjectErased.TYPE, 1, said.data(), "case-1", 1, uuid7(), AT)
    keys = {owner: generate_opening(owner) for owner in others} | {SHARING: OLD}
    recipients = [keys[owner].public() for owner in to]
    first = seal(message, sender=SIGNING["svc:referral"], recipients=recipients)
    again = reseal(first, me=SHARING, opening={OLD.kid: OLD}, key=NEW.public())
    assert sealed_to(again) == sealed_to(first) - {OLD.kid} | {NEW.kid}
    was = open_envelope(first, me=SHARING, opening={OLD.kid: OLD}, keys=KEYS)
    now = open_envelope(again, me=SHARING, opening={NEW.kid: NEW}, keys=KEYS)
    assert (now.jws, now.id, now.to) == (was.jws, was.id, was.to)
    for owner in others:
        theirs = {keys[owner].kid: keys[owner]}
        assert open_envelope(again, me=owner, opening=theirs, keys=KEYS).jws == was.jws


def alarm(line: object) -> object:
    """The alarm a log line raises."""
    return vars(line).get("alarm")
