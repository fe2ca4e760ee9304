"""Tables of the sharing service, and what its repositories work with.

What is about a person stands in a column ending `_ct`, sealed under the case's key.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlmodel import Field

from common.audit_trail import AuditTrail
from common.database import (
    Database,
    DatabaseStopped,
    DatabaseUnavailable,
    JsonDocument,
    Prepared,
    Unit,
    UtcDateTime,
    UuidType,
    among,
)
from common.inbox import Inbox
from common.outbox import Outbox
from common.sealed import (
    RowAltered,
    RowSeal,
    SubjectKeys,
    subject_key_table,
)
from common.web.frame import Frame, frame_tables
from hubformats.audit_record import AuditEntry
from hubformats.clock import Clock
from sharing.context import SERVICE_ACTOR
from sharing.look_tables import Row
from sharing.notice_tables import METADATA as EVERY_TABLE

_log = logging.getLogger("hub.sharing")
ROW_ALTERED: Final = "row-altered"

METADATA = EVERY_TABLE

# Written the same way in the index and in the query: only then does a database see that the index
# serves it. What they hold is a sliver of all that ever left, and the worker's upkeep asks for it
# every half minute.
ON_PROMISE: Final = text("standing = 'promised'")
NOT_SAVED: Final = text("state = 'released' AND standing <> '' AND saved_at IS NULL")


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
    row_seal: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    """Binds the columns in the clear to each other; null only in a row of before there were seals.
    """


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
        Index("ix_disclosure_promised", "id", sqlite_where=ON_PROMISE, postgresql_where=ON_PROMISE),
        Index(
            "ix_disclosure_not_saved",
            *("recipient", "sealed_to", "id"),
            sqlite_where=NOT_SAVED,
            postgresql_where=NOT_SAVED,
        ),
        Index("ix_disclosure_answer_due", "answer_due"),
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
    opened_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    withdrawn_at: datetime | None = Field(
        default=None, sa_column=Column(UtcDateTime, nullable=True)
    )
    answer_due: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    answered_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime, nullable=True))
    answer: str = Field(default="", max_length=30, sa_column_kwargs={"server_default": ""})
    duty: str = Field(default="", max_length=40, sa_column_kwargs={"server_default": ""})
    unanswered_at: datetime | None = Field(
        default=None, sa_column=Column(UtcDateTime, nullable=True)
    )
    row_seal: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))


# Agencies that the newest decision on a case passed over for being suspended; a row ends when that
# agency is decided on again.
SKIPPED_SUSPENDED = Table(
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
    Column("event_id", UuidType, nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    Column("envelope", LargeBinary, nullable=False),  # ciphertext to its agency's key
    Column("digest", String(43), nullable=False),
    Column("visible_at", UtcDateTime, nullable=False),
    Column("row_seal", LargeBinary, nullable=True),
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
    """Return the Core table behind a row class."""
    found: Table = row.__table__
    return found


def referrer_not_barred() -> ColumnElement[bool]:
    """Say that the case does not keep its own referrer out; it belongs into every look-up by one.

    A row of before there were bars has no such word.
    """
    return func.coalesce(table_of(CaseRow).c.vetting["barred"].as_string(), "") == ""


_CASE = table_of(CaseRow)


_ANSWERS: Final = (
    *("opened_at", "withdrawn_at", "answer_due", "answered_at", "answer", "duty"),
    "unanswered_at",
)
_LATER: Final = {"disclosure": _ANSWERS}
"""Columns of migration 0007, which came while a seal still counted empty ones."""


@dataclass(frozen=True, slots=True)
class RowSeals:
    """What binds the rows of each table to what this service wrote into them."""

    case: RowSeal
    decision: RowSeal
    disclosure: RowSeal
    delivery: RowSeal
    look: RowSeal
    undecided: RowSeal

    @classmethod
    def under(cls, secret: bytes, met: Callable[[RowAltered], None]) -> "RowSeals":
        """Make them from the keyring's secret; `met` hears of every refusal."""
        names = ("case_file", "decision", "disclosure", "delivery", "second_look", "undecided")
        return cls(*(RowSeal(secret, name, met, _LATER.get(name, ())) for name in names))


@dataclass(frozen=True, slots=True)
class RepositoryDeps:
    """What repositories seal, send and record with, given once by wiring.

    `after_send` is called after the commit of a package, with its agency; `after_proof` after the
    commit of a receipt's proof.
    """

    subject_keys: SubjectKeys
    outbox: Outbox
    inbox: Inbox
    trail: AuditTrail
    clock: Clock
    seals: RowSeals
    after_send: Callable[[str], None]
    after_proof: Callable[[], None]

    @classmethod
    def over(
        cls,
        frame: Frame,
        altered: "AlteredRows",
        after_send: Callable[[str], None],
        after_proof: Callable[[], None],
    ) -> "RepositoryDeps":
        """Take what the frame has; `altered` hears of every row that does not fit its seal."""
        keys = SubjectKeys(frame.keyring, SUBJECT_KEY, frame.clock)
        seals = RowSeals.under(frame.keyring.secret("row-seal"), altered.note)
        parts = (frame.outbox, frame.inbox, frame.trail, frame.clock)
        return cls(keys, *parts, seals, after_send, after_proof)

    def case_rows(self, connection: Connection) -> "CaseRows":
        """Return the cases' rows, read in one transaction."""
        return CaseRows(connection, self.seals.case)


class AlteredRows:
    """Alarms each time an altered row is met; writes one entry per row for each process.

    A row is met inside a transaction that then fails. So `settle` writes its entry in one of its
    own. If we crash in between, the next look at the row meets it again.
    """

    def __init__(self, database: Database, trail: AuditTrail) -> None:
        self._database = database
        self._trail = trail
        self._waiting: deque[RowAltered] = deque()
        self._told: set[tuple[str, str]] = set()

    def note(self, altered: RowAltered) -> None:
        """Alarm, and remember the row for `settle`. Call from any thread."""
        _log.error("a row was altered", extra={"alarm": ROW_ALTERED, "code": altered.table})
        if (altered.table, altered.row) not in self._told:
            self._told.add((altered.table, altered.row))
            self._waiting.append(altered)

    async def settle(self) -> int:
        """Write the entries of what was noted, and count them; without a database they wait."""
        done = 0
        while self._waiting:
            altered = self._waiting[0]
            with suppress(DatabaseUnavailable, DatabaseStopped):
                await self._database.write(lambda unit: self._record(unit, altered))  # noqa: B023
                self._waiting.remove(altered)
                done += 1
                continue
            break
        return done

    def _record(self, unit: Unit, altered: RowAltered) -> None:
        self._trail.record(
            unit,
            AuditEntry(
                operation="denied",
                outcome="refused",
                actor=SERVICE_ACTOR,
                resource_type=altered.table,
                resource_id=altered.row,
                reason_code=ROW_ALTERED,
            ),
        )


CASE_SEALED: Final = tuple(
    column.key for column in _CASE.c if column.key not in {"snapshot_ct", "row_seal"}
)
CASE_READ: Final = select(*(_CASE.c[name] for name in CASE_SEALED), _CASE.c.row_seal)
"""What is read of a case to be checked; `CaseRows` alone says that it is as it was written."""
_CASE_ROWS: Final = Prepared(
    lambda dialect: CASE_READ.where(among(_CASE.c.case_id, "ids", dialect))
)


class CaseRows:
    """Reads the rows of cases, each checked against its seal."""

    def __init__(self, connection: Connection, seal: RowSeal) -> None:
        self._conn = connection
        self._seal = seal

    def checked(self, row: Any) -> Any:
        """Return a row of `CASE_READ`, if it is as this service wrote it. Raises RowAltered."""
        said = {name: getattr(row, name) for name in CASE_SEALED}
        self._seal.check(row.case_id, said, row.row_seal)
        return row

    def demand(self, case_id: UUID) -> None:
        """Check the case's row. Raises RowAltered."""
        for row in _CASE_ROWS.run(self._conn, {"ids": [case_id]}):
            self.checked(row)

    def seal(self, values: Mapping[str, Any]) -> bytes:
        """Make the seal of a row with these columns."""
        return self._seal.of({name: values[name] for name in CASE_SEALED})

    def seal_again(self, row: Any, changed: Mapping[str, Any]) -> bytes:
        """Make the seal of a row with these columns changed."""
        return self.seal({**{name: getattr(row, name) for name in CASE_SEALED}, **changed})
