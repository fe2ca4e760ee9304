"""What a key signed from the moment of its compromise on is set aside, with a reason of its own; what
it signed before, and what arrived before, stays valid; a signed time alone proves nothing."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from common import topics
from common.bus import Incoming
from common.database import Database, ensure_schema
from common.inbox.received import Opener
from hubformats.clock import SystemClock
from hubformats.envelope import EnvelopeRefused, Message, open_envelope, seal
from hubformats.ids import uuid7
from hubformats.keys import RecipientKey, VerificationKey
from standalone.bus import EmbeddedBus
from tests.support.databases import database, database_url
from tests.support.inbox_consumer import Consumer, Directory, bus, envelope
from tests.support.members import KEYS, METADATA, OPENING, SIGNING

__all__ = ["bus", "database", "database_url"]

ME, SENDER = "svc:sharing", SIGNING["svc:referral"]
SINCE = datetime(2026, 11, 28, 21, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Compromised(Directory):
    """A directory that knows since when somebody else has the sender's key."""

    since = SINCE

    def verification(self, kid: str) -> VerificationKey | None:
        found = super().verification(kid)
        if found is None or found.kid != SENDER.kid:
            return found
        since = int(self.since.timestamp())
        return replace(found, status="revoked", compromised_since=since)

    def recipient(self, owner: str) -> RecipientKey | None:
        return KEYS.recipient(owner)


def sealed(signed_at: datetime) -> bytes:
    """A statement by the sender's key that gives this time as its own."""
    message = Message("hub.x", 1, {}, "case-1", 1, uuid7(), signed_at)
    return seal(message, sender=SENDER, recipients=[OPENING[ME].public()])


@pytest.mark.parametrize(
    ("signed", "arrived", "valid"),
    [
        (-1, None, True),
        (-1, -1, True),
        (0, None, False),
        (1, 1, False),
        (-1, 1, False),  # a thief writes any time; it came too late all the same
        (1, -1, False),
    ],
)
def test_both_times_lie_before_the_compromise_or_it_counts_for_nothing(
    signed: int, arrived: int | None, valid: bool
) -> None:
    value = sealed(SINCE + signed * MINUTE)
    came = None if arrived is None else SINCE + arrived * MINUTE

    def look() -> str:
        try:
            opening = {OPENING[ME].kid: OPENING[ME]}
            return open_envelope(
                value, me=ME, opening=opening, keys=Compromised(), arrived=came
            ).source
        except EnvelopeRefused as refused:
            return refused.code

    assert look() == (SENDER.owner if valid else "key-compromised")


async def test_the_time_of_arrival_is_the_buss_own() -> None:
    opening = {OPENING[ME].kid: OPENING[ME]}
    opener = Opener(me=ME, opening=lambda: opening, keys=Compromised(), clock=SystemClock())
    value = sealed(SINCE - MINUTE)
    for came, reason in ((SINCE - MINUTE, ""), (SINCE + MINUTE, "key-compromised")):
        record = Incoming(
            topics.CASE, b"k", value, (), 0, 0, timestamp_ms=int(came.timestamp() * 1000)
        )
        (item,) = await opener.open([record], others=False, senders=None)
        assert item.reason == reason


@pytest.fixture
async def consumer(database: Database, bus: EmbeddedBus) -> AsyncIterator[Consumer]:
    await ensure_schema(database, METADATA)
    made = Consumer(database, bus, Compromised())
    yield made
    await made.inbox.stop()
    await made.outbox.stop()


async def test_it_is_set_aside_and_told_and_holds_nothing(
    bus: EmbeddedBus,
    consumer: Consumer,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await bus.publish([envelope(1)])
    await consumer.start()
    await consumer.settle(quarantined=1)
    (listed,) = await database.read(
        lambda unit: consumer.inbox.waiting(unit, topic=None, reason=None, limit=9)
    )
    assert (listed.reason, listed.holds) == ("key-compromised", False)
    assert [
        (vars(line)["alarm"], vars(line)["reason"])
        for line in caplog.records
        if line.msg == "envelope quarantined"
    ] == [("envelope-quarantined", "key-compromised")]
    again = await consumer.inbox.replay_quarantine(bus)
    assert (again.applied, again.quarantined) == (0, 1)
    assert await consumer.applied() == []
