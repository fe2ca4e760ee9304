"""Storage of a service: group-committed writes in threads, the same on SQLite and PostgreSQL."""

from common.database.database import Database
from common.database.errors import (
    CommitUnknown,
    DatabaseStopped,
    DatabaseUnavailable,
    TransactionBroken,
    worth_retrying,
)
from common.database.locks import ProcessLock, file_lock
from common.database.prepared import Prepared
from common.database.schema import ensure_schema, migrate, shared_histories
from common.database.session import Versioned, session
from common.database.signals import Listener, announce
from common.database.types import (
    NAMING,
    JsonDocument,
    RowNumber,
    UtcDateTime,
    UuidType,
    among,
    new_metadata,
)
from common.database.unit import GroupCommit, Unit

__all__ = [
    "NAMING",
    "CommitUnknown",
    "Database",
    "DatabaseStopped",
    "DatabaseUnavailable",
    "GroupCommit",
    "JsonDocument",
    "Listener",
    "Prepared",
    "ProcessLock",
    "RowNumber",
    "TransactionBroken",
    "Unit",
    "UtcDateTime",
    "UuidType",
    "Versioned",
    "among",
    "announce",
    "ensure_schema",
    "file_lock",
    "migrate",
    "new_metadata",
    "session",
    "shared_histories",
    "worth_retrying",
]
