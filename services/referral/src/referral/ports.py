"""What the use cases need from the outside, with the obligations an adapter must keep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from common.access import Granted
from common.attempts import Answer, Attempt
from common.events.case import CaseSnapshot, Fact, Marking
from hubformats.audit_record import AuditEntry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredReferral:
    """A referral as its own agency may see it again. Times are UTC."""

    referral_id: UUID
    case_id: UUID
    agency: str
    form: str
    kind: str
    area: str
    source: str
    state: str
    external_reference: str | None
    received_at: datetime
    version: int
    rules_version: str
    snapshot_head: Mapping[str, Any]
    """The part of the latest snapshot that holds no fact: subjects, risk, consent, markings, flags.
    """

    @property
    def claims_reference(self) -> bool:
        """Whether no other may come under its external reference: a full form that stands alone,
        which may be a repeat.

        Danger is never refused for its reference: the next urgent form of an incident is new
        danger, and the full form that completes one comes under the incident's own number.
        """
        return self.form == "full" and self.version == 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one permitted recipient, newest state. Times are UTC."""

    recipient: str
    snapshot_version: int
    state: str
    clause: str
    changed_at: datetime
    proof: str = ""
    reason_code: str = ""
    earlier_promise: str = ""
    """What an emergency release of an earlier version came to that has no proof: `overdue`, or
    `broken`.
    """


@dataclass(frozen=True, slots=True)
class CaseState:
    """What a release check may say: the current version and the vetoes in force.

    No personal data.
    """

    case_id: UUID
    version: int
    subjects: tuple[UUID, ...]
    markings: tuple[Marking, ...]


@dataclass(frozen=True, slots=True)
class RefusedIntake:
    """An open alarm of a sender's desk: when it was first refused, and the newest problem code."""

    id: UUID
    at: datetime
    code: str


RefusedPlace = tuple[datetime, UUID]
"""Where a page of open alarms ended: time and id of its last."""


@dataclass(frozen=True, slots=True)
class RefusedPage:
    """Some of a desk's open alarms, whether others stand behind them, and how many there are in
    all.
    """

    items: tuple[RefusedIntake, ...]
    more: bool
    total: int


class ReferralTx(Protocol):
    """The repository inside one transaction.

    Obligations: every method takes part in the caller's transaction and never commits; personal
    data is encrypted per subject before it reaches the database; rows of another agency are as if
    they did not exist.
    """

    def insert(self, granted: Granted, referral: StoredReferral, snapshot: CaseSnapshot) -> None:
        """Store a new case or a new version of one, its facts, the referral row, and publish the
        snapshot, all or nothing.
        """
        ...

    def find(self, granted: Granted, referral_id: UUID) -> StoredReferral | None:
        """The agency's own referral, or None, with the same work done either way."""
        ...

    def find_by_external(self, granted: Granted, external_reference: str) -> UUID | None:
        """The referral with which the agency already claimed this reference of its own."""
        ...

    def completion(self, granted: Granted, case_id: UUID) -> StoredReferral | None:
        """The agency's full referral that completed the urgent one of this case, or None."""
        ...

    def facts(self, granted: Granted, case_id: UUID) -> tuple[Fact, ...]:
        """The facts of the case's current version, decrypted."""
        ...

    def replace_snapshot(
        self, granted: Granted, referral: StoredReferral, snapshot: CaseSnapshot
    ) -> None:
        """Make `snapshot` the current version of an existing case and publish it.

        Raises VersionMoved if another did first.
        """
        ...

    def case_state(self, case_id: UUID) -> CaseState | None:
        """The current version and markings; None if the case does not exist."""
        ...

    def outcomes(self, case_id: UUID) -> tuple[Outcome, ...]:
        """Latest state per permitted recipient, in order of the first decision."""
        ...

    def put_outcome(self, case_id: UUID, outcome: Outcome) -> None:
        """Insert or advance the state of one recipient; an older event never overwrites a newer
        state.
        """
        ...

    def promise_unkept(self, case_id: UUID, recipient: str, version: int, standing: str) -> None:
        """What left on a promise at this version is `overdue`, or `broken` for good; it stays told
        when later versions are.
        """
        ...

    def snapshot_decided(self, case_id: UUID, version: int) -> None:
        """Sharing has decided on this snapshot: the sealed bytes of it and of older ones need not
        be kept for resending.
        """
        ...

    def is_decided(self, case_id: UUID, version: int) -> bool:
        """Whether sharing has decided on that version; with no outcome it then means that nobody
        was told.
        """
        ...

    def note_refused_intake(
        self,
        agency: str,
        *,
        code: str,
        at: datetime,
        key_mark: bytes | None,
        external_reference: str | None,
    ) -> bool:
        """Remember, without content, that a sender's intake was refused; tried again and refused
        again, it is still one.

        None is dropped, however many there are. True when they have just become so many that a
        person must be told.
        """
        ...

    def correct_refused_intakes(
        self, granted: Granted, key_mark: bytes, external_reference: str | None
    ) -> None:
        """An intake was accepted: the alarms of those refused under the same Idempotency-Key or
        external reference end.
        """
        ...

    def acknowledge_refused_intake(
        self, granted: Granted, refused_id: UUID
    ) -> RefusedIntake | None:
        """End one alarm of the agency; it as it was, or None when there is none of that id."""
        ...

    def refused_intakes(
        self, granted: Granted, after: RefusedPlace | None, limit: int
    ) -> RefusedPage:
        """The sender's open alarms behind a place, oldest first."""
        ...

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Run `work` once per Idempotency-Key; a repeat gets the stored answer, kept encrypted in
        the same transaction.
        """
        ...

    def record(self, entry: AuditEntry) -> None:
        """Write the audit record in this transaction; it is durable when the transaction is."""
        ...


class Store(Protocol):
    """Opens transactions.

    Obligation: `write` returns only after the commit; an exception leaves nothing behind.
    """

    async def write(self, work: Callable[[ReferralTx], T]) -> T:
        """Run `work` in one writing transaction and commit."""
        ...


class VersionMoved(Exception):
    """The case has a newer version than the one the change was made for."""
