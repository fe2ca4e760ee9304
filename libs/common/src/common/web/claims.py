"""One row, one winner: inserting a key that must be new, on both dialects."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite


def claim(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert `values` unless the primary key exists; True when this call inserted it. Waits for a rival still in its transaction."""
    return connection.execute(_claiming(table, connection.dialect.name), values).first() is not None


@lru_cache(maxsize=64)
def _claiming(table: Table, dialect: str) -> Executable:
    """Made once a table: building a statement costs more than running it, and every request makes two claims."""
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    # RETURNING, not rowcount: SQLAlchemy has -1 for an INSERT on psycopg.
    return insert.on_conflict_do_nothing().returning(*table.primary_key.columns)
