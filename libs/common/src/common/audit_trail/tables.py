"""A producer's place in its sequence, its records until the log has them, and the keys of their
sealed parts."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from common.database import UtcDateTime, UuidType, new_metadata

_METADATA: Final = new_metadata()
_OPEN: Final = text("receipted_at IS NULL AND rejected IS NULL")
_DONE: Final = text("receipted_at IS NOT NULL")  # else SQLite finds by it what is still open

PRODUCER: Final = Table(
    "audit_producer",
    _METADATA,
    Column("src", String(64), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("epoch_began_at", UtcDateTime, nullable=False),
)

PENDING: Final = Table(
    "audit_pending",
    _METADATA,
    Column("record_id", UuidType, primary_key=True),
    Column("src", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", String(43), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column(
        "batch_id", UuidType, nullable=True, index=True
    ),  # the outbox message that carries it; null when handed over directly
    Column("receipted_at", UtcDateTime, nullable=True),
    Column("leaf", LargeBinary, nullable=True),
    Column("log_index", BigInteger, nullable=True),
    Column("proof", Text, nullable=True),
    Column("rejected", String(60), nullable=True),
    UniqueConstraint("src", "epoch", "seq"),
    Index("ix_audit_pending_open", "created_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
    Index("ix_audit_pending_done", "receipted_at", postgresql_where=_DONE, sqlite_where=_DONE),
)

PART_KEY: Final = Table(
    "audit_part_key",
    _METADATA,
    Column("handle", String(22), primary_key=True),  # `ks`, `ka` or `kr` in the record
    Column("record_id", UuidType, nullable=False, index=True),
    Column("part", String(7), nullable=False),
    Column("wrapped", LargeBinary, nullable=True),  # null once destroyed
    Column("destroyed_at", UtcDateTime, nullable=True),
)

PART_SUBJECT: Final = Table(
    "audit_part_subject",
    _METADATA,
    Column("token", LargeBinary, primary_key=True),
    Column("handle", String(22), primary_key=True),
)


def audit_trail_tables(metadata: MetaData) -> None:
    """Add the audit trail's tables to a service's schema."""
    for table in (PRODUCER, PENDING, PART_KEY, PART_SUBJECT):
        if table.name not in metadata.tables:
            table.to_metadata(metadata)
