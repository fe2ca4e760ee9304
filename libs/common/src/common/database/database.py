"""One service's database: group-committed writes, snapshot reads, and locks between processes."""

import asyncio
import queue
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import stamina
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from common.database.engines import checked_url, place_of, reader_engine, sqlite_path, writer_engine
from common.database.errors import DatabaseStopped, DatabaseUnavailable, worth_retrying
from common.database.locks import AdvisoryProcessLock, FileProcessLock, ProcessLock
from common.database.signals import Listener
from common.database.unit import GroupCommit, Unit
from common.database.writer import Job, Writer
from hubformats.clock import Clock

T = TypeVar("T")

_READERS: Final = 4
_LOCK_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}", re.IGNORECASE)


class Database:
    """Commit many callers' writes together in one thread; read on connections of their own.

    `url` is sqlite:///path or postgresql+psycopg://. `retry_for` bounds, in seconds, how long a
    lost database is waited for. `writers` above one is for PostgreSQL only.

    Raises ValueError for another URL.
    """

    def __init__(
        self, url: str, *, clock: Clock, name: str, writers: int = 1, retry_for: float = 15.0
    ) -> None:
        self._url = checked_url(url)
        self._path = sqlite_path(self._url)
        if writers < 1 or (self._path is not None and writers != 1):
            raise ValueError("SQLite has exactly one writer; PostgreSQL at least one")
        self.clock = clock
        self.name = name
        self._retry_for = retry_for
        self._writer_count = writers
        self._hooks: list[Callable[[GroupCommit], None]] = []
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._writers: list[Writer] = []
        self._pool: ThreadPoolExecutor | None = None
        self._write_engine: Engine | None = None
        self._read_engine: Engine | None = None

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return "sqlite" if self._path is not None else "postgresql"

    @property
    def place(self) -> str:
        """The file, or the database's name on its server; never a password."""
        return place_of(self._url)

    @property
    def groups(self) -> int:
        """Transactions committed by the writer since the start."""
        return sum(writer.groups for writer in self._writers)

    async def start(self) -> None:
        """Open the connections and start the threads.

        Raises DatabaseUnavailable when the database does not answer in time.
        """
        if self._pool is not None:
            return
        loop = asyncio.get_running_loop()
        self._write_engine = writer_engine(self._url)
        self._read_engine = reader_engine(self._url, _READERS)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix=f"{self.name}-reader")
        self._writers = [
            Writer(
                self._write_engine,
                self._jobs,
                self._hooks,
                loop=loop,
                name=self.name,
                retry_for=self._retry_for,
            )
            for _ in range(self._writer_count)
        ]
        for writer in self._writers:
            writer.start()
        try:
            await self.write(lambda unit: unit.connection.exec_driver_sql("SELECT 1"))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Let the writers finish what was accepted, then close everything."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        for _ in self._writers:
            self._jobs.put(None)
        for writer in self._writers:
            await asyncio.to_thread(writer.join)
        # The writers' answers were queued on this loop before their threads ended.
        await asyncio.sleep(0)
        await asyncio.to_thread(pool.shutdown)
        for engine in (self._write_engine, self._read_engine):
            if engine is not None:
                engine.dispose()

    async def write(self, work: Callable[[Unit], T]) -> T:
        """Run `work` in the writer thread; return its value once its group is committed.

        An exception of `work` undoes this unit alone and is raised here. `work` may run more than
        once and must only touch the unit.

        Raises DatabaseUnavailable (nothing committed), CommitUnknown, DatabaseStopped. A cancelled
        call may still have been committed.
        """
        if self._pool is None:
            raise DatabaseStopped("the database is not running")
        job = Job(work, asyncio.get_running_loop().create_future())
        self._jobs.put(job)
        try:
            value: T = await job.answer
        except asyncio.CancelledError:
            job.abandoned = True
            raise
        return value

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a reader thread on one snapshot.

        Raises DatabaseUnavailable, and whatever `work` raises.

        Tried again when the connection was lost: reading twice changes nothing.
        """
        if self._pool is None:
            raise DatabaseStopped("the database is not running")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, work)

    def before_commit(self, hook: Callable[[GroupCommit], None]) -> None:
        """Call `hook` once per group, in its transaction, after the last unit.

        An exception from it undoes the group.
        """
        self._hooks.append(hook)

    def lock(self, name: str) -> ProcessLock:
        """Return the lock `name` between all processes on this database, not held yet."""
        if _LOCK_NAME.fullmatch(name) is None:
            raise ValueError("a lock name is made of letters, digits, dot, dash and underscore")
        if self._path is not None:
            return FileProcessLock(self._path.with_name(f"{self._path.name}.{name}.lock"))
        if self._write_engine is None:
            raise DatabaseStopped("the database is not running")
        return AdvisoryProcessLock(self._write_engine, name)

    def listen(self, channel: str, call: Callable[[], None]) -> Listener | None:
        """Run `call` on the loop when a process announces `channel`; None on SQLite."""
        if self._path is not None:
            return None
        if self._write_engine is None:
            raise DatabaseStopped("the database is not running")
        return Listener(self._write_engine, channel, call)

    def _read(self, work: Callable[[Connection], T]) -> T:
        engine = self._read_engine
        assert engine is not None  # noqa: S101  set before the pool that runs this

        def once() -> T:
            with engine.connect() as connection, connection.begin():
                return work(connection)

        # stamina costs 40 µs, as much as some reads; it comes in when the first try failed.
        try:
            return once()
        except DBAPIError as error:
            if not worth_retrying(error):
                raise
        # As many tries as the pool holds connections may fail when the server went away.
        limits: dict[str, Any] = {"attempts": None, "timeout": self._retry_for}
        pauses: dict[str, Any] = {"wait_initial": 0.05, "wait_max": 1.0, "wait_jitter": 0.0}
        again = stamina.retry_context(on=worth_retrying, **limits, **pauses)
        try:
            for attempt in again:
                with attempt:
                    return once()
        except DBAPIError as error:
            if not worth_retrying(error):
                raise
            raise DatabaseUnavailable("the database did not answer in time") from error
        raise AssertionError("a retry ends with an answer or an error")
