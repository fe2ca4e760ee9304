"""The log of the embedded bus: one writer thread with group commit, one reader thread."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import Timeout

from common.bus import BusLocked, BusUnavailable, Incoming, Outgoing
from common.database import file_lock
from common.faults import crash_point
from common.topics import TopicSpec
from hubformats.clock import Clock
from standalone.bus.file import Partition, connect, create, partitions
from standalone.bus.records import Tail, bounded, headers, row

_T = TypeVar("_T")

_FETCH = (
    "select number, timestamp_ms, key, value, headers from message where partition=? and "
    "number>=? order by number limit ?"
)
_INSERT = (
    "insert into message(partition, number, timestamp_ms, key, value, headers) values(?,?,?,?,?,?)"
)
_PRUNE = (
    "delete from message where partition=? and timestamp_ms<? and position in "
    "(select position from message where partition=? order by number limit ?)"
)
_PROBE: tuple[str, tuple[int, ...]] = ("insert or replace into committed values('', 0, 0)", ())
_GROUP_BYTES = 8_000_000
_GROUP_JOBS = 512
_OFFSET_LINGER = 0.1
_PRUNE_ROWS = 500


@dataclass(frozen=True, slots=True)
class _Append:
    rows: Sequence[tuple[int, Outgoing]]
    size: int
    done: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class _Offset:
    consumers: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class _Task:
    statement: tuple[str, tuple[int, ...]]
    done: "asyncio.Future[int]"


class _Stop:
    """The last job."""


_Job = _Append | _Offset | _Task | _Stop


class DurableLog:
    """Append, fetch and committed offsets over one SQLite file.

    Appends that wait share one transaction and one fsync. Offsets go with the next append. Alone
    they are written within 100 ms without fsync, for losing one only means a repeat. `appended` is
    called on the event loop after each commit, with the new ends of the partitions touched.
    """

    def __init__(
        self, path: Path, clock: Clock, appended: Callable[[dict[int, int]], None]
    ) -> None:
        self._path = path
        self._clock = clock
        self._appended = appended
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._ends: dict[int, int] = {}
        self._unsaved: dict[tuple[str, int], int] = {}
        self._partitions: dict[int, Partition] = {}
        self._tail = Tail()
        self._lock = file_lock(path.with_name(path.name + ".lock"))
        self._open = False
        self._failure: str | None = None

    async def open(self, specs: Sequence[TopicSpec]) -> list[Partition]:
        """Take the folder's lock, create what is missing, start the threads.

        Raises BusLocked, BusUnavailable.
        """
        self._loop = asyncio.get_running_loop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise BusLocked("another process already serves this embedded bus") from None
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="bus-reader")
        try:
            partitions = await self._loop.run_in_executor(self._readers, self._prepare, specs)
        except sqlite3.Error as error:
            self._readers.shutdown()
            self._lock.release()
            raise BusUnavailable(
                f"embedded bus cannot open its file: {type(error).__name__}"
            ) from error
        self._open = True
        self._writer = threading.Thread(target=self._write, name="bus-writer", daemon=True)
        self._writer.start()
        return partitions

    async def close(self) -> None:
        """Write what is queued, offsets included, and let go of the file."""
        self._open = False
        self._jobs.put(_Stop())
        await self._loop.run_in_executor(None, self._writer.join)
        await self._loop.run_in_executor(self._readers, self._reading.close)
        self._readers.shutdown()
        self._lock.release()

    @property
    def failure(self) -> str | None:
        """The class of error that the last commit failed with, or None."""
        return self._failure

    def end(self, partition: int) -> int:
        """Return the partition's next offset, as of the last commit told to this loop."""
        return self._ends[partition]

    async def append(self, rows: Sequence[tuple[int, Outgoing]]) -> None:
        """Store messages in their partitions; on return they survive kill -9 and power loss.

        Raises BusUnavailable.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        await self._submit(_Append(rows, sum(message.size for _, message in rows), done))

    async def flush(self) -> None:
        """Write and fsync the offsets noted so far; fails while the disk takes no writes."""
        done: asyncio.Future[int] = self._loop.create_future()
        await self._submit(_Task(_PROBE, done))

    def save_offset(self, consumers: str, partition: int, next_offset: int) -> None:
        """Note that a group has handled all before `next_offset`; `close` writes it at last."""
        self._jobs.put(_Offset(consumers, partition, next_offset))

    async def offsets(self, consumers: str) -> dict[int, int]:
        """Read the offsets this group has committed in the file, by partition id."""
        query = "select partition, next_offset from committed where consumers=?"
        return await self._read(lambda: dict(self._reading.execute(query, (consumers,)).fetchall()))

    async def fetch(self, partition: Partition, offset: int, limit: int) -> list[Incoming]:
        """Read from `offset` on: at most `limit` records and MAX_BATCH_BYTES, at least one."""
        return self._tail.since(partition.id, offset, limit) or await self._read(
            lambda: self._fetch(partition, offset, limit)
        )

    async def prune(self) -> int:
        """Delete records past their topic's retention, a few at a time; return how many."""
        total = 0
        now = self._clock.micros() // 1000
        kept = await self._read(
            lambda: self._reading.execute("select id, retention_ms from partition").fetchall()
        )
        for partition, retention in kept:
            gone = _PRUNE_ROWS
            while gone == _PRUNE_ROWS:
                done: asyncio.Future[int] = self._loop.create_future()
                await self._submit(
                    _Task((_PRUNE, (partition, now - retention, partition, _PRUNE_ROWS)), done)
                )
                gone = done.result()
                total += gone
        self._tail.clear()
        return total

    async def _submit(self, job: "_Append | _Task") -> None:
        if not self._open:
            raise BusUnavailable("embedded bus is stopped")
        self._jobs.put(job)
        await job.done

    async def _read(self, work: Callable[[], _T]) -> _T:
        try:
            return await self._loop.run_in_executor(self._readers, work)
        except (sqlite3.Error, RuntimeError) as error:
            raise BusUnavailable(f"embedded bus cannot read: {type(error).__name__}") from None

    def _fetch(self, partition: Partition, offset: int, limit: int) -> list[Incoming]:
        with contextlib.closing(
            self._reading.execute(_FETCH, (partition.id, offset, limit))
        ) as rows:
            topic, place = partition.topic, partition.number
            return bounded(
                Incoming(topic, key, value, headers(text), place, number, at)
                for number, at, key, value, text in rows
            )

    def _prepare(self, specs: Sequence[TopicSpec]) -> list[Partition]:
        create(self._path, specs)
        self._reading = connect(self._path)
        self._reading.execute("pragma query_only=1")
        wanted = {spec.name for spec in specs}
        stored = partitions(self._reading)
        self._ends = {partition.id: end for partition, end in stored.items()}
        self._partitions = {each.id: each for each in stored if each.topic in wanted}
        return list(self._partitions.values())

    def _write(self) -> None:
        ends = dict(self._ends)
        connection = connect(self._path)
        running = True
        while running:
            jobs = self._gather()
            running = not isinstance(jobs[-1], _Stop)
            self._commit(connection, jobs, ends)
        connection.close()

    def _gather(self) -> list[_Job]:
        """Wait for work, then take all that waits.

        Offsets alone linger a little, so that they can join an append.
        """
        jobs = [self._jobs.get()]
        size = 0
        urgent = False
        linger_until = time.monotonic() + _OFFSET_LINGER
        while size < _GROUP_BYTES and len(jobs) < _GROUP_JOBS and not isinstance(jobs[-1], _Stop):
            urgent = urgent or not isinstance(jobs[-1], _Offset)
            lingering = 0.0 if urgent else linger_until - time.monotonic()
            try:
                jobs.append(
                    self._jobs.get(timeout=lingering) if lingering > 0 else self._jobs.get_nowait()
                )
            except queue.Empty:
                break
            size += jobs[-1].size if isinstance(jobs[-1], _Append) else 0
        return jobs

    def _commit(
        self, connection: sqlite3.Connection, jobs: Sequence[_Job], ends: dict[int, int]
    ) -> None:
        appends = [job for job in jobs if isinstance(job, _Append)]
        tasks = [job for job in jobs if isinstance(job, _Task)]
        for job in jobs:
            if isinstance(job, _Offset):
                self._unsaved[job.consumers, job.partition] = job.next_offset
        try:
            connection.execute(f"pragma synchronous={'full' if appends or tasks else 'normal'}")
            connection.execute("begin immediate")
            stored = self._insert(connection, appends, ends)
            connection.executemany(
                "insert or replace into committed values(?,?,?)",
                [(who, where, upto) for (who, where), upto in self._unsaved.items()],
            )
            results = [connection.execute(*task.statement).rowcount for task in tasks]
            crash_point("bus-before-commit")
            connection.execute("commit")
            crash_point("bus-after-commit")
        # Whatever it is, the writer lives on and the callers hear of it
        except Exception as error:  # noqa: BLE001
            with contextlib.suppress(sqlite3.Error):
                connection.execute("rollback")
            self._failure = type(error).__name__
            waiting = [job.done for job in appends] + [job.done for job in tasks]
            self._tell(
                _fail, waiting, BusUnavailable(f"embedded bus cannot write: {self._failure}")
            )
            return
        ends.update((partition, record.offset + 1) for partition, record in stored)
        self._unsaved.clear()
        self._failure = None
        if appends or tasks:
            self._tell(self._done, stored, appends, list(zip(tasks, results, strict=True)))

    def _insert(
        self, connection: sqlite3.Connection, appends: Sequence[_Append], ends: Mapping[int, int]
    ) -> list[tuple[int, Incoming]]:
        """Insert the messages as records of their partitions, numbered from their ends on."""
        now = self._clock.micros() // 1000
        moved: dict[int, int] = {}
        stored = []
        for job in appends:
            for partition, message in job.rows:
                place = self._partitions[partition]
                number = moved.get(partition, ends[partition])
                moved[partition] = number + 1
                body = message.key, message.value, tuple(message.headers)
                record = Incoming(place.topic, *body, place.number, number, now)
                stored.append((partition, record))
        if stored:
            connection.executemany(
                _INSERT, [row(partition, record) for partition, record in stored]
            )
            connection.executemany(
                "update partition set next_offset=? where id=?",
                [(end, part) for part, end in moved.items()],
            )
        return stored

    def _done(
        self,
        stored: Sequence[tuple[int, Incoming]],
        appends: Sequence[_Append],
        tasks: Sequence[tuple[_Task, int]],
    ) -> None:
        moved = {partition: record.offset + 1 for partition, record in stored}
        self._ends.update(moved)
        for partition, record in stored:
            self._tail.add(partition, record)
        for job in appends:
            if not job.done.done():
                job.done.set_result(None)
        for task, result in tasks:
            if not task.done.done():
                task.done.set_result(result)
        if moved:
            self._appended(moved)

    def _tell(self, call: Callable[..., None], *args: Any) -> None:
        # The loop is gone only when the process is being torn down without stop(); nobody is left
        # to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *args)


def _fail(
    waiting: Sequence["asyncio.Future[None] | asyncio.Future[int]"], error: Exception
) -> None:
    for done in waiting:
        if not done.done():
            done.set_exception(error)
