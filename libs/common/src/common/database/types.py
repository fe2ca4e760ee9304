"""Column types and naming that mean the same on SQLite and on PostgreSQL."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    Dialect,
    Integer,
    MetaData,
    Uuid,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine, UserDefinedType

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Alembic's batch mode can only change what has a name, so nothing is left to the database to name.
"""


def new_metadata() -> MetaData:
    """Make a fresh schema description for one service.

    Never share one between services: standalone runs them in one process.
    """
    return MetaData(naming_convention=NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment.

    Refuses naive datetimes; always gives back UTC. SQLite keeps it as sortable text, PostgreSQL as
    timestamptz.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC on the way in; SQLite's own type would store local time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without time zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC on the way out, whatever the driver made of it."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


UuidType: Final = Uuid
"""Native uuid on PostgreSQL, 32 hexadecimal characters on SQLite; UUID objects on both."""

JsonDocument: Final[TypeEngine[Any]] = JSON().with_variant(JSONB(), "postgresql")

RowNumber: Final = BigInteger().with_variant(Integer(), "sqlite")
"""An automatically numbered primary key: SQLite numbers only INTEGER columns by itself."""


class _JsonList(UserDefinedType[Any]):
    """Values of one type, which SQLite can write as JSON (no bytes), in one parameter."""

    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        self.item = item

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Make the function that writes values as a JSON array, each as its column type has it."""
        convert = self.item.dialect_impl(dialect).bind_processor(dialect)
        return lambda values: json.dumps(
            list(values) if convert is None else [convert(value) for value in values]
        )


def among(column: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """Return the condition that a column's value is in a list, the one parameter `name`.

    For a `Prepared`, which is compiled once. Not for columns of bytes.
    """
    if dialect == "sqlite":
        listed = func.json_each(bindparam(name, type_=_JsonList(column.type))).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam(name, type_=ARRAY(column.type)))
