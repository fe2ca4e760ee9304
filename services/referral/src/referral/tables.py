"""Tables of the referral service. What is about a person stands in a column ending `_ct`, sealed
under that person's key."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
    select,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from common.database import UtcDateTime, new_metadata
from common.sealed import blind_index, subject_key_table
from common.web.frame import frame_tables

METADATA = new_metadata()


class Row(SQLModel, registry=registry(metadata=METADATA)):
    """Every table class of this service."""


class CaseFile(Row, table=True):
    """One case at its current version.

    `head_ct` is its outline, without facts, sealed under the case's own key.
    """

    __tablename__ = "case_file"
    id: UUID = Field(primary_key=True)
    area: str = Field(max_length=60)
    version: int
    head_ct: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    changed_at: datetime = Field(sa_type=UtcDateTime)


class ReferralRow(Row, table=True):
    """One referral as it was sent.

    `external_bi` keeps a reference that this one claims from being used again. `reference_bi` finds
    every referral under it. `external_ct` shows it back.
    """

    __tablename__ = "referral"
    __table_args__ = (
        UniqueConstraint("agency", "external_bi"),
        Index("ix_referral_case_id", "case_id"),
        Index("ix_referral_changed", "agency", "changed_at", "id"),
        Index("ix_referral_reference", "agency", "reference_bi"),
    )
    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="case_file.id")
    agency: str = Field(max_length=60)
    form: str = Field(max_length=20)
    kind: str = Field(max_length=40)
    area: str = Field(max_length=60)
    source: str = Field(max_length=40)
    state: str = Field(max_length=40)
    external_bi: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    external_ct: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    rules_version: str = Field(max_length=60)
    received_at: datetime = Field(sa_type=UtcDateTime)
    reference_bi: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    changed_at: datetime = Field(sa_type=UtcDateTime)


class FactGroup(Row, table=True):
    """Facts of one category about one person (or the case itself), sealed together under that
    person's key.
    """

    __tablename__ = "fact_group"
    __table_args__ = (Index("ix_fact_group_case_id", "case_id"),)
    id: UUID = Field(primary_key=True)
    case_id: UUID = Field(foreign_key="case_file.id")
    key_id: UUID
    """Whose key seals it: the subject's, or the case's own."""
    category: str = Field(max_length=60)
    facts_ct: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class OutcomeRow(Row, table=True):
    """Newest state of one recipient of a case, from sharing's events."""

    __tablename__ = "outcome"
    __table_args__ = (Index("ix_outcome_reference", "recipient", "reference"),)
    case_id: UUID = Field(primary_key=True)
    recipient: str = Field(primary_key=True, max_length=60)
    snapshot_version: int
    state: str = Field(max_length=20)
    clause: str = Field(default="", max_length=80)
    proof: str = Field(default="", max_length=20)
    earlier_promise: str = Field(default="", max_length=20, sa_column_kwargs={"server_default": ""})
    reason_code: str = Field(default="", max_length=80)
    answer: str = Field(default="", max_length=30, sa_column_kwargs={"server_default": ""})
    duty: str = Field(default="", max_length=40, sa_column_kwargs={"server_default": ""})
    reference: str = Field(default="", max_length=20, sa_column_kwargs={"server_default": ""})
    """By which the recipient knows the case. Older rows are given theirs at start."""
    changed_at: datetime = Field(sa_type=UtcDateTime)
    first_at: datetime = Field(sa_type=UtcDateTime)


class SnapshotSent(Row, table=True):
    """Which outbox message carries a snapshot, until sharing has decided on it and the stored body
    may go.
    """

    __tablename__ = "snapshot_sent"
    case_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    message_id: UUID


class Bar(Row, table=True):
    """An agency that is kept out of a whole case. Every look-up by an agency asks it.

    Written with each version of the case, from its vetoes.
    """

    __tablename__ = "bar"
    case_id: UUID = Field(primary_key=True)
    agency: str = Field(primary_key=True, max_length=60)


class VetoLifting(Row, table=True):
    """One request to lift a veto. `detail_ct` seals who asked and why under the case's key."""

    __tablename__ = "veto_lifting"
    __table_args__ = (
        Index("ix_veto_lifting_case_id", "case_id"),
        Index("ix_veto_lifting_waiting", "state", "lapses_at"),
    )
    id: UUID = Field(primary_key=True)
    case_id: UUID
    agency: str = Field(max_length=60)
    """Of whoever asked."""
    state: str = Field(max_length=20)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    lapses_at: datetime = Field(sa_type=UtcDateTime)
    settled_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    detail_ct: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class RefusedIntake(Row, table=True):
    """A refused intake, without what it held: it alarms the sender's desk until that one is
    corrected or acknowledged.
    """

    __tablename__ = "refused_intake"
    __table_args__ = (
        Index("ix_refused_intake_listed", "agency", "at", "id"),
        Index("ix_refused_intake_key", "agency", "key_mark"),
        Index("ix_refused_intake_reference", "agency", "reference_mark"),
    )
    id: UUID = Field(primary_key=True)
    agency: str = Field(max_length=60)
    code: str = Field(max_length=60)
    at: datetime = Field(sa_type=UtcDateTime)
    key_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    """Keyed hash of caller and Idempotency-Key."""
    reference_mark: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    """Keyed hash of agency and external reference, if the body could be read."""


def external_index(key: bytes, external_reference: str) -> bytes:
    """Make the blind index by which a sender's own reference is found."""
    return blind_index(key, "referral.external", external_reference)


def table_of(row: type[SQLModel]) -> Table:
    """Give the Core table behind a row class."""
    return row.__table__  # type: ignore[attr-defined, no-any-return]


_BAR = table_of(Bar)


def not_barred(case_id: ColumnElement[UUID], agency: object) -> ColumnElement[bool]:
    """Say that an agency is not kept out of the case; it belongs into every look-up by one."""
    here = (_BAR.c.case_id == case_id, _BAR.c.agency == agency)
    return ~select(_BAR.c.agency).where(*here).exists()


TABLES = frame_tables(METADATA)
SUBJECT_KEY = subject_key_table(METADATA)
