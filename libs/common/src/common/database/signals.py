"""Word of another process's commit (PostgreSQL). Its work is taken up at once, and polling stays a
safety net."""

import asyncio
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from psycopg import Connection as DriverConnection
from psycopg import Error as DriverError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

_CHANNEL: Final = re.compile(r"[a-z_]{1,40}")
_LOOK_UP_S: Final = 0.25  # how long a stop may wait for the thread
_PAUSE_S: Final = 1.0


def announce(connection: Connection, channel: str) -> None:
    """Wake the listeners of `channel` in all processes when this transaction commits.

    Without effect on SQLite.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_notify(%s, '')", (channel,))


class Listener:
    """Runs `call` on the loop whenever a process announces `channel`.

    A lost connection is made again; what was announced meanwhile is missed.
    """

    def __init__(self, engine: Engine, channel: str, call: Callable[[], None]) -> None:
        if _CHANNEL.fullmatch(channel) is None:
            raise ValueError("a channel name is made of lower-case letters and underscores")
        self._engine = engine
        self._channel = channel
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"listen-{channel}", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and its connection."""
        self._ended.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while not self._ended.is_set():
            with suppress(DBAPIError, DriverError):
                self._listen()
            self._ended.wait(_PAUSE_S)

    def _listen(self) -> None:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"LISTEN {self._channel}")
            self._tell()  # what was announced before we listened
            driver = connection.connection.driver_connection
            while not self._ended.is_set() and isinstance(driver, DriverConnection):
                for _ in driver.notifies(timeout=_LOOK_UP_S, stop_after=1):
                    self._tell()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody to tell
            self._loop.call_soon_threadsafe(self._call)
