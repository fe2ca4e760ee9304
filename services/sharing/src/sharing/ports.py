"""What the use cases need from the outside, with the obligations an adapter must keep."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from common.access import Granted
from common.events import Event
from common.events.case import CaseSnapshot, Marking
from hubformats.agency_events import DisclosurePackage, Promise
from hubformats.audit_record import AuditEntry
from hubformats.keys import VerificationKey
from sharing.domain.agreement import Agreement
from sharing.domain.deciding import Agency, Question, Ruling
from sharing.domain.disclosure import Disclosure, Evidence

T = TypeVar("T")


class Rules(Protocol):
    """A loaded agreement.

    Obligation: answers every question, in order; whatever cannot be evaluated is denied as
    ``rule-failed``.
    """

    agreement: Agreement

    def rule(
        self, snapshot: CaseSnapshot, asked: Sequence[Question], agencies: Sequence[Agency]
    ) -> tuple[Ruling, ...]:
        """May each agency have each parcel?"""
        ...


class Directory(Protocol):
    """Which agencies there are and which may act.

    Obligation: answers from memory; `fresh` is False when the copy is over 60 s old.
    """

    def agencies(self) -> tuple[Agency, ...]:
        """All agencies, with their state of the moment."""
        ...

    def fresh(self) -> bool:
        """Whether that state may be relied on."""
        ...

    def sealing_key(self, agency: str) -> str | None:
        """Id of the key that something for this agency is sealed to now; None when it has none."""
        ...

    def verification(self, kid: str) -> VerificationKey | None:
        """A signing key by id."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """An audit record as it was written, for the package that must prove it."""

    id: UUID
    record: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class CaseFile:
    """What sharing knows of a case: the newest snapshot version it has decided on.

    No personal data.

    `markings` are the vetoes that the decision already took into account, each with the first
    version that did without a break;
    `source` is how the referral came to be.
    """

    case_id: UUID
    version: int
    referrer: str
    subjects: tuple[UUID, ...]
    markings: Mapping[UUID, int]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Unproven:
    """A disclosure whose proof is not here: it waits for its receipt, or left on a promise.

    `reference` is the referrer's for the case,
    `urgent` whether its referrer said that there is danger now.
    """

    disclosure: Disclosure
    reference: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A disclosure that something is to be sealed for, and what the release check must ask about
    first.
    """

    delivery_id: UUID
    case_id: UUID
    version: int
    subjects: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One sealed envelope in an agency's inbox, at its place in that inbox alone."""

    position: int
    delivery_id: UUID
    kind: str
    envelope: bytes
    digest: str
    event_id: UUID
    visible_at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """An inbox item as its agency sees it; `case_id` and `referrer` are for the audit log, never
    for the agency.
    """

    delivery: Delivery
    case_id: UUID
    referrer: str
    saved_at: datetime | None
    acknowledged_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stuck:
    """How many disclosures wait or are blocked for one reason, and since when the oldest does."""

    state: str
    reason: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Withheld:
    """How many cases, as they stand, this agency was told nothing of because it was suspended;
    `oldest` is the earliest decision.
    """

    recipient: str
    count: int
    oldest: datetime


class Tx(Protocol):
    """The repository inside one writing transaction.

    Obligations: every method takes part in the caller's transaction and never commits; what is
    about a person is sealed under the case's key before it reaches the database; `send_package` and
    `publish` leave only if the transaction commits.
    """

    def case(self, case_id: UUID) -> CaseFile | None:
        """The case as last decided on."""
        ...

    def hold_case(self, case_id: UUID) -> CaseFile | None:
        """The same, locked: nobody else decides on this case until the transaction ends."""
        ...

    def case_by_reference(self, agency: str, reference: str) -> CaseFile | None:
        """The case the referring agency knows under this reference; None for every other agency."""
        ...

    def keep_snapshot(self, granted: Granted, snapshot: CaseSnapshot, reference: str) -> None:
        """Make this the case's current snapshot; `reference` is the referrer's own."""
        ...

    def passed_over(self, case_id: UUID) -> frozenset[str]:
        """Agencies that the newest decision on the case told nothing for being suspended."""
        ...

    def keep_passed_over(self, case_id: UUID, agencies: Collection[str]) -> None:
        """Make these the case's passed-over agencies; one that already was keeps its time."""
        ...

    def snapshot(self, granted: Granted, case_id: UUID) -> CaseSnapshot:
        """The current snapshot, opened. Raises LookupError when it is gone."""
        ...

    def forget(self, case_id: UUID, subject_id: UUID) -> None:
        """Destroy the case's key and every sealed part about this person; a later snapshot starts a
        new key.
        """
        ...

    def keep_decision(
        self,
        decision_id: UUID,
        case_id: UUID,
        version: int,
        summary: Mapping[str, Any],
        detail: str,
    ) -> None:
        """Store a decision, a further one on the same version too; `summary` names no person,
        `detail` (who, what, why) is sealed.
        """
        ...

    def add_disclosure(self, granted: Granted, disclosure: Disclosure, evidence: Evidence) -> None:
        """Store a disclosure that waits for its receipt."""
        ...

    def disclosure(self, delivery_id: UUID) -> Disclosure | None:
        """One disclosure, locked for this transaction."""
        ...

    def evidence(self, granted: Granted, disclosure: Disclosure) -> Evidence:
        """Its content, record, leaf and proof, opened.

        Raises LookupError when the case's key is gone.
        """
        ...

    def promise(self, disclosure: Disclosure) -> Promise | None:
        """What was promised of it, to be said again by the same time; None when the log has refused
        its record, or nothing was.
        """
        ...

    def by_record(self, record_id: UUID) -> Disclosure | None:
        """The disclosure whose audit record has this id."""
        ...

    def of_case(self, case_id: UUID) -> tuple[Disclosure, ...]:
        """All disclosures of a case, oldest first."""
        ...

    def unproven(
        self, referrer: str, limit: int, delivery_id: UUID | None = None
    ) -> tuple[Unproven, ...]:
        """What waits for its receipt or left on a promise, of cases this agency referred and not
        for a third party; or only this one.

        What waits first, of that what is urgent, then the newest: a long backlog must not hide who
        is in danger now.
        """
        ...

    def advance(self, delivery_id: UUID, expected: Sequence[str], **changes: Any) -> bool:
        """Change a disclosure if its state is still one of `expected`; False if another did
        first.
        """
        ...

    def prove(self, delivery_id: UUID, leaf: bytes, index: int, proof: str) -> None:
        """Keep what the receipt brought."""
        ...

    def held(self, case_id: UUID) -> bool:
        """Whether an authentic but unprocessable message about this case waits in quarantine:
        nothing may be released.
        """
        ...

    def send_package(
        self,
        disclosure: Disclosure,
        event: DisclosurePackage,
        *,
        kind: str,
        not_before: datetime | None,
    ) -> Delivery:
        """Seal once to the recipient's current key, store the bytes for relay and inbox.

        Raises LookupError without a key.
        """
        ...

    def deliveries(self, agency: str, delivery_id: UUID) -> tuple[Shown, ...]:
        """Every envelope this agency was given for this delivery, oldest first; empty for another
        agency's.
        """
        ...

    def inbox(self, agency: str, after: int, limit: int, now: datetime) -> tuple[Shown, ...]:
        """Envelopes behind position `after` in order, up to the first that may not be seen yet."""
        ...

    def confirmed(self, event_ids: Sequence[UUID]) -> None:
        """The other end holds these messages: their bytes need not be sent again."""
        ...

    def publish(self, case_id: UUID, event: Event) -> None:
        """Tell referral, in order per case."""
        ...

    def record(self, entry: AuditEntry) -> Record:
        """Write an audit record; durable when the transaction is."""
        ...


class View(Protocol):
    """What may be looked at without a writing transaction; no personal data."""

    def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        """Proven disclosures whose next try is due, oldest first."""
        ...

    def next_due(self) -> datetime | None:
        """When the next try is due at the earliest."""
        ...

    def promised_with_proof(self, after: UUID | None, limit: int) -> tuple[Due, ...]:
        """Released on a promise, with the proof now here; by id, behind `after`."""
        ...

    def promises_due(self, now: datetime, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """Deliveries released on a promise that is past its hour; by id, behind `after`."""
        ...

    def overdue_promises(self, now: datetime) -> int:
        """How many promises were not kept in time."""
        ...

    def sealed_to_old_keys(
        self, current: Mapping[str, str], after: UUID | None, limit: int
    ) -> tuple[Due, ...]:
        """Released, proven or on a promise, not saved, and sealed to a key that is no longer its
        recipient's current one; by id, behind `after`.
        """
        ...

    def has_delivery(self, agency: str, after: int, now: datetime) -> bool:
        """Whether the next envelope behind a place may be seen: a look that shows nothing and needs
        no audit record.
        """
        ...

    def stuck(self) -> tuple[Stuck, ...]:
        """What waits or is blocked, by state and reason."""
        ...

    def blocked(self, deliveries: Collection[UUID], reason: str, limit: int) -> tuple[UUID, ...]:
        """Cases with a blocked disclosure that is one of these or has this reason, by id."""
        ...

    def withheld_while_suspended(self) -> tuple[Withheld, ...]:
        """Agencies that a current decision passed over for being suspended, until they are restored
        and decided on again.
        """
        ...

    def passed_over(
        self, agencies: Collection[str], after: UUID | None, limit: int
    ) -> tuple[UUID, ...]:
        """Cases that passed over one of these agencies, by id, behind `after`."""
        ...


class Store(Protocol):
    """Opens transactions.

    Obligation: `write` returns only after the commit; an exception leaves nothing behind.
    """

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one writing transaction and commit."""
        ...

    async def read(self, work: Callable[[View], T]) -> T:
        """Run `work` on one snapshot that cannot write."""
        ...


@dataclass(frozen=True, slots=True)
class CaseState:
    """Referral's answer to a release check: the newest version and the vetoes in force at this
    moment.

    `asked` is the monotonic clock, in seconds, just before the question left: an answer is never
    younger than that.
    """

    version: int
    vetoes: tuple[Marking, ...]
    asked: float


class ReleaseChecks(Protocol):
    """Asks the owner of the vetoes.

    Obligation: returns None rather than an old answer when none can be had now.
    """

    async def check(
        self, case_id: UUID, version: int, subjects: Sequence[UUID]
    ) -> CaseState | None:
        """The state of the case now, or None."""
        ...


class Sealed(LookupError):
    """What was asked for is gone: the case's key was destroyed."""
