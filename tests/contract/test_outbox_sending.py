"""What the outbox promises, on both dialects."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from common import topics
from common.bus import BusUnavailable, Incoming, NotAllowed, Outgoing
from common.database import Database, Unit
from common.events.case import SubjectErased
from common.outbox import Outbox, RecipientUnknown, SentRef, relay, waiting
from common.outbox.tables import OUTBOX
from common.testing import ManualClock
from hubformats.clock import SystemClock
from hubformats.envelope import open_envelope
from hubformats.ids import uuid7
from standalone.bus import EmbeddedBus
from tests.support.databases import database, database_url
from tests.support.members import KEYS, embedded_bus, opening_of, outbox_of, prepare, until
from tests.support.schemas import counting

__all__ = ["database", "database_url"]

AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


class Unruly(EmbeddedBus):
    """A bus that fails on order and remembers what was asked of it."""

    failures: list[Exception]
    closed: frozenset[str] = frozenset()
    asked: int = 0

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        if any(message.topic in self.closed for message in messages):
            raise NotAllowed("closed")
        await super().publish(messages)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Unruly]:
    made = Unruly(tmp_path / "unruly.db", list(embedded_bus(tmp_path).specs.values()))
    made.failures = []
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def outbox(database: Database, bus: Unruly) -> AsyncIterator[Outbox]:
    await prepare(database)
    made = outbox_of(database, bus, SystemClock(), "svc:referral")
    yield made
    await made.stop()


def event() -> SubjectErased:
    return SubjectErased(subject_id=uuid7(), case_ids=(), erased_at=AT)


def send(
    outbox: Outbox,
    unit: Unit,
    stream: str = "s",
    topic: str = topics.CASE,
    not_before: datetime | None = None,
) -> SentRef:
    return outbox.send(
        unit,
        topic=topic,
        key="k",
        event=event(),
        to=["svc:sharing"],
        stream=stream,
        not_before=not_before,
    )


async def column(database: Database, name: str) -> list[object]:
    wanted = select(OUTBOX.c[name]).order_by(OUTBOX.c.seq)
    return list(await database.read(lambda c: c.execute(wanted).scalars().all()))


async def on_bus(bus: EmbeddedBus, count: int, topic: str = topics.CASE) -> list[Incoming]:
    """The records of a topic once there are that many; a moment later still as many."""
    async with asyncio.timeout(20):
        # A topic has no event to wait for
        while len(await bus.read(topic)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)
    found = await bus.read(topic)
    assert len(found) == count
    return found


def opened(record: Incoming) -> tuple[str, int, UUID]:
    """Stream, number and id of a record that the recipient can open."""
    got = open_envelope(
        record.value, me="svc:sharing", opening=opening_of("svc:sharing"), keys=KEYS
    )
    assert record.headers[0] == ("ce_id", str(got.id).encode())
    return got.stream, got.seq, got.id


async def test_what_is_committed_arrives_sealed_in_order_and_as_stored(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    await outbox.start()
    refs = [await database.write(lambda u: send(outbox, u)) for _ in range(5)]
    records = await on_bus(bus, 5)
    assert [record.value for record in records] == [ref.value for ref in refs]
    assert [opened(record) for record in records] == [
        ("s", n, ref.id) for n, ref in enumerate(refs, 1)
    ]
    await until(lambda: outbox.relay.sent == 5)
    assert None not in await column(database, "sent_at")
    assert None not in await column(database, "body")


async def test_what_is_rolled_back_never_leaves_and_takes_no_number(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    def fails(unit: Unit) -> None:
        send(outbox, unit)
        raise LookupError

    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    with pytest.raises(LookupError):
        await database.write(fails)
    await asyncio.gather(*[database.write(lambda u: send(outbox, u)) for _ in range(20)])
    assert [opened(record)[1] for record in await on_bus(bus, 21)] == list(range(1, 22))


async def test_streams_are_numbered_apart_and_default_to_topic_and_key(
    database: Database, outbox: Outbox
) -> None:
    def both(unit: Unit) -> list[int]:
        other = outbox.send(unit, topic=topics.CASE, key="k", event=event(), to=["svc:sharing"])
        return [
            send(outbox, unit, "a").seq,
            send(outbox, unit, "b").seq,
            send(outbox, unit, "a").seq,
            other.seq,
        ]

    assert await database.write(both) == [1, 1, 2, 1]
    assert (await column(database, "stream"))[0] == "hub.case.v1/k"


async def test_an_unknown_recipient_writes_nothing(database: Database, outbox: Outbox) -> None:
    with pytest.raises(RecipientUnknown):
        await database.write(
            lambda u: outbox.send(u, topic=topics.CASE, key="k", event=event(), to=["svc:nobody"])
        )
    assert await column(database, "id") == []


async def test_a_bus_that_is_down_delays_but_loses_nothing(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    bus.failures = [BusUnavailable("down"), BusUnavailable("down"), RuntimeError("unforeseen")]
    outbox.relay.longest_pause = 0.05
    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await on_bus(bus, 1)
    assert bus.asked == 4


async def test_a_closed_topic_does_not_hold_up_the_others(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    bus.closed = frozenset({topics.CASE_BULK})
    await outbox.start()

    def both(unit: Unit) -> None:
        send(outbox, unit, "bulk", topics.CASE_BULK)
        send(outbox, unit)

    await database.write(both)
    await on_bus(bus, 1)
    await until(lambda: outbox.relay.sent == 1)
    bus.closed = frozenset()
    await outbox.stop()
    again = outbox_of(database, bus, SystemClock(), "svc:referral")
    await again.start()
    await on_bus(bus, 1, topics.CASE_BULK)
    await again.stop()


async def test_a_restart_resends_the_stored_bytes_of_what_was_not_marked(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    ref = await database.write(lambda u: send(outbox, u))
    stored = await database.read(lambda c: outbox.stored(c, ref.id))
    assert stored is not None
    await bus.publish([stored])  # as if the process had died between the bus's answer and the mark
    again = outbox_of(database, bus, SystemClock(), "svc:referral")
    await again.start()
    assert {record.value for record in await on_bus(bus, 2)} == {ref.value}
    await again.stop()


async def test_paused_it_stores_and_sends_only_after_resume(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await on_bus(bus, 1)
    outbox.pause()
    await database.write(lambda u: send(outbox, u))
    await on_bus(bus, 1)
    outbox.resume()
    await on_bus(bus, 2)


async def test_a_delayed_message_holds_its_own_stream_only(database: Database, bus: Unruly) -> None:
    clock = ManualClock(AT)
    await prepare(database)
    outbox = outbox_of(database, bus, clock, "svc:referral")
    await outbox.start()

    def three(unit: Unit) -> list[UUID]:
        slow = send(outbox, unit, "slow", not_before=AT + timedelta(milliseconds=200))
        return [slow.id, send(outbox, unit, "slow").id, send(outbox, unit, "quick").id]

    delayed, behind, quick = await database.write(three)
    assert [opened(record)[2] for record in await on_bus(bus, 1)] == [quick]
    clock.advance(1)
    assert [opened(record)[2] for record in await on_bus(bus, 3)] == [quick, delayed, behind]
    await outbox.stop()


async def test_a_body_is_kept_until_confirmed_and_then_forgotten(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    await outbox.start()
    ref = await database.write(lambda u: send(outbox, u))
    await on_bus(bus, 1)
    await until(lambda: outbox.relay.sent == 1)
    assert await column(database, "body") == [ref.value]
    await database.write(lambda u: outbox.confirm(u, [ref.id]))
    assert await column(database, "body") == [None]
    assert await database.write(lambda u: outbox.resend(u, [ref.id])) == 0
    assert await database.read(lambda c: outbox.stored(c, ref.id)) is None


async def test_what_nobody_confirms_is_forgotten_once_sent(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    await outbox.start()
    await database.write(
        lambda u: outbox.send(
            u, topic=topics.CASE, key="k", event=event(), to=["svc:sharing"], keep=False
        )
    )
    await on_bus(bus, 1)
    await until(lambda: outbox.relay.sent == 1)
    assert await column(database, "body") == [None]


async def test_confirmed_before_it_was_marked_it_is_not_sent_again(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    ref = await database.write(lambda u: send(outbox, u))
    await database.write(lambda u: outbox.confirm(u, [ref.id]))
    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await on_bus(bus, 1)


async def test_unanswered_messages_can_be_sent_again(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    await outbox.start()
    ref = await database.write(lambda u: send(outbox, u))
    await on_bus(bus, 1)
    await until(lambda: outbox.relay.sent == 1)
    later = datetime.now(UTC) + timedelta(seconds=1)
    late = await database.read(lambda c: outbox.unanswered(c, topic=topics.CASE, sent_before=later))
    assert list(late) == [ref.id]
    assert await database.write(lambda u: outbox.resend(u, late)) == 1
    assert {record.value for record in await on_bus(bus, 2)} == {ref.value}


async def test_only_one_of_two_processes_relays_and_the_other_takes_over(
    database: Database, database_url: str, bus: Unruly
) -> None:
    await prepare(database)
    other_database = Database(database_url, clock=SystemClock(), name="other")
    await other_database.start()
    first, second = (
        outbox_of(each, bus, SystemClock(), "svc:referral") for each in (database, other_database)
    )
    await first.start()
    await until(lambda: first.relay.holding)
    await second.start()
    await asyncio.gather(*[database.write(lambda u: send(first, u)) for _ in range(10)])
    if database.dialect == "postgresql":
        # SQLite is never shared between processes; its relay has no other's commits to poll for
        await asyncio.gather(*[other_database.write(lambda u: send(second, u)) for _ in range(10)])
    count = 20 if database.dialect == "postgresql" else 10
    assert [opened(record)[1] for record in await on_bus(bus, count)] == list(range(1, count + 1))
    assert not second.relay.holding
    await first.stop()
    await until(lambda: second.relay.holding)
    await other_database.write(lambda u: send(second, u))
    await on_bus(bus, count + 1)
    await second.stop()
    await other_database.stop()


async def test_the_body_of_a_message_costs_two_statements(
    database: Database, outbox: Outbox
) -> None:
    with counting(database) as count:
        await database.write(lambda u: send(outbox, u))
    assert count.statements == (
        2 if database.dialect == "sqlite" else 3
    )  # PostgreSQL also wakes the process that relays


async def test_another_process_wakes_the_relay_without_its_poll(
    database: Database, database_url: str, bus: Unruly, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.dialect == "sqlite":
        assert (
            database.listen("hub_outbox", lambda: None) is None
        )  # one process has the file to itself
        return
    monkeypatch.setattr("common.outbox.relay.SAFETY_POLL_S", 3_600.0)
    await prepare(database)
    other_database = Database(database_url, clock=SystemClock(), name="other")
    await other_database.start()
    first, second = (
        outbox_of(each, bus, SystemClock(), "svc:referral") for each in (database, other_database)
    )
    await first.start()
    await until(lambda: first.relay.holding)
    for count in range(1, 4):
        await other_database.write(lambda u: send(second, u))
        await on_bus(bus, count)
    await first.stop()
    await other_database.stop()


async def test_what_this_process_committed_is_sent_without_being_read_again(
    database: Database, bus: Unruly, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    look = waiting.due

    def counted(*args: Any) -> Any:
        looks.append(1)
        return look(*args)

    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await until(lambda: outbox.relay.sent == 1)
    monkeypatch.setattr(relay, "due", counted)
    # Safety looks (PostgreSQL) are one a second; ten messages in a row would be ten.
    for count in range(2, 12):
        await database.write(lambda u: send(outbox, u))
        await on_bus(bus, count)
    assert len(looks) <= 4


async def test_what_another_process_stored_ahead_in_a_stream_is_never_overtaken(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await until(lambda: outbox.relay.sent == 1)
    silent = outbox_of(database, bus, SystemClock(), "svc:referral")
    silent.relay.holding = True  # so it announces nothing: its word is lost
    await database.write(lambda u: send(silent, u))
    await database.write(lambda u: send(outbox, u))
    assert [opened(record)[1] for record in await on_bus(bus, 3)] == [1, 2, 3]


async def test_what_failed_on_its_way_is_not_overtaken_by_what_came_after_it(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    outbox.relay.longest_pause = 0.05
    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await until(lambda: outbox.relay.sent == 1)
    bus.failures = [BusUnavailable("down")] * 3
    await asyncio.gather(*[database.write(lambda u: send(outbox, u)) for _ in range(5)])
    await database.write(lambda u: send(outbox, u, "other"))
    streams = [opened(record)[:2] for record in await on_bus(bus, 7)]
    assert [number for stream, number in streams if stream == "s"] == [1, 2, 3, 4, 5, 6]
    assert ("other", 1) in streams


async def test_a_mark_without_company_is_made_soon(
    database: Database, bus: Unruly, outbox: Outbox
) -> None:
    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await on_bus(bus, 1)
    await until(lambda: outbox.relay.sent == 1)
    assert None not in await column(database, "sent_at")


async def test_however_busy_what_waits_in_the_table_is_looked_at_in_time(
    database: Database, bus: Unruly, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_REFUSED_TOPIC_S", 0.5)
    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await until(lambda: outbox.relay.sent == 1)
    bus.closed = frozenset({topics.SHARING})
    await database.write(lambda u: send(outbox, u, "refused", topics.SHARING))
    await database.write(
        lambda u: send(outbox, u, "delayed", not_before=datetime.now(UTC) + timedelta(seconds=0.3))
    )
    if database.dialect == "postgresql":  # SQLite has no other process
        silent = outbox_of(database, bus, SystemClock(), "svc:referral")
        silent.relay.holding = True  # so it announces nothing: its word is lost
        await database.write(lambda u: send(silent, u, "another"))
    bus.closed = frozenset()
    wanted = {"delayed", "refused"} | ({"another"} if database.dialect == "postgresql" else set())
    seen: set[str] = set()

    async def busy(stream: str) -> None:
        while not wanted <= seen:
            await database.write(lambda u: send(outbox, u, stream))

    # Several at a time, so that there is never a pause as long as a mark waits for company: the
    # relay does not come to rest.
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(busy(f"busy-{number}"))
        while not wanted <= seen:
            await asyncio.sleep(0.1)
            seen |= {
                opened(record)[0]
                for topic in (topics.CASE, topics.SHARING)
                for record in (await bus.read(topic))[:20]
            }
            seen |= {opened(record)[0] for record in (await bus.read(topics.CASE))[-200:]}


async def test_a_mark_rides_along_with_a_commit_that_comes_in_time(
    database: Database, bus: Unruly, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_MARK_WITHIN_S", 3_600.0)
    await outbox.start()
    await database.write(lambda u: send(outbox, u))
    await on_bus(bus, 1)
    before = database.groups
    await database.write(lambda u: u.connection.exec_driver_sql("SELECT 1"))
    await until(lambda: outbox.relay.sent == 1)
    assert database.groups == before + 1, "no commit of its own"
    assert None not in await column(database, "sent_at")
