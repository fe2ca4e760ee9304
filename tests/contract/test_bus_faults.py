"""The faulty bus does what it says, plays the same again from its seed, and loses nothing it
acknowledged."""

import asyncio
from pathlib import Path

from common.bus import BusUnavailable
from standalone.bus import EmbeddedBus
from tests.support.bus_faults import EVERYTHING, FaultyBus
from tests.support.bus_harness import BACKOFF, Names, Recorder, message, number, until


async def _play(folder: Path, seed: int) -> tuple[list[int], dict[str, int], set[int]]:
    names = Names("played")
    inner = EmbeddedBus(folder / "bus.db", names.specs(), backoff=BACKOFF)
    bus = FaultyBus(inner, seed)
    await bus.start()
    acknowledged: set[int] = set()
    for first in range(0, 600, 3):
        try:
            await bus.publish([message(names.single, "k", n) for n in range(first, first + 3)])
            acknowledged |= set(range(first, first + 3))
        except BusUnavailable:
            pass
    stored = [number(record) for record in await bus.read(names.single)]
    counts = dict(bus.told.counts)
    await bus.stop()
    return stored, counts, acknowledged


async def test_every_publish_fault_happens_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    stored, counts, acknowledged = await _play(tmp_path, seed=7)
    assert set(counts) == {
        "fail_before",
        "fail_after",
        "fail_part",
        "duplicate",
        "replay",
        "reorder",
        "delay",
    }
    assert acknowledged <= set(stored)
    assert len(stored) > len(set(stored))
    assert stored != sorted(stored)


async def test_the_same_seed_plays_the_same_faults(tmp_path: Path) -> None:
    one, two, other = [await _play(tmp_path / str(n), seed) for n, seed in enumerate((11, 11, 12))]
    assert one == two
    assert one != other


async def test_handlers_meet_repeats_until_the_bus_is_calm(tmp_path: Path) -> None:
    names = Names("handled")
    bus = FaultyBus(EmbeddedBus(tmp_path / "bus.db", names.specs(), backoff=BACKOFF), 3, EVERYTHING)
    await bus.start()
    seen = Recorder()
    member = await bus.consume("g", [names.single], seen, max_batch=2)
    for n in range(200):
        while True:
            try:
                await bus.publish([message(names.single, "k", n)])
                break
            except BusUnavailable:
                await asyncio.sleep(0)
    await until(lambda: {number(record) for record in seen.records} == set(range(200)))
    assert {"redeliver", "handler_fails"} <= set(bus.told.counts)
    bus.calm()
    await until(lambda: seen.running == 0)
    while await member.lag():  # noqa: ASYNC110 - waiting out a back-off
        await asyncio.sleep(0.01)
    before = dict(bus.told.counts)
    await bus.publish([message(names.single, "k", n) for n in range(200, 260)])
    await until(lambda: len([record for record in seen.records if number(record) >= 200]) == 60)
    assert bus.told.counts == before
    await bus.stop()
