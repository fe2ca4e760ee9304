"""What only the embedded bus must show: one hub per folder, shared fsyncs, waking without polling,
retention, a full disk."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from common.bus import BusLocked, BusUnavailable, Incoming
from common.testing import ManualClock
from standalone.bus import EmbeddedBus, file, log, records
from standalone.bus.file import Partition
from tests.support.bus_harness import BACKOFF, Names, Recorder, message, number, until

NAMES = Names("embedded")


async def _open(path: Path, clock: ManualClock | None = None) -> EmbeddedBus:
    bus = EmbeddedBus(path / "bus.db", NAMES.specs(), clock=clock, backoff=BACKOFF)
    await bus.start()
    return bus


async def test_a_second_hub_is_kept_off_the_folder(tmp_path: Path) -> None:
    first = await _open(tmp_path)
    with pytest.raises(BusLocked):
        await _open(tmp_path)
    await first.publish([message(NAMES.single, "k", 1)])
    await first.stop()
    second = await _open(tmp_path)
    assert [number(record) for record in await second.read(NAMES.single)] == [1]
    await second.stop()


async def test_concurrent_publishes_share_their_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    commit = log.DurableLog._commit

    def counted(
        one: log.DurableLog,
        connection: sqlite3.Connection,
        jobs: list[log._Job],
        ends: dict[int, int],
    ) -> None:
        commits.append(len(jobs))
        commit(one, connection, jobs, ends)

    monkeypatch.setattr(log.DurableLog, "_commit", counted)
    bus = await _open(tmp_path)
    await asyncio.gather(*(bus.publish([message(NAMES.main, f"k{n}", n)]) for n in range(1000)))
    await bus.stop()
    assert len(commits) < 200


async def test_an_idle_consumer_reads_nothing_and_a_publish_wakes_only_its_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    fetch = log.DurableLog.fetch

    async def counted(
        one: log.DurableLog, partition: Partition, offset: int, limit: int
    ) -> list[object]:
        reads.append(partition.topic)
        return [*await fetch(one, partition, offset, limit)]

    monkeypatch.setattr(log.DurableLog, "fetch", counted)
    bus = await _open(tmp_path)
    seen = Recorder()
    await bus.consume("a", [NAMES.main, NAMES.single], seen)
    await bus.consume("b", [NAMES.bulk], Recorder())
    await asyncio.sleep(0.3)
    assert reads == []
    await bus.publish([message(NAMES.single, "k", 1)])
    await until(lambda: len(seen.records) == 1)
    await asyncio.sleep(0.3)
    assert reads == [NAMES.single]
    await bus.stop()


async def test_who_keeps_up_is_served_without_the_file_and_who_is_behind_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_file: list[int] = []
    fetch = log.DurableLog._fetch

    def counted(
        one: log.DurableLog, partition: Partition, offset: int, limit: int
    ) -> list[Incoming]:
        from_file.append(offset)
        return fetch(one, partition, offset, limit)

    monkeypatch.setattr(log.DurableLog, "_fetch", counted)
    size = message(NAMES.single, "k", 0).size
    monkeypatch.setattr(
        records, "_TAIL_BYTES", 10 * size
    )  # a few records: keys and headers are not counted
    bus = await _open(tmp_path)
    keeping_up, behind = Recorder(), Recorder()
    await bus.consume("a", [NAMES.single], keeping_up)
    for n in range(100):
        await bus.publish(
            [replace(message(NAMES.single, "k", n), headers=(("h", bytes([n, 255])),))]
        )
        await until(lambda n=n: len(keeping_up.records) == n + 1)  # type: ignore[misc]
        if n == 0:
            from_file.clear()  # its first look may come before the first message or after
    assert from_file == []
    await bus.consume("b", [NAMES.single], behind)
    await until(lambda: len(behind.records) == 100)
    assert from_file
    assert behind.records == keeping_up.records
    await bus.stop()


async def test_records_past_their_retention_go_and_offsets_go_on(tmp_path: Path) -> None:
    clock = ManualClock()
    bus = await _open(tmp_path, clock)
    await bus.publish([message(NAMES.main, f"k{n}", n) for n in range(1200)])
    clock.advance(timedelta(hours=23))
    await bus.publish([message(NAMES.main, f"k{n}", n) for n in range(1200, 1210)])
    assert await bus.prune() == 0
    clock.advance(timedelta(hours=2))
    assert await bus.prune() == 1200
    left = await bus.read(NAMES.main)
    assert sorted(number(record) for record in left) == list(range(1200, 1210))
    seen = Recorder()
    member = await bus.consume("late", [NAMES.main], seen)
    await until(lambda: len(seen.records) == 10)
    clock.advance(timedelta(hours=30))
    assert await bus.prune() == 10
    await bus.publish([message(NAMES.main, "k1", 5000)])
    await until(lambda: number(seen.records[-1]) == 5000)
    assert seen.records[-1].offset > max(
        record.offset for record in left if record.partition == seen.records[-1].partition
    )
    await member.stop()
    await bus.stop()
    again = await _open(tmp_path, clock)
    fresh = Recorder()
    lagging = await again.consume("fresh", [NAMES.main], fresh)
    await until(lambda: [number(record) for record in fresh.records] == [5000])
    await until(lambda: fresh.running == 0)
    assert await lagging.lag() == 0
    await again.stop()


async def test_a_full_disk_is_said_aloud_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 200
    connect = file.connect

    def small(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute(f"pragma max_page_count={limit}")
        return connection

    monkeypatch.setattr(log, "connect", small)
    bus = await _open(tmp_path)
    stored = 0
    # Which publish meets the limit does not matter
    with pytest.raises(BusUnavailable):  # noqa: PT012
        while True:
            await bus.publish([message(NAMES.single, "k", stored, size=50_000)])
            stored += 1
    assert not await _publishes(bus, 50_000)
    await bus.stop()
    limit = 2000
    bus = await _open(tmp_path)
    assert [number(record) for record in await bus.read(NAMES.single)] == list(range(stored))
    assert await _publishes(bus, 50_000)
    assert await bus.healthy()
    await bus.stop()


async def _publishes(bus: EmbeddedBus, size: int) -> bool:
    try:
        await bus.publish([message(NAMES.single, "k", 9999, size=size)])
    except BusUnavailable:
        return False
    return True


async def test_a_stopped_bus_refuses_and_a_damaged_file_does_not_open(tmp_path: Path) -> None:
    bus = await _open(tmp_path)
    await bus.publish([message(NAMES.single, "k", 1)])
    assert await bus.healthy()
    await bus.stop()
    await bus.stop()
    assert not await bus.healthy()
    for refused in (
        bus.publish([message(NAMES.single, "k", 2)]),
        bus.read(NAMES.single),
        bus.consume("g", [NAMES.single], Recorder()),
    ):
        with pytest.raises(BusUnavailable):
            await refused
    (tmp_path / "bus.db").write_bytes(b"not a database" * 100)
    with pytest.raises(BusUnavailable):
        await _open(tmp_path)


async def test_a_topic_keeps_the_partitions_it_was_made_with(tmp_path: Path) -> None:
    bus = await _open(tmp_path)
    await bus.publish([message(NAMES.main, f"k{n}", n) for n in range(30)])
    before = {record.key: record.partition for record in await bus.read(NAMES.main)}
    await bus.stop()
    fewer = tuple(
        type(spec)(spec.name, 2, spec.retention_hours, spec.producers, spec.consumers)
        for spec in NAMES.specs()
    )
    bus = EmbeddedBus(tmp_path / "bus.db", fewer)
    await bus.start()
    await bus.publish([message(NAMES.main, f"k{n}", n) for n in range(30)])
    assert {record.key: record.partition for record in await bus.read(NAMES.main)} == before
    await bus.stop()
