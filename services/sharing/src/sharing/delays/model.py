"""How much waits for its entry in the audit log: counts and a time, no case and no person."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Delayed:
    """How many deliveries wait, the urgent ones apart, and since when the oldest does (UTC)."""

    urgent: int = 0
    others: int = 0
    since: datetime | None = None

    @property
    def total(self) -> int:
        """Count them all."""
        return self.urgent + self.others


@dataclass(frozen=True, slots=True)
class Delays:
    """What waits on either side of one agency."""

    received: Delayed
    """On its way to the agency."""
    sent: Delayed
    """Of the agency's own referrals, on its way to others."""

    @property
    def total(self) -> int:
        """Count both sides."""
        return self.received.total + self.sent.total
