"""Tables of the sharing service. What is about a person stands in a column ending `_ct`, sealed
under the case's key."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text, UniqueConstraint
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from common.database import JsonDocument, UtcDateTime, UuidType, new_metadata
from common.sealed import subject_key_table
from common.web.frame import frame_tables

METADATA = new_metadata()


class Row(SQLModel, registry=registry(metadata=METADATA)):
    """Every table class of this service; their rows are written by Core statements in the
    repository.
    """


class CaseRow(Row, table=True):
    """One case at the snapshot last decided on.

    `referrer_reference` is the referrer's own name for it.
    """

    __tablename__ = "case_file"
    __table_args__ = (Index("ix_case_file_reference", "referrer", "referrer_reference"),)
    case_id: UUID = Field(primary_key=True)
    key_id: UUID
    """The key that seals what is about people; destroyed, and replaced, when one of them is erased.
    """
    version: int
    area: str = Field(max_length=60)
    referrer: str = Field(max_length=64)
    referrer_reference: str = Field(max_length=20)
    vetting: dict[str, Any] = Field(sa_column=Column(JsonDocument, nullable=False))
    """Ids of subjects and of markings taken into account, for the release check: opaque, no person.
    """
    snapshot_ct: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    changed_at: datetime = Field(sa_type=UtcDateTime)


class DecisionRow(Row, table=True):
    """One decision. `detail_ct` holds the alternatives, recipient by recipient."""

    __tablename__ = "decision"
    __table_args__ = (UniqueConstraint("case_id", "snapshot_version", "ordinal"),)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    key_id: UUID
    snapshot_version: int
    ordinal: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """0 for the first decision on a version; a version may be decided on again."""
    as_of: datetime = Field(sa_type=UtcDateTime)
    agreement: str = Field(max_length=60)
    agreement_version: str = Field(max_length=20)
    agreement_hash: str = Field(max_length=43)
    inputs_hash: str = Field(max_length=43)
    detail_ct: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class DisclosureRow(Row, table=True):
    """One permitted delivery.

    `evidence_ct` seals content, salts and audit record; leaf and proof are public.
    """

    __tablename__ = "disclosure"
    __table_args__ = (
        Index("ix_disclosure_case_id", "case_id"),
        Index("ix_disclosure_waiting", "state", "next_at"),
        UniqueConstraint("record_id"),
    )
    id: UUID = Field(primary_key=True)
    decision_id: UUID = Field(foreign_key="decision.id")
    case_id: UUID
    key_id: UUID
    snapshot_version: int
    recipient: str = Field(max_length=64)
    kind: str = Field(max_length=20)
    clause: str = Field(max_length=80)
    state: str = Field(max_length=20)
    reason: str = Field(default="", max_length=40)
    standing: str = Field(default="", max_length=10)
    record_id: UUID
    commitment: str = Field(max_length=43)
    fingerprint: str = Field(max_length=43)
    evidence_ct: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    leaf: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    leaf_index: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    proof: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    attempts: int = 0
    sealed_to: str = Field(default="", max_length=64)
    decided_at: datetime = Field(sa_type=UtcDateTime)
    next_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    proven_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    released_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    saved_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    acknowledged_at: datetime | None = Field(
        default=None, sa_column=Column(UtcDateTime, nullable=True)
    )
    proof_due: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))


# Agencies that the newest decision on a case passed over for being suspended; a row ends when that
# agency is decided on again.
PASSED_OVER = Table(
    "passed_over",
    METADATA,
    Column("agency", String(64), primary_key=True),
    Column("case_id", UuidType, primary_key=True, index=True),
    Column("since", UtcDateTime, nullable=False),
)

# The truth of what was delivered: an agency's topic and its inbox are two doors to these rows.
DELIVERY = Table(
    "delivery",
    METADATA,
    Column("agency", String(64), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("delivery_id", UuidType, nullable=False, index=True),
    Column("event_id", UuidType, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("envelope", LargeBinary, nullable=False),  # ciphertext to its agency's key
    Column("digest", String(43), nullable=False),
    Column("visible_at", UtcDateTime, nullable=False),
)

# Positions are handed out under a row lock, so that a reader who has seen one never finds a smaller
# one later.
INBOX_PLACE = Table(
    "inbox_place",
    METADATA,
    Column("agency", String(64), primary_key=True),
    Column("last", BigInteger, nullable=False),
)

SUBJECT_KEY = subject_key_table(METADATA)
TABLES = frame_tables(METADATA)


def table_of(row: type[Any]) -> Table:
    """The Core table behind a row class."""
    found: Table = row.__table__
    return found
