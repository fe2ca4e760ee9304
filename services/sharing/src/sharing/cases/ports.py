"""What use cases need of the cases that sharing keeps."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from common.access import Granted
from common.events.case import CaseSnapshot
from sharing.cases.model import AuthorisedCase, CaseFile, Reason


class Cases(Protocol):
    """The cases, inside one writing transaction.

    Obligations: what is about a person is sealed under the case's key before it is stored. Every
    method that reads one case refuses a row that is not as it was written.

    Raises RowAltered.
    """

    def find(self, case_id: UUID) -> CaseFile | None:
        """Find the case as last decided on; nothing of it is opened."""
        ...

    def hold(self, case_id: UUID) -> CaseFile | None:
        """Find and lock the case: nobody else decides on it until the transaction ends."""
        ...

    def by_reference(self, agency: str, reference: str) -> CaseFile | None:
        """Find the case the referrer knows under this reference; None for every other agency."""
        ...

    def authorised(self, granted: Granted, case_id: UUID, reason: Reason) -> AuthorisedCase | None:
        """Return the case for this service's own work; None for every other caller."""
        ...

    def authorised_by_reference(self, granted: Granted, reference: str) -> AuthorisedCase | None:
        """Return the case that the caller's agency referred under this reference.

        None for any other agency, and for who reported for a third party.
        """
        ...

    def named(self, case_ids: Collection[UUID]) -> Mapping[UUID, CaseFile]:
        """Find these cases by id; one that was altered is left out, alarmed."""
        ...

    def snapshot(self, authorised: AuthorisedCase) -> CaseSnapshot:
        """Open the current snapshot. Raises NotAllowed, ContentGone, RowAltered."""
        ...

    def keep(self, snapshot: CaseSnapshot, reference: str) -> None:
        """Make this the case's current snapshot; `reference` is the referrer's own."""
        ...

    def forget(self, case_id: UUID, subject_id: UUID) -> None:
        """Destroy the case's key and every sealed part about this person.

        A later snapshot starts a new key.
        """
        ...

    def held(self, case_id: UUID) -> bool:
        """Tell whether an authentic message about the case is in quarantine: nothing may leave."""
        ...

    def skipped_suspended(self, case_id: UUID) -> frozenset[str]:
        """List agencies that the newest decision told nothing because they were suspended."""
        ...

    def keep_skipped_suspended(self, case_id: UUID, agencies: Collection[str]) -> None:
        """Make these the case's skipped agencies; one that already was keeps its time."""
        ...


@dataclass(frozen=True, slots=True)
class Withheld:
    """How many cases, as they stand, this agency was told nothing of because it was suspended.

    `oldest` is the earliest decision.
    """

    recipient: str
    count: int
    oldest: datetime


class CaseViews(Protocol):
    """What may be looked at without a writing transaction; no personal data."""

    def withheld_while_suspended(self) -> tuple[Withheld, ...]:
        """List agencies that a current decision skipped, until they are restored and decided on."""
        ...

    def that_skipped(
        self, agencies: Collection[str], after: UUID | None, limit: int
    ) -> tuple[UUID, ...]:
        """List cases that skipped one of these agencies, by id, behind `after`."""
        ...
