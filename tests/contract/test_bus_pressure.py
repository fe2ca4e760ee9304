"""What every bus owes under load: bounded memory, the low-priority lane, pause and resume; and
after a kill -9."""

import asyncio
import gc
import tracemalloc
from collections.abc import Sequence

import pytest

from common.bus import MAX_BATCH_BYTES, Incoming
from tests.support.bus_harness import BusHarness, Child, Recorder, message, number, until


async def test_a_slow_handler_does_not_grow_memory(harness: BusHarness) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    open_door = asyncio.Event()
    sizes: list[int] = []

    async def slow(records: Sequence[Incoming]) -> None:
        sizes.append(sum(len(record.value) for record in records))
        await open_door.wait()

    tracemalloc.start()
    try:
        await worker.consume("slow", [names.single], slow)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for first in range(0, 100, 5):
            await writer.publish(
                [message(names.single, "k", n, size=300_000) for n in range(first, first + 5)]
            )
        await until(lambda: bool(sizes))
        await asyncio.sleep(1.0)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < 12_000_000  # of 30 MB that wait
    open_door.set()
    await until(lambda: sum(sizes) == 30_000_000)
    assert max(sizes) <= MAX_BATCH_BYTES


@pytest.mark.parametrize("batch", [5, 64])
async def test_low_priority_topics_wait_until_the_others_have_no_backlog(
    harness: BusHarness, batch: int
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    await writer.publish([message(names.bulk, "import", n) for n in range(60)])
    await writer.publish([message(names.main, f"k{n}", n) for n in range(60)])
    seen = Recorder(seconds=0.01)
    await worker.consume("lanes", [names.main], seen, low_priority=[names.bulk], max_batch=batch)
    await until(lambda: len(seen.records) == 120)
    assert [record.topic for record in seen.records] == [names.main] * 60 + [names.bulk] * 60


async def test_a_normal_record_overtakes_a_low_priority_backlog(harness: BusHarness) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    await writer.publish([message(names.bulk, "import", n) for n in range(200)])
    seen = Recorder(seconds=0.03)
    await worker.consume("overtake", [names.main], seen, low_priority=[names.bulk], max_batch=2)
    await until(lambda: len(seen.batches) >= 5)
    await writer.publish([message(names.main, "urgent", 1)])
    behind = len(seen.batches)
    await until(lambda: len(seen.records) == 201)
    urgent = next(place for place, batch in enumerate(seen.batches) if batch[0].topic == names.main)
    assert urgent - behind <= 20  # of the 95 batches that waited


async def test_a_partition_in_back_off_does_not_hold_the_low_priority_lane(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)

    def act(records: Sequence[Incoming]) -> None:
        if records[0].topic == names.main:
            raise RuntimeError("never works")

    seen = Recorder(act)
    await writer.publish([message(names.main, "poison", 1), message(names.bulk, "import", 2)])
    await worker.consume("poisoned", [names.main], seen, low_priority=[names.bulk])
    await until(lambda: [number(record) for record in seen.records] == [2])


async def test_pause_hands_out_nothing_more_and_resume_goes_on(harness: BusHarness) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    seen = Recorder(seconds=0.05)
    member = await worker.consume("pause", [names.single], seen, max_batch=1)
    await writer.publish([message(names.single, "k", n) for n in range(20)])
    await until(lambda: len(seen.batches) >= 2)
    member.pause()
    await until(lambda: seen.running == 0)
    handled = len(seen.records)
    await writer.publish([message(names.single, "k", n) for n in range(20, 25)])
    await asyncio.sleep(0.5)
    assert len(seen.records) == handled
    assert await member.lag() == 25 - handled
    member.resume()
    await until(lambda: len(seen.records) == 25)
    assert [number(record) for record in seen.records] == list(range(25))
    assert await member.lag() == 0


async def test_a_batch_that_failed_while_pausing_comes_only_after_resume(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    calls: list[int] = []

    def act(records: Sequence[Incoming]) -> None:
        calls.append(len(records))
        member.pause()
        if len(calls) == 1:
            raise RuntimeError("not now")

    seen = Recorder(act, seconds=0.05)
    await writer.publish([message(names.single, "k", 1)])
    member = await worker.consume("pause", [names.single], seen)
    await until(lambda: len(calls) == 1)
    await asyncio.sleep(0.5)
    assert calls == [1]
    member.resume()
    await until(lambda: len(seen.records) == 1)


async def test_a_cancelled_publish_leaves_the_bus_usable_and_the_order_intact(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    for n in range(40):
        task = asyncio.ensure_future(writer.publish([message(names.single, "k", n)]))
        await asyncio.sleep(0.0005 * (n % 4))
        task.cancel()
        await asyncio.wait([task])
    await writer.publish([message(names.single, "k", 100)])
    found = [number(record) for record in await worker.read(names.single)]
    assert found == sorted(set(found))
    assert found[-1] == 100


@pytest.mark.parametrize("after", [1, 7, 25])
async def test_what_publish_returned_for_survives_kill_9(harness: BusHarness, after: int) -> None:
    names = harness.names
    await harness.connect(names.writer)  # the file and its topics exist before the child opens them
    await harness.release()
    child = await Child.start(harness, names.writer, "publish", names.single)
    await child.read_lines(after)
    await child.kill()
    acknowledged = int(child.lines[-1])
    found = [
        number(record) for record in await (await harness.connect(names.worker)).read(names.single)
    ]
    assert found == list(range(len(found)))  # in order, none twice, none missing
    assert len(found) > acknowledged
    writer, worker = await harness.connect(names.writer), await harness.connect(names.worker)
    await writer.publish([message(names.single, "k", len(found))])
    assert [number(record) for record in await worker.read(names.single)] == list(
        range(len(found) + 1)
    )


async def test_a_consumer_killed_between_handling_and_commit_gets_its_batch_again(
    harness: BusHarness,
) -> None:
    names = harness.names
    writer = await harness.connect(names.writer)
    await writer.publish([message(names.single, "k", n) for n in range(30)])
    await harness.release()
    child = await Child.start(
        harness, names.worker, "consume", "crash", names.single, crash_at="bus-handled"
    )
    await child.died()
    assert [int(line) for line in child.lines] == [0, 1, 2, 3, 4]
    seen = Recorder()
    await (await harness.connect(names.worker)).consume("crash", [names.single], seen)
    await until(lambda: len(seen.records) >= 30, 60)
    assert [number(record) for record in seen.records] == list(range(30))


async def test_a_consumer_killed_anywhere_loses_nothing(harness: BusHarness) -> None:
    names = harness.names
    writer = await harness.connect(names.writer)
    await writer.publish([message(names.main, f"k{n}", n) for n in range(300)])
    await harness.release()
    handled: set[int] = set()
    for lines in (1, 60):
        child = await Child.start(harness, names.worker, "consume", "killed", names.main)
        await child.read_lines(lines)
        await child.kill()
        handled |= {int(line) for line in child.lines}
    seen = Recorder()
    member = await (await harness.connect(names.worker)).consume("killed", [names.main], seen)
    async with asyncio.timeout(60):
        while await member.lag():  # noqa: ASYNC110 - the broker sets no event
            await asyncio.sleep(0.05)
    assert handled | {number(record) for record in seen.records} == set(range(300))
