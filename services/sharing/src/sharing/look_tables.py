"""Tables of the queues, and what every table class of this service stands on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from common.database import UtcDateTime, new_metadata

METADATA = new_metadata()


class Row(SQLModel, registry=registry(metadata=METADATA)):
    """Base of every table class of this service.

    Repositories write their rows by Core statements.
    """


class LookRow(Row, table=True):
    """One item of the second-look queue. It holds no personal data."""

    __tablename__ = "second_look"
    __table_args__ = (Index("ix_second_look_due", "state", "due_at"),)
    id: UUID = Field(primary_key=True)
    """The act's own, so that one heard of twice is one item."""
    case_id: UUID
    act: str = Field(max_length=40)
    reason_code: str = Field(max_length=40)
    filed_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    state: str = Field(max_length=20)
    owner: str = Field(default="", max_length=64)
    """Keyed token of the officer who took it."""
    reviewed_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    outcome_code: str = Field(default="", max_length=40)
    escalated_by: str = Field(default="", max_length=64, sa_column_kwargs={"server_default": ""})
    """Keyed token of the officer who escalated it: the next person is another."""
    told_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    """When it was told of after it was filed or escalated."""
    alarmed_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    row_seal: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    """Binds the columns to each other and to the rows of who took part."""


class LookParty(Row, table=True):
    """Somebody who took part in the act, by a keyed token."""

    __tablename__ = "second_look_party"
    look_id: UUID = Field(primary_key=True)
    token: str = Field(primary_key=True, max_length=64)
    agency: str = Field(max_length=64)
    role: str = Field(max_length=200)


class UndecidedRow(Row, table=True):
    """One snapshot that waits for its sender's turn. What is about people is in `snapshot_ct`.

    The other columns decide only the order: what is opened must say the same case, version and
    sender.
    """

    __tablename__ = "undecided"
    __table_args__ = (Index("ix_undecided_turn", "urgent", "sender", "place"),)
    case_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    place: UUID
    """Grows with the time of arrival."""
    sender: str = Field(max_length=64)
    urgent: bool
    key_id: UUID
    """The case's key, or the one that it will have."""
    snapshot_ct: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    again_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    """When it is tried again, if deciding on it failed."""
