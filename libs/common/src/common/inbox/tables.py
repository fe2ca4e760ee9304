"""What a consumer has seen, how far each stream came, and what waits in quarantine."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

from common.database import UtcDateTime, UuidType, new_metadata

_METADATA: Final = new_metadata()
HOLDING: Final = text("authentic AND replayed_at IS NULL")
"""Written the same way in the index and in the query, because only then does SQLite see that the
index serves it.
"""

INBOX: Final = Table(
    "inbox",
    _METADATA,
    Column("consumer", String(100), primary_key=True),
    Column("source", String(100), primary_key=True),
    Column("event_id", UuidType, primary_key=True),
    Column("state", String(10), nullable=False),  # done, or held while it waits in quarantine
    Column("at", UtcDateTime, nullable=False, index=True),
)

INBOX_STREAM: Final = Table(
    "inbox_stream",
    _METADATA,
    Column("consumer", String(100), primary_key=True),
    Column("source", String(100), primary_key=True),
    Column("stream", String(200), primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("missing", BigInteger, nullable=False),  # numbers skipped and not yet come late
)

QUARANTINE: Final = Table(
    "inbox_quarantine",
    _METADATA,
    Column("consumer", String(100), primary_key=True),
    Column("digest", String(43), primary_key=True),
    Column("topic", String(200), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("reason", String(60), nullable=False),
    Column("authentic", Boolean(name="authentic"), nullable=False),
    Column(
        "source", String(100), nullable=True
    ),  # these three only of an authentic envelope: a forger's word is not kept
    Column("stream", String(200), nullable=True),
    Column("event_id", UuidType, nullable=True),
    Column("outbox_id", UuidType, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column(
        "replayed_at", UtcDateTime, nullable=True
    ),  # or let go of; the audit log says which, by whom and why
    Index("ix_inbox_quarantine_holding", "key", postgresql_where=HOLDING, sqlite_where=HOLDING),
)


def inbox_tables(metadata: MetaData) -> None:
    """Add the inbox's tables to a service's schema.

    The outbox's are needed too: quarantine leaves through it.
    """
    for table in (INBOX, INBOX_STREAM, QUARANTINE):
        if table.name not in metadata.tables:
            table.to_metadata(metadata)
