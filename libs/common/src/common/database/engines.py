"""Engines for the two dialects: what every connection is set to before anybody uses it."""

import os
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool, QueuePool

from common.database.prepared import send

BUSY_TIMEOUT_MS: Final = 5_000
CONNECT_TIMEOUT_S: Final = 5

_SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    # an answered caller's row survives power loss, not only a crash of ours
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA secure_delete=ON",  # a destroyed subject key must not live on in a free page
    "PRAGMA trusted_schema=OFF",
)
_WRITER_OPTIONS: Final = (
    "-c synchronous_commit=on -c lock_timeout=10s -c "
    "idle_in_transaction_session_timeout=60s -c timezone=UTC"
)
# One snapshot for all statements of a read, and a second lock on the door: a read that writes is
# refused by the server.
_READER_OPTIONS: Final = (
    "-c default_transaction_read_only=on -c "
    "default_transaction_isolation=repeatable\\ read -c timezone=UTC"
)


def checked_url(url: str) -> URL:
    """Parse and check a database URL.

    Raises ValueError for anything but a SQLite file or PostgreSQL through psycopg.
    """
    parsed = make_url(url)
    if parsed.drivername == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    if parsed.drivername == "postgresql+psycopg":
        return parsed
    raise ValueError("a database URL must be sqlite:///path or postgresql+psycopg://…")


def sqlite_path(url: URL) -> Path | None:
    """Return the file of a SQLite URL, None for PostgreSQL."""
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def place_of(url: URL) -> str:
    """Name the file, or the database and its server; never a user or a password."""
    return str(sqlite_path(url) or f"{url.database} on {url.host}")


def writer_engine(url: URL) -> Engine:
    """Make an engine whose transactions take the write lock at once: two writers wait."""
    path = sqlite_path(url)
    if path is None:
        return create_engine(
            url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=_pg_arguments(_WRITER_OPTIONS),
        )
    _private_file(path)
    return _sqlite_engine(url, "BEGIN IMMEDIATE", read_only=False, poolclass=NullPool)


def reader_engine(url: URL, size: int) -> Engine:
    """Make an engine for at most `size` concurrent readers that cannot write."""
    if sqlite_path(url) is None:
        return create_engine(
            url,
            poolclass=QueuePool,
            pool_size=size,
            max_overflow=0,
            pool_recycle=600,
            hide_parameters=True,
            connect_args=_pg_arguments(_READER_OPTIONS),
        )
    return _sqlite_engine(
        url, "BEGIN", read_only=True, poolclass=QueuePool, pool_size=size, max_overflow=0
    )


def _pg_arguments(options: str) -> dict[str, Any]:
    return {
        "options": options,
        "connect_timeout": CONNECT_TIMEOUT_S,
        # A half-open connection must not hold the only writer for the two hours of the system's
        # default.
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }


def _sqlite_engine(url: URL, begin: str, *, read_only: bool, **pool: Any) -> Engine:
    engine = create_engine(
        url, hide_parameters=True, connect_args={"check_same_thread": False}, **pool
    )

    @event.listens_for(engine, "connect")
    def _settle(connection: SqliteConnection, _record: object) -> None:
        # The driver would otherwise begin transactions on its own, late and deferred.
        connection.isolation_level = None
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        send(connection, begin)

    return engine


def _private_file(path: Path) -> None:
    """Create the file for its owner only; SQLite gives -wal and -shm the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
