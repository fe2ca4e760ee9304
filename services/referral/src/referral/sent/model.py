"""An agency's own referrals as a list shows them: ids, codes and times, no facts."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

Place = tuple[datetime, UUID]
"""Where a page ended: the time of its last item's change, and its id."""


@dataclass(frozen=True, slots=True)
class SentReferral:
    """One referral of the caller's agency. Times are UTC."""

    referral_id: UUID
    case_id: UUID
    form: str
    kind: str
    state: str
    version: int
    received_at: datetime
    changed_at: datetime
    """When it was taken in, completed or last given a veto."""
    external_reference: str | None = field(repr=False)
    """The sender's own reference; None if there was none, or the case was erased."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of its referrals an agency asks for, and how many."""

    limit: int
    after: Place | None = None
    changed_since: datetime | None = None
    """Only those changed then or later, UTC."""
    external_reference: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SentPage:
    """Some of them, oldest change first, and whether more follow."""

    items: tuple[SentReferral, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class IndexedBatch:
    """Some older referrals that had a reference and no index."""

    last: UUID | None
    """The last one looked at; None if there was none left to look at."""
    indexed: int
    unread: int
    """How many did not open although their case is not erased."""
