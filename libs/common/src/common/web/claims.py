"""One row, one winner: inserting a key that must be new, on both dialects."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from common.database import Prepared


def claim(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert `values` unless the primary key exists; True when this call inserted it.

    Waits for a rival still in its transaction.
    """
    statement = _claiming(table, connection.dialect.name, tuple(values))
    return statement.run(connection, values).first() is not None


@lru_cache(maxsize=64)
def _claiming(table: Table, dialect: str, columns: tuple[str, ...]) -> Prepared:
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    # RETURNING, not rowcount: SQLAlchemy has -1 for an INSERT on psycopg.
    return Prepared(insert.on_conflict_do_nothing().returning(*table.primary_key.columns), *columns)
