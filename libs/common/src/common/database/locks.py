"""A lock that outlives no process: who holds it is the only relay, sequencer or sweeper of its
service."""

import asyncio
import hashlib
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError


class ProcessLock(Protocol):
    """At most one holder per name and database; one that dies loses it without help."""

    async def acquire(self) -> bool:
        """Take the lock if it is free. True when this process holds it now."""
        ...

    async def held(self) -> bool:
        """Ask the server whether the lock is still ours: a lost connection gives it away."""
        ...

    async def release(self) -> None:
        """Give it up; no effect when it is not held."""
        ...


def file_lock(path: Path) -> FileLock:
    """Return a lock on a file of its own, which the kernel drops when the process dies.

    `acquire(blocking=False)` raises `filelock.Timeout` while another holds it.
    """
    # A soft lock, which filelock takes where the file system knows no flock, would outlive us. Who
    # takes the lock and who gives it back may be two threads.
    return FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False)


class FileProcessLock:
    """A lock beside the SQLite file."""

    def __init__(self, path: Path) -> None:
        self._lock = file_lock(path)

    async def acquire(self) -> bool:
        """Take the lock if it is free."""
        if not self._lock.is_locked:
            with suppress(Timeout):
                self._lock.acquire(blocking=False)
        return self._lock.is_locked

    async def held(self) -> bool:
        """Tell whether this object holds the lock."""
        return self._lock.is_locked

    async def release(self) -> None:
        """Give it up."""
        self._lock.release()


class AdvisoryProcessLock:
    """A PostgreSQL session advisory lock on a connection of its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._key = int.from_bytes(
            hashlib.sha256(b"hub-lock\0" + name.encode()).digest()[:8], signed=True
        )
        self._connection: Connection | None = None
        self._busy = threading.Lock()

    async def acquire(self) -> bool:
        """Take the lock if it is free; False also when the server cannot be reached."""
        return await asyncio.to_thread(self._acquire)

    async def held(self) -> bool:
        """Ask over the lock's own connection: if that is gone, so is the lock."""
        return await asyncio.to_thread(self._held)

    async def release(self) -> None:
        """Give it up by closing the connection."""
        await asyncio.to_thread(self._release)

    def _acquire(self) -> bool:
        if self._held():
            return True
        with self._busy, suppress(DBAPIError):
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if connection.exec_driver_sql(
                "SELECT pg_try_advisory_lock(%s)", (self._key,)
            ).scalar_one():
                self._connection = connection
                return True
            connection.close()
        return False

    def _held(self) -> bool:
        with self._busy:
            if self._connection is None:
                return False
            try:
                self._connection.exec_driver_sql("SELECT 1")
            except DBAPIError:
                self._close()
        return self._connection is not None

    def _release(self) -> None:
        with self._busy:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()
