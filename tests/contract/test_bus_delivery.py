"""What every bus owes about order, groups, repeats, rights and reading back; run on the embedded
bus and on Kafka."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Final

import pytest

from common.bus import (
    MAX_MESSAGE_BYTES,
    Bus,
    Consumption,
    Incoming,
    MessageTooLarge,
    NotAllowed,
    Outgoing,
    TopicUnknown,
)
from common.bus_kafka import KafkaBus
from common.bus_kafka_member import KafkaMember
from standalone.bus import EmbeddedBus, EmbeddedHandle
from standalone.bus.member import Member
from standalone.bus.records import partition_of
from tests.support.bus_harness import BusHarness, Recorder, message, number, until
from tests.support.port_suites import Held

PORTS: Final = (
    # The embedded bus stands in for Kafka wherever a test needs no broker.
    Held(Bus, (KafkaBus, EmbeddedBus), EmbeddedHandle),
    Held(Consumption, (KafkaMember,), Member),
)


async def test_records_of_one_key_arrive_in_the_order_of_publishing(harness: BusHarness) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    seen = Recorder()
    await worker.consume("order", [names.main], seen, max_batch=7)

    async def publish(key: str) -> None:
        for first in range(0, 60, 4):
            await writer.publish([message(names.main, key, n) for n in range(first, first + 4)])

    keys = [f"stream-{n}" for n in range(12)]
    await asyncio.gather(*(publish(key) for key in keys))
    await until(lambda: len(seen.records) >= 720)
    for key in keys:
        assert [number(record) for record in seen.records if record.key == key.encode()] == list(
            range(60)
        )
    assert max(len(batch) for batch in seen.batches) <= 7
    assert len({record.partition for record in seen.records}) > 1
    assert seen.overlaps == 0


async def test_concurrent_calls_for_one_key_are_stored_in_the_order_of_the_calls(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    await asyncio.gather(*(writer.publish([message(names.single, "one", n)]) for n in range(200)))
    assert [number(record) for record in await worker.read(names.single)] == list(range(200))


async def test_a_key_is_in_the_same_partition_on_every_bus(harness: BusHarness) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    keys = [bytes([n]) * (n % 41) for n in range(1, 120)]
    await writer.publish([Outgoing(names.main, key, b"v") for key in keys])
    found = {record.key: record.partition for record in await worker.read(names.main)}
    assert found == {key: partition_of(key, 6) for key in keys}


async def test_a_record_comes_back_as_it_was_sent(harness: BusHarness) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    sent = Outgoing(
        names.single,
        b"\x00key\xff",
        bytes(range(256)) * 1400,
        (("ce_id", b"\x00\xff"), ("ce_id", b""), ("traceparent", b"00-ab")),
    )
    await writer.publish([sent, Outgoing(names.single, b"k", b"plain")])
    seen = Recorder()
    await worker.consume("same", [names.single], seen)
    await until(lambda: len(seen.records) == 2)
    first, second = seen.records
    assert (first.key, first.value, first.headers) == (sent.key, sent.value, sent.headers)
    assert (second.headers, first.offset + 1, first.partition) == (
        (),
        second.offset,
        second.partition,
    )
    assert first.timestamp_ms > 1_700_000_000_000


async def test_each_group_sees_every_record_from_the_oldest(harness: BusHarness) -> None:
    names = harness.names
    writer = await harness.connect(names.writer)
    worker, other = await harness.connect(names.worker), await harness.connect(names.other)
    await writer.publish([message(names.main, f"k{n}", n) for n in range(50)])
    seen = [Recorder(), Recorder(), Recorder()]
    await worker.consume("first", [names.main], seen[0])
    await worker.consume("second", [names.main], seen[1])
    await other.consume("first", [names.main], seen[2])  # a group name is private to its principal
    await writer.publish([message(names.main, f"k{n}", n) for n in range(50, 100)])
    for each in seen:
        await until(lambda each=each: len(each.records) >= 100)  # type: ignore[misc]
        assert sorted(number(record) for record in each.records) == list(range(100))


async def test_members_of_a_group_share_its_partitions_and_take_over_from_one_that_leaves(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer = await harness.connect(names.writer)
    seen = [Recorder(), Recorder()]
    members = [
        await (await harness.connect(names.worker)).consume("shared", [names.main], each)
        for each in seen
    ]
    # The second join may still be rebalancing: what counts is the state it settles in.
    keys = [f"k{n}" for n in range(40)]
    for settling in range(40):
        before = [len(each.records) for each in seen]
        await writer.publish([message(names.main, key, settling) for key in keys])
        await until(
            lambda before=before: (  # type: ignore[misc]
                sum(len(each.records) for each in seen) >= sum(before) + len(keys)
            )
        )
        shares = [
            {record.partition for record in each.records[count:]}
            for each, count in zip(seen, before, strict=True)
        ]
        if all(shares):
            break
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == {partition_of(key.encode(), 6) for key in keys}
    await members[0].stop()
    left = len(seen[0].records)
    await writer.publish([message(names.main, key, 1000) for key in keys])
    await until(
        lambda: (
            {record.key.decode() for record in seen[1].records if number(record) == 1000}
            == set(keys)
        )
    )
    assert len(seen[0].records) == left
    assert seen[0].overlaps == seen[1].overlaps == 0
    for key in keys:
        both = [
            number(record) for each in seen for record in each.records if record.key == key.encode()
        ]
        assert set(both) == {*range(settling + 1), 1000}


async def test_a_failed_batch_comes_again_and_holds_back_only_its_own_partition(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    keys = [f"k{n}" for n in range(30)]
    bad = partition_of(b"k0", 6)
    attempts: list[float] = []

    def act(records: Sequence[Incoming]) -> None:
        if records[0].partition == bad and len(attempts) < 4:
            attempts.append(asyncio.get_running_loop().time())
            raise RuntimeError("the database is away")

    seen = Recorder(act)
    await writer.publish([message(names.main, key, n) for n in range(3) for key in keys])
    await worker.consume("again", [names.main], seen, max_batch=2)
    good = [key for key in keys if partition_of(key.encode(), 6) != bad]
    await until(lambda: sum(record.partition != bad for record in seen.records) == 3 * len(good))
    assert len(attempts) < 4  # the others did not wait for it
    await until(lambda: len(seen.records) >= 90)
    assert len(attempts) == 4
    gaps = [later - sooner for sooner, later in pairwise(attempts)]
    assert gaps[0] >= 0.1
    assert gaps[1] >= 0.2
    assert gaps[2] >= 0.4
    held = [record.offset for record in seen.records if record.partition == bad]
    assert held == sorted(set(held))  # in order, nothing skipped, nothing handled twice


async def test_what_was_handled_is_not_delivered_again_after_a_clean_stop(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    await writer.publish([message(names.main, f"k{n}", n) for n in range(40)])
    first = Recorder()
    member = await worker.consume("stop", [names.main], first)
    await until(lambda: len(first.records) == 40)
    await member.stop()
    await writer.publish([message(names.main, f"k{n}", n) for n in range(40, 60)])
    await asyncio.sleep(0.3)
    assert len(first.records) == 40
    await harness.release()
    second = Recorder()
    await (await harness.connect(names.worker)).consume("stop", [names.main], second)
    await until(lambda: len(second.records) >= 20)
    assert sorted(number(record) for record in second.records) == list(range(40, 60))


async def test_a_stopped_bus_starts_again(harness: BusHarness) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    await writer.stop()
    await writer.stop()
    await writer.start()
    await writer.publish([message(names.single, "k", 7)])
    assert [number(record) for record in await worker.read(names.single)] == [7]


async def test_nothing_is_handed_out_between_pause_and_resume(harness: BusHarness) -> None:
    names, seen = harness.names, Recorder()
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    member = await worker.consume("pausing", [names.single], seen)
    member.pause()
    await writer.publish([message(names.single, "k", 1)])
    await asyncio.sleep(0.3)
    assert seen.records == []
    member.resume()
    await until(lambda: [number(record) for record in seen.records] == [1])


async def test_stop_waits_for_the_running_handler_and_commits_what_it_did(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    await writer.publish([message(names.single, "k", n) for n in range(10)])
    slow = Recorder(seconds=0.5)
    member = await worker.consume("wait", [names.single], slow, max_batch=4)
    await until(lambda: slow.running == 1)
    await member.stop()
    assert (slow.running, [number(record) for record in slow.records]) == (0, [0, 1, 2, 3])
    rest = Recorder()
    await worker.consume("wait", [names.single], rest)
    await until(lambda: len(rest.records) >= 6)
    assert [number(record) for record in rest.records] == [4, 5, 6, 7, 8, 9]


async def test_unknown_topics_and_missing_rights_are_refused_by_name(harness: BusHarness) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    seen = Recorder()
    with pytest.raises(NotAllowed):
        await worker.publish([message(names.main, "k", 1)])  # may read it, not write it
    with pytest.raises(NotAllowed):
        await worker.publish([message(names.closed, "k", 1)])
    with pytest.raises(NotAllowed):
        await writer.consume("g", [names.main], seen)  # may write it, not read it
    with pytest.raises(NotAllowed):
        await worker.consume("g", [names.single, names.closed], seen)
    with pytest.raises(NotAllowed):
        await worker.consume("g", [names.single], seen, low_priority=[names.closed])
    with pytest.raises(NotAllowed):
        await writer.read(names.main)
    with pytest.raises(NotAllowed):
        await worker.read(names.closed)
    for refused in (
        worker.publish([message("no.such.topic", "k", 1)]),
        worker.read("no.such.topic"),
    ):
        with pytest.raises((TopicUnknown, NotAllowed)):
            # Which of the two would tell an outsider what exists
            await refused
    # After every refusal the same connections still work.
    await worker.publish([message(names.single, "k", 7)])
    assert [number(record) for record in await worker.read(names.single)] == [7]
    assert await worker.healthy()
    assert await writer.healthy()


async def test_a_long_topic_is_read_in_pieces_that_together_are_the_whole(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    await writer.publish([message(names.main, f"k{n % 5}", n) for n in range(50)])
    whole, pieces = (
        await worker.read(names.main),
        [piece async for piece in worker.pieces(names.main, at_most=7)],
    )
    assert [(r.partition, r.offset) for piece in pieces for r in piece] == [
        (r.partition, r.offset) for r in whole
    ]
    assert (len(whole), max(map(len, pieces))) == (50, 7)
    assert await worker.read(names.main, limit=9) == whole[:9]
    async with aclosing(worker.pieces(names.main, at_most=7)) as some:
        assert len(await anext(some)) <= 7
    with pytest.raises(NotAllowed):
        async for _ in writer.pieces(names.main):
            pass


async def test_a_topic_is_known_as_used_by_those_who_may_write_or_read_it(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    assert not await writer.used(names.main)
    assert not await worker.used(names.main)
    await writer.publish([message(names.main, "k", 1), message(names.closed, "k", 2)])
    assert await writer.used(names.main)
    assert await worker.used(names.main)
    assert await writer.used(names.closed)
    assert not await writer.used(names.bulk)
    with pytest.raises(NotAllowed):
        await worker.used(names.closed)
    with pytest.raises((TopicUnknown, NotAllowed)):
        await worker.used("no.such.topic")


async def test_a_message_too_large_is_refused_and_nothing_of_its_call_is_stored(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    with pytest.raises(MessageTooLarge):
        await writer.publish(
            [message(names.single, "k", 1), message(names.single, "k", 2, size=MAX_MESSAGE_BYTES)]
        )
    largest = message(names.single, "k", 3, size=MAX_MESSAGE_BYTES - 10)
    await writer.publish([largest])
    assert [record.value for record in await worker.read(names.single)] == [largest.value]


async def test_read_gives_everything_stored_from_the_oldest_outside_any_group(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    assert await worker.read(names.main) == []
    await writer.publish([message(names.main, f"k{n}", n) for n in range(80)])
    seen = Recorder()
    member = await worker.consume("reader", [names.main], seen)
    await until(lambda: len(seen.records) == 80)
    once, again = await worker.read(names.main), await worker.read(names.main)
    assert once == again
    assert sorted(number(record) for record in once) == list(range(80))
    places = [(record.partition, record.offset) for record in once]
    assert places == sorted(places)
    assert await worker.read(names.main, limit=11) == once[:11]
    await asyncio.sleep(0.2)
    assert len(seen.records) == 80
    assert await member.lag() == 0
