"""Where sealed messages wait for the bus, and the counters that number them per stream."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table, text

from common.database import JsonDocument, RowNumber, UtcDateTime, UuidType, new_metadata

_METADATA: Final = new_metadata()
_WAITING: Final = text("sent_at IS NULL")
_KEPT: Final = text("body IS NOT NULL")
_SETTLED: Final = text("body IS NULL")

OUTBOX: Final = Table(
    "outbox",
    _METADATA,
    Column("seq", RowNumber, primary_key=True),
    Column("id", UuidType, nullable=False, unique=True),
    Column("topic", String(200), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("headers", JsonDocument, nullable=False),
    Column("body", LargeBinary, nullable=True),  # null once the other end has confirmed
    Column("stream", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime, nullable=True),
    Column("sent_at", UtcDateTime, nullable=True),
    Column("confirmed_at", UtcDateTime, nullable=True),  # set at once when nobody will confirm
    # What waits is a sliver of what was sent; the relay must not read past the rest to find it.
    Index("ix_outbox_waiting", "seq", postgresql_where=_WAITING, sqlite_where=_WAITING),
    Index("ix_outbox_settled", "sent_at", postgresql_where=_SETTLED, sqlite_where=_SETTLED),
    Index("ix_outbox_kept", "topic", "seq", postgresql_where=_KEPT, sqlite_where=_KEPT),
)

STREAM_SEQUENCE: Final = Table(
    "stream_sequence",
    _METADATA,
    Column("sender", String(100), primary_key=True),
    Column("stream", String(200), primary_key=True),
    Column("last", BigInteger, nullable=False),
)


def outbox_tables(metadata: MetaData) -> None:
    """Add the outbox's tables to a service's schema."""
    for table in (OUTBOX, STREAM_SEQUENCE):
        if table.name not in metadata.tables:
            table.to_metadata(metadata)
