"""What waits in the outbox is replaced under its number, or waits on when it is asked about again,
on both dialects."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from common import topics
from common.bus import BusUnavailable
from common.database import Database, Unit
from common.outbox import Outbox, RecipientUnknown, SentRef
from hubformats.clock import SystemClock
from hubformats.keys import StaticKeys
from tests.contract.test_outbox_sending import Unruly, event, on_bus, opened, send
from tests.support.databases import database, database_url
from tests.support.members import embedded_bus, outbox_of, prepare, until

__all__ = ["database", "database_url"]

OTHER = "b"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Unruly]:
    """A bus that is down until its failures are taken away."""
    made = Unruly(tmp_path / "held.db", list(embedded_bus(tmp_path).specs.values()))
    made.failures = []
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def outbox(database: Database, bus: Unruly) -> AsyncIterator[Outbox]:
    """An outbox that does not relay yet."""
    await prepare(database)
    made = outbox_of(database, bus, SystemClock(), "svc:referral")
    made.relay.longest_pause = 0.05
    yield made
    await made.stop()


async def three(database: Database, outbox: Outbox) -> list[SentRef]:
    """Two messages of one stream, and one of another."""

    def work(unit: Unit) -> list[SentRef]:
        return [send(outbox, unit), send(outbox, unit), send(outbox, unit, OTHER)]

    return await database.write(work)


async def test_what_has_not_left_is_replaced_under_its_number(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    first, second, other = await three(database, outbox)
    bus.failures = [BusUnavailable("down")] * 1_000
    await outbox.start()
    await until(lambda: bus.asked > 1)
    assert await database.write(lambda unit: outbox.replace(unit, first.id, event()))
    bus.failures = []
    records = await on_bus(bus, 3)
    values = {record.value for record in records}
    assert first.value not in values
    assert {second.value, other.value} <= values
    came = [opened(record) for record in records]
    assert [place[:2] for place in came] == [("s", 1), ("s", 2), (OTHER, 1)], "no number is missing"
    assert first.id not in {place[2] for place in came}, "a repeat is known by its id"


async def test_what_left_is_not_replaced(database: Database, bus: Unruly, outbox: Outbox) -> None:
    await outbox.start()
    ref = await database.write(lambda unit: send(outbox, unit))
    await on_bus(bus, 1)
    # Marked or not: the bus has it.
    assert not await database.write(lambda unit: outbox.replace(unit, ref.id, event()))
    await until(lambda: outbox.relay.sent == 1)
    assert not await database.write(lambda unit: outbox.replace(unit, ref.id, event()))
    await on_bus(bus, 1)


async def test_without_a_key_nothing_is_replaced(database: Database, outbox: Outbox) -> None:
    ref = await database.write(lambda unit: send(outbox, unit))
    outbox._keys = StaticKeys()
    with pytest.raises(RecipientUnknown):
        await database.write(lambda unit: outbox.replace(unit, ref.id, event()))
    stored = await database.read(lambda connection: outbox.stored(connection, ref.id))
    assert stored is not None
    assert stored.value == ref.value


class Doubts:
    """Holds messages back, and remembers what it was asked."""

    def __init__(self) -> None:
        self.about: set[UUID] = set()
        self.asked: list[UUID] = []

    async def __call__(self, messages: Sequence[UUID]) -> Collection[UUID]:
        """Which of these must not leave yet."""
        self.asked += messages
        return self.about & set(messages)


async def test_what_waited_long_is_asked_about_and_waits_on_while_others_go(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    first, second, other = await three(database, outbox)
    doubts = Doubts()
    doubts.about = {first.id}
    outbox.relay.ask_again = timedelta(seconds=0.2), doubts
    await asyncio.sleep(0.3)
    await outbox.start()
    assert {record.value for record in await on_bus(bus, 2)} == {second.value, other.value}
    assert set(doubts.asked) == {first.id, second.id, other.id}
    fresh = await database.write(lambda unit: send(outbox, unit))
    await on_bus(bus, 3)
    assert fresh.id not in doubts.asked, "what has just been sealed has just been checked"
    doubts.about.clear()
    assert (await on_bus(bus, 4))[-1].value == first.value


async def test_what_is_held_is_replaced_and_its_place_goes_at_once(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    first, *_ = await three(database, outbox)
    doubts = Doubts()
    doubts.about = {first.id}
    outbox.relay.ask_again = timedelta(0), doubts
    await outbox.start()
    await on_bus(bus, 2)
    assert await database.write(lambda unit: outbox.replace(unit, first.id, event()))
    records = await on_bus(bus, 3)
    assert first.value not in {record.value for record in records}
    assert opened(records[-1])[:2] == ("s", 1)
    assert records[-1].topic == topics.CASE
