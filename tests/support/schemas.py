"""What tests do with a database that no service does: compare its schema, count statements."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, event

from common.database import Database
from common.database.schema import migration

_FRAME: Final = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "PRAGMA", "SELECT pg_current_xact_id")
"""What the database itself puts around the work, which alone is counted."""


@dataclass(slots=True)
class StatementCount:
    """Data statements sent to the database while a count was open."""

    statements: int = 0


@contextmanager
def counting(database: Database) -> Iterator[StatementCount]:
    """Count the data statements sent by all threads of a running database."""
    count, lock = StatementCount(), threading.Lock()
    engines = [e for e in (database._write_engine, database._read_engine) if isinstance(e, Engine)]

    def seen(_connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(_FRAME):
            with lock:
                count.statements += 1

    for engine in engines:
        event.listen(engine, "before_cursor_execute", seen)
    try:
        yield count
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", seen)


def schema_drift(url: str, metadata: MetaData) -> list[Any]:
    """What autogenerate would still change in the database; empty when it agrees."""
    with migration(url) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "render_as_batch": True}
        )
        return list(compare_metadata(context, metadata))
