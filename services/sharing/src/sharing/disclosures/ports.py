"""What releasing needs from the outside, with the obligations an adapter must keep."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from common.access import Granted
from common.events.case import Marking
from hubformats.agency_events import DisclosurePackage, Promise
from sharing.cases.model import Reason
from sharing.cases.ports import Cases, CaseViews
from sharing.content.model.projection import Kind
from sharing.context import Writing
from sharing.disclosures.model.disclosure import AuthorisedDisclosure, Disclosure, Hold, State
from sharing.disclosures.model.evidence import Evidence
from sharing.second_look.ports import FilingTx


@dataclass(frozen=True, slots=True)
class Unproven:
    """A disclosure whose proof is not here: it waits for its receipt, or left on a promise.

    `reference` is the referrer's for the case; `urgent` says whether there is danger now.
    """

    disclosure: Disclosure
    reference: str
    urgent: bool = False


class Disclosures(Protocol):
    """The disclosures, inside one writing transaction.

    Obligations: evidence is sealed under the case's key before it is stored. Every method that
    reads one case or delivery refuses a row that is not as it was written.

    Raises RowAltered.
    """

    def add(self, disclosure: Disclosure, evidence: Evidence) -> None:
        """Store a disclosure that waits for its receipt."""
        ...

    def get(self, delivery_id: UUID) -> Disclosure | None:
        """Find one disclosure, locked for this transaction; nothing of it is opened."""
        ...

    def by_record(self, record_id: UUID) -> Disclosure | None:
        """Find the disclosure whose audit record has this id, locked."""
        ...

    def of_case(self, case_id: UUID) -> tuple[Disclosure, ...]:
        """List all disclosures of a case, oldest first."""
        ...

    def delivered(self, delivery_ids: Collection[UUID]) -> Mapping[UUID, Disclosure]:
        """Find these disclosures by id; one that was altered is left out, alarmed."""
        ...

    def set_aside(self, delivery_id: UUID) -> None:
        """Take a proven one whose row was altered off the worker's list.

        Nothing of the row is believed, and it stays refused.
        """
        ...

    def authorised(
        self, granted: Granted, delivery_id: UUID, reason: Reason | None = None
    ) -> AuthorisedDisclosure | None:
        """Return the disclosure, locked, if the caller has a relation to it.

        With a `reason`, it is for this service's own work. Else it is for the agency that referred
        the case, and not for a third party. None for every other caller, as for no such disclosure.
        """
        ...

    def evidence(self, authorised: AuthorisedDisclosure) -> Evidence:
        """Open its content, record, leaf and proof; there is no other way to them.

        Recipient, referrer, clause, case and content must be those of the sealed decision and of
        the log's record.

        Raises NotAllowed, ContentGone, RowAltered.
        """
        ...

    def replace(self, old: Disclosure, new: Disclosure) -> None:
        """Store `new` if the disclosure is still just as `old` says, in every field that changes.

        Raises Moved if another change came first, ValueError when they are not the same disclosure.
        """
        ...

    def keep_proof(self, delivery_id: UUID, leaf: bytes, index: int, proof: str) -> None:
        """Keep what the receipt brought; the first receipt stays."""
        ...

    def promised(self, disclosure: Disclosure) -> Promise | None:
        """Return what was promised of it, to be said again by the same time.

        None when the log has refused its record, or nothing was promised.
        """
        ...

    def unproven(
        self, granted: Granted, limit: int, delivery_id: UUID | None = None
    ) -> tuple[Unproven, ...]:
        """List what of the caller's own referrals has no proof, or only this one.

        Leaves out what was reported for a third party. What waits comes first, the urgent before
        the rest, then the newest. So a long backlog hides nobody who is in danger now.
        """
        ...


class InboxWriter(Protocol):
    """Puts a sealed package into its recipient's inbox and on its topic."""

    def send(
        self,
        disclosure: Disclosure,
        package: DisclosurePackage,
        *,
        kind: Kind,
        not_before: datetime | None,
    ) -> str:
        """Seal once to the recipient's current key and store the bytes; their digest.

        They leave only if the transaction commits.

        Raises LookupError without a key.
        """
        ...

    def stop(self, disclosure: Disclosure) -> None:
        """Keep what of it has not left for its topic from leaving.

        A stop takes its place, under its number; without a key to seal one to, the number is lost.
        """
        ...


class ReleaseTx(Writing, Protocol):
    """One writing transaction, as releasing uses it."""

    @property
    def cases(self) -> Cases:
        """The cases."""
        ...

    @property
    def disclosures(self) -> Disclosures:
        """The disclosures."""
        ...

    @property
    def inbox(self) -> InboxWriter:
        """The agencies' inboxes."""
        ...


class EmergencyTx(ReleaseTx, FilingTx, Protocol):
    """One writing transaction of an emergency release, which is filed for a second look."""


@dataclass(frozen=True, slots=True)
class Due:
    """A disclosure that something is to be sealed for, and what to ask referral about first."""

    delivery_id: UUID
    case_id: UUID
    version: int
    subjects: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Stuck:
    """How many disclosures wait or are blocked for one reason, and since when the oldest does."""

    state: State
    reason: Hold | None
    count: int
    oldest: datetime


class DisclosureViews(Protocol):
    """What may be looked at without a writing transaction; no personal data."""

    def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        """List proven disclosures whose next try is due, oldest first."""
        ...

    def next_due(self) -> datetime | None:
        """Return when the next try is due at the earliest."""
        ...

    def promised_with_proof(self, after: UUID | None, limit: int) -> tuple[Due, ...]:
        """List disclosures released on a promise whose proof is here; by id, behind `after`."""
        ...

    def promises_due(self, now: datetime, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """List deliveries released on a promise that is past its hour; by id, behind `after`."""
        ...

    def overdue_promises(self, now: datetime) -> int:
        """Count promises that were not kept in time."""
        ...

    def unanswered(self, now: datetime, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """List deliveries whose answer is overdue and was not told yet; by id, behind `after`."""
        ...

    def overdue_answers(self, now: datetime) -> int:
        """Count answers that did not come in time and still have not."""
        ...

    def sealed_to_old_keys(
        self, current: Mapping[str, str], after: UUID | None, limit: int
    ) -> tuple[Due, ...]:
        """List what was released, not saved, and sealed to a key its recipient no longer uses.

        `current` holds the key id of each recipient. By id, behind `after`.
        """
        ...

    def stuck(self) -> tuple[Stuck, ...]:
        """List what waits or is blocked, by state and reason."""
        ...

    def blocked(self, deliveries: Collection[UUID], reason: str, limit: int) -> tuple[UUID, ...]:
        """List cases with a blocked disclosure that is one of these or has this reason, by id."""
        ...


class ReleaseView(Protocol):
    """One snapshot that cannot write, as releasing uses it."""

    @property
    def cases(self) -> CaseViews:
        """The cases."""
        ...

    @property
    def disclosures(self) -> DisclosureViews:
        """The disclosures."""
        ...


@dataclass(frozen=True, slots=True)
class CaseState:
    """Referral's answer to a release check: the newest version and the vetoes in force now.

    `asked` is the monotonic clock, in seconds, just before the question left: an answer is never
    younger than that.
    """

    version: int
    vetoes: tuple[Marking, ...]
    asked: float

    def said(self) -> dict[str, Any]:
        """Return the answer as an audit record commits to it."""
        vetoes = sorted(str(marking.marking_id) for marking in self.vetoes)
        return {"version": self.version, "vetoes": vetoes}


class ReleaseChecks(Protocol):
    """Asks the owner of the vetoes.

    Obligation: returns None rather than an old answer when none can be had now.
    """

    async def check(
        self, case_id: UUID, version: int, subjects: Sequence[UUID]
    ) -> CaseState | None:
        """Return the state of the case now, or None."""
        ...

    async def check_all(self, case_ids: Collection[UUID]) -> Mapping[UUID, CaseState] | None:
        """Ask for the states of these cases now, in one question; None when not answered whole.

        One that its owner does not vouch for is left out.
        """
        ...


class Promises(Protocol):
    """Makes the log's promise for a record."""

    async def promise(self, record_id: UUID) -> Promise:
        """Promise that a committed record will be in the log within an hour from now.

        Raises LookupError for a record that the log has refused.
        """
        ...
