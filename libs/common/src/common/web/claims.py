"""One row, one winner: inserting a key that must be new, on both dialects."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def claim(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert `values` unless the primary key exists; True when this call inserted it. Waits for a rival still in its transaction."""
    insert = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
    # RETURNING, not rowcount: SQLAlchemy has -1 for an INSERT on psycopg.
    made = insert.values(**values).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return connection.execute(made).first() is not None
