"""What reading an inbox and taking receipts in need from the outside."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from common.access import Granted
from sharing.cases.ports import Cases
from sharing.context import Writing
from sharing.disclosures.ports import Disclosures
from sharing.inbox.model import AuthorisedDelivery, Only, Shown, UnderWay
from sharing.signed.ports import KeyUses


class Inbox(Protocol):
    """The agencies' inboxes, inside one writing transaction.

    Obligation: every lookup is scoped to one recipient; another's item and none look the same.
    """

    def behind(
        self, granted: Granted, after: int, limit: int, now: datetime, only: Only = None
    ) -> tuple[Shown, ...]:
        """List the caller's envelopes behind position `after`, up to the first not to be seen yet.

        Withdrawals alone, where they are asked for. What was taken back is not among them.
        """
        ...

    def envelopes(self, granted: Granted, delivery_id: UUID) -> tuple[Shown, ...]:
        """List every envelope of this delivery that the caller's agency was given, oldest first.

        None once it was taken back.
        """
        ...

    def given_to(self, granted: Granted, delivery_id: UUID) -> AuthorisedDelivery | None:
        """Find the delivery, its disclosure locked, if the caller's agency was given it.

        Also when it was taken back: what is said of it then still counts.
        """
        ...

    def under_way(self, event_ids: Collection[UUID]) -> tuple[UnderWay, ...]:
        """Tell which of these messages to agencies are packages, and what each is."""
        ...

    def confirmed(self, event_ids: Sequence[UUID]) -> None:
        """Note that the other end holds these messages: their bytes need not be sent again."""
        ...


class InboxTx(Writing, Protocol):
    """One writing transaction, as the inbox uses it."""

    @property
    def cases(self) -> Cases:
        """The cases."""
        ...

    @property
    def disclosures(self) -> Disclosures:
        """The disclosures."""
        ...

    @property
    def inbox(self) -> Inbox:
        """The agencies' inboxes."""
        ...

    @property
    def signed(self) -> KeyUses:
        """What agencies signed."""
        ...


class InboxViews(Protocol):
    """What may be looked at without a writing transaction."""

    def waiting(
        self, agency: str, after: int, limit: int, now: datetime, only: Only = None
    ) -> frozenset[UUID] | None:
        """List the cases of envelopes behind a place, to be asked about; None if there are none.

        Withdrawals alone, where they are asked for. A look that shows nothing needs no record.
        """
        ...

    def case_of(self, agency: str, delivery_id: UUID) -> UUID | None:
        """Find the case to ask about before this delivery is shown.

        None for what was taken back, and for what this agency was not given. None for a withdrawal,
        too: no veto stands against one.
        """
        ...


class InboxView(Protocol):
    """One snapshot that cannot write, as the inbox uses it."""

    @property
    def inbox(self) -> InboxViews:
        """The agencies' inboxes."""
        ...
