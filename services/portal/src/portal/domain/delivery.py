"""Deliveries as a work list shows them."""

from dataclasses import dataclass
from typing import Final

TO_ACCEPT: Final = frozenset({"delivered", "saved"})
"""States in which nobody here has taken it up yet; `saved` alone means that we died between receipt and acknowledgement."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery as the inbox lists it: metadata only, nothing of it is opened."""

    delivery_id: str
    kind: str
    state: str
    delivered_at: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """One delivery with the exact bytes of its envelope."""

    waiting: Waiting
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier look at a delivery taught this agency, kept so that a work list can be told apart. No names."""

    case_reference: str
    urgent: bool


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One line of the work list; `known` is None until somebody of the agency has opened it."""

    waiting: Waiting
    known: Known | None

    @property
    def state(self) -> str:
        """One of new, opened, accepted."""
        if self.waiting.state not in TO_ACCEPT:
            return "accepted"
        return "new" if self.known is None else "opened"
