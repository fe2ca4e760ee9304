"""Tables of what agencies signed, and of what they are told about it. No content, and nothing of a
person."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, UniqueConstraint
from sqlmodel import Field

from common.database import JsonDocument, UtcDateTime, UuidType
from sharing.look_tables import METADATA as WITH_QUEUES
from sharing.look_tables import Row

METADATA = WITH_QUEUES


class NoticeRow(Row, table=True):
    """What an agency is told of what it signed; no content, no person."""

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("record_id"),
        Index("ix_notice_state", "state", "id"),
        Index("ix_notice_agency", "agency", "id"),
    )
    id: UUID = Field(primary_key=True)
    agency: str = Field(max_length=64)
    event_id: UUID | None = Field(default=None)
    digest: str | None = Field(default=None, max_length=43)
    reason_code: str = Field(max_length=60)
    received_at: datetime = Field(sa_type=UtcDateTime)
    record_id: UUID
    state: str = Field(max_length=20)
    log_index: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    sent_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    used: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonDocument, nullable=True))
    """What a compromised key had signed that was used; then there is no envelope."""


# One row for each signed message that was taken in, in the transaction that does it.
SIGNED: Final = Table(
    "signed_message",
    METADATA,
    Column("agency", String(64), primary_key=True),
    Column("reference", UuidType, primary_key=True),  # the event's id, or of a receipt's digest
    Column("key_id", String(43), nullable=False),
    Column("kind", String(60), nullable=False),
    Column("channel", String(10), nullable=False),
    Column("arrived_at", UtcDateTime, nullable=False),
    Column("signed_at", UtcDateTime, nullable=True),
    Column("event_id", UuidType, nullable=True),
    Column("delivery_id", UuidType, nullable=True),
    Index("ix_signed_message_key", "agency", "key_id"),
)

# That what a key signed since a moment was looked for; written with what was found.
KEY_LOOK: Final = Table(
    "key_look",
    METADATA,
    Column("key_id", String(43), primary_key=True),
    Column("since", UtcDateTime, primary_key=True),
    Column("agency", String(64), nullable=False),
    Column("looked_at", UtcDateTime, nullable=False),
)

# What was found: each once for a key, whatever moment it is dated to later.
KEY_USE: Final = Table(
    "key_use",
    METADATA,
    Column("key_id", String(43), primary_key=True),
    Column("reference", UuidType, primary_key=True),
    Column("agency", String(64), nullable=False),
    Column("notice_id", UuidType, nullable=False, index=True),
    Column("since", UtcDateTime, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("certain", Boolean(name="certain"), nullable=False),
    Column("kind", String(60), nullable=True),
    Column("channel", String(10), nullable=True),
    Column("arrived_at", UtcDateTime, nullable=False),
    Column("signed_at", UtcDateTime, nullable=True),
    Column("event_id", UuidType, nullable=True),
    Column("delivery_id", UuidType, nullable=True),
    Column("case_id", UuidType, nullable=True),
)
