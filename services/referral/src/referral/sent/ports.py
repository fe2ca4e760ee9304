"""What the list needs from the outside, with the obligations an adapter must keep."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from common.access import Granted
from referral.context import Recording
from referral.sent.model import SentPage, Wanted

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
