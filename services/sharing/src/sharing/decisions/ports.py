"""What deciding needs from the outside."""

from typing import Protocol
from uuid import UUID

from common.events.case import CaseSnapshot
from sharing.cases.ports import Cases, CaseViews
from sharing.context import Writing
from sharing.decisions.model import SharingDecision
from sharing.disclosures.ports import Disclosures, DisclosureViews, InboxWriter


class Decisions(Protocol):
    """The decisions, inside one writing transaction.

    Obligation: the alternatives (who, what, why) are sealed under the case's key.
    """

    def add(self, decision_id: UUID, snapshot: CaseSnapshot, decision: SharingDecision) -> None:
        """Store a decision with its alternatives, a further one on the same version too."""
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
