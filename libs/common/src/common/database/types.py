"""Column types and naming that mean the same on SQLite and on PostgreSQL."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Dialect, Integer, MetaData, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Alembic's batch mode can only change what has a name, so nothing is left to the database to name."""


def new_metadata() -> MetaData:
    """A fresh schema description for one service. Never share one between services: standalone runs them in one process."""
    return MetaData(naming_convention=NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. Refuses naive datetimes; always gives back UTC. SQLite keeps it as sortable text, PostgreSQL as timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC on the way in; SQLite's own type would otherwise store local time without saying so."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without time zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC on the way out, whatever the driver made of it."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


UuidType: Final = Uuid
"""Native uuid on PostgreSQL, 32 hexadecimal characters on SQLite; UUID objects on both."""

JsonDocument: Final[TypeEngine[Any]] = JSON().with_variant(JSONB(), "postgresql")

RowNumber: Final = BigInteger().with_variant(Integer(), "sqlite")
"""An automatically numbered primary key: SQLite numbers only INTEGER columns by itself."""
