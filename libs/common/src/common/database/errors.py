"""What can go wrong between a caller and its database, and which of it is worth another attempt."""

import sqlite3
from typing import Final

from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError


class DatabaseUnavailable(Exception):
    """The database could not be reached within the retry limit; nothing was committed.

    Callers answer 503 or keep their offset.
    """


class CommitUnknown(DatabaseUnavailable):
    """The connection was lost during COMMIT and the database cannot say what became of it.

    The work may be durable or not.
    """


class DatabaseStopped(RuntimeError):
    """Work was handed to a database that is not running."""


class TransactionBroken(RuntimeError):
    """A unit committed or rolled back the transaction that it shares with others."""


_PASSING: Final = (
    *(pg.SerializationFailure, pg.DeadlockDetected, pg.LockNotAvailable),
    pg.DiskFull,
)
_SQLITE_PASSING: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
)


def connection_lost(error: BaseException) -> bool:
    """Tell whether the server or the way to it went away."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    # Class 08 is "connection exception", 57P0x a server that stops, starts or was told to end us;
    # no SQLSTATE: libpq never got an answer.
    origin = error.orig
    if not isinstance(origin, pg.Error):
        return False
    state = origin.sqlstate
    return isinstance(origin, pg.OperationalError) and (
        state is None or state.startswith(("08", "57P", "53300"))
    )


def disk_full(error: BaseException | None) -> bool:
    """Tell whether there is no room for what was to be written."""
    origin = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_FULL or isinstance(origin, pg.DiskFull)


def worth_retrying(error: BaseException) -> bool:
    """Tell whether the group may succeed if run again: conflict, busy, no room, lost connection."""
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, _PASSING):
        return True
    if isinstance(error.orig, sqlite3.OperationalError):
        return (error.orig.sqlite_errorcode & 0xFF) in _SQLITE_PASSING
    return connection_lost(error)
