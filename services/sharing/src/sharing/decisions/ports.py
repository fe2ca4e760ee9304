"""What deciding needs from the outside."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from common.access import Granted
from common.events.case import CaseSnapshot
from sharing.cases.model import AuthorisedCase
from sharing.cases.ports import Cases, CaseViews
from sharing.context import Writing
from sharing.decisions.model import SharingDecision, Undecided
from sharing.disclosures.ports import Disclosures, DisclosureViews, InboxWriter


class Decisions(Protocol):
    """The decisions, inside one writing transaction.

    Obligation: the alternatives (who, what, why) are sealed under the case's key.
    """

    def add(self, decision_id: UUID, snapshot: CaseSnapshot, decision: SharingDecision) -> None:
        """Store a decision with its alternatives, a further one on the same version too."""
        ...


class UndecidedSnapshots(Protocol):
    """Snapshots that wait to be decided on, inside one writing transaction.

    Obligations: the content is sealed under the case's key before it is stored. What is opened is
    the snapshot of the row's case, version and sender.

    Raises RowAltered.
    """

    def waits(self) -> bool:
        """Tell whether any snapshot waits."""
        ...

    def add(self, snapshot: CaseSnapshot) -> bool:
        """Keep it until its sender's turn; False when this version of the case waits already.

        An urgent one makes what waits of its case urgent.
        """
        ...

    def authorised(self, granted: Granted, one: Undecided) -> AuthorisedCase | None:
        """Return a waiting snapshot for this service's own work; None for others or when gone."""
        ...

    def snapshot(self, authorised: AuthorisedCase) -> CaseSnapshot:
        """Open the snapshot. Raises NotAllowed, ContentGone, RowAltered."""
        ...

    def done(self, case_id: UUID, version: int) -> bool:
        """Take it out, locked; False when somebody else did."""
        ...

    def postpone(self, one: Undecided, until: datetime) -> None:
        """Have it, and what waits of its case behind it, tried again then."""
        ...

    def forget(self, case_id: UUID) -> int | None:
        """Destroy the content of all that waits of a case, and take it out.

        Returns its last version; None when nothing waited.
        """
        ...


class UndecidedViews(Protocol):
    """What waits, on one snapshot that cannot write; no personal data."""

    def heads(self, now: datetime, *, urgent: bool) -> tuple[Undecided, ...]:
        """List the first of each sender that may be tried now, oldest first.

        Only the earliest version of a case is ever one. Urgent ones, or all the others.
        """
        ...


class DecisionTx(Writing, Protocol):
    """One writing transaction, as deciding uses it."""

    @property
    def cases(self) -> Cases:
        """The cases."""
        ...

    @property
    def decisions(self) -> Decisions:
        """The decisions."""
        ...

    @property
    def disclosures(self) -> Disclosures:
        """The disclosures."""
        ...

    @property
    def inbox(self) -> InboxWriter:
        """The agencies' inboxes."""
        ...

    @property
    def undecided(self) -> UndecidedSnapshots:
        """What waits to be decided on."""
        ...


class DecisionView(Protocol):
    """One snapshot that cannot write, as deciding uses it."""

    @property
    def cases(self) -> CaseViews:
        """The cases."""
        ...

    @property
    def disclosures(self) -> DisclosureViews:
        """The disclosures."""
        ...

    @property
    def undecided(self) -> UndecidedViews:
        """What waits to be decided on."""
        ...
