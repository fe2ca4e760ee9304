"""What the list needs from the outside, with the obligations an adapter must keep."""

from collections.abc import Callable
from typing import Protocol, TypeVar
from uuid import UUID

from common.access import Granted
from referral.context import Recording
from referral.sent.model import IndexedBatch, SentPage, Wanted

T = TypeVar("T")


class Sent(Protocol):
    """Sent referrals inside one transaction."""

    def page(self, granted: Granted, wanted: Wanted) -> SentPage:
        """List the agency's own, oldest change first, then by id.

        Obligations: another agency's are as if they did not exist, with the same work done. What
        changes moves to the end, so whoever reads on misses none. An erased case is not found by
        reference.
        """
        ...


class SentTx(Recording, Protocol):
    """One transaction that reaches what was sent."""

    @property
    def sent(self) -> Sent:
        """The sent referrals."""
        ...


class SentStore(Protocol):
    """Opens transactions that reach what was sent.

    Obligation: `write` returns only after the commit; an exception leaves nothing behind.
    """

    async def write(self, work: Callable[[SentTx], T]) -> T:
        """Run `work` in one writing transaction and commit."""
        ...


class References(Protocol):
    """References of referrals that were stored before all of them were indexed."""

    async def index_some(self, after: UUID | None) -> IndexedBatch:
        """Index some of those that have a reference and no index, by id behind `after`.

        Obligations: at most a bounded number at a time, each batch in a transaction of its own. An
        erased case's stay without. May run in several processes at once, and again.
        """
        ...
