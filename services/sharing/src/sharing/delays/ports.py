"""What counting delays needs from the database."""

from typing import Protocol

from common.access import Granted
from sharing.delays.model import Delays


class DelayViews(Protocol):
    """Counts on one snapshot that cannot write.

    Obligation: counts for the caller's agency alone. Nothing counts that was reported for a third
    party, who hears only that it arrived.
    """

    def delays(self, granted: Granted) -> Delays:
        """Count what waits for its entry in the audit log, to the agency and of its referrals."""
        ...


class DelayView(Protocol):
    """One snapshot, as this folder uses it."""

    @property
    def delays(self) -> DelayViews:
        """The counts."""
        ...
