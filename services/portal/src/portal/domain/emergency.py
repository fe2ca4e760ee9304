"""An emergency release as a person fills it in: the danger, the reason, and the confirmation in
their own name. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

DANGERS: Final[dict[str, str]] = {
    "imminent_danger_to_life": "Somebody's life is in danger now",
    "imminent_serious_harm": "Somebody is about to be seriously harmed",
    "child_in_immediate_danger": "A child is in immediate danger",
}
"""The codes for which sharing releases before the proof is there."""

FIELDS: Final = ("code", "reason", "confirm")
"""In page order, so that an error summary lists them as they are met."""

CONFIRMED: Final = "yes"
SIGN_IN_LASTS: Final = timedelta(minutes=15)
"""How old a sign-in sharing accepts for this; it is the one that decides."""
TIME_TO_WRITE: Final = timedelta(minutes=3)
"""Who is asked to sign in again is asked before writing rather than after."""
_SHORTEST: Final = 10
_LONGEST: Final = 2_000

MOVED_ON: Final = (
    "Nothing was released. It has left already, the case has changed, or somebody "
    "has said that it must not leave"
)
UNREADABLE: Final = (
    "Nothing was released, because the hub cannot see now who must not be told. Try again"
)
NO_ANSWER: Final = (
    "No answer came, so it is not known whether it left. Try again: it cannot leave twice"
)
SIGN_IN: Final = (
    "Nothing was released. You signed in too long ago for this: sign in again, and "
    "what you wrote is kept"
)


@dataclass(frozen=True, slots=True)
class Unproven:
    """One disclosure of the person's own agency's referrals that waits for its receipt, or left on
    a promise. Times as served.
    """

    delivery_id: str
    case_reference: str
    recipient: str
    clause: str
    kind: str
    promised: bool
    decided_at: str
    released_at: str
    proof_due: str
    urgent: bool = False
    proven: bool = False
    """It left, and its entry is in the log now."""


def most_pressing(found: Sequence[Unproven]) -> list[Unproven]:
    """Urgent first, then as they came."""
    return sorted(found, key=lambda each: not each.urgent)


@dataclass(frozen=True, slots=True)
class UnprovenList:
    """What was shown of it, the urgent and the newest first, and whether there is more."""

    items: tuple[Unproven, ...]
    more: bool


def problems(typed: Mapping[str, str]) -> dict[str, str]:
    """Field → what to do about it, empty when it can be sent."""
    found: dict[str, str] = {}
    if typed.get("code") not in DANGERS:
        found["code"] = "Select what the danger is"
    reason = typed.get("reason", "").strip()
    if len(reason) < _SHORTEST:
        found["reason"] = "Say in a sentence why it cannot wait"
    elif len(reason) > _LONGEST:
        found["reason"] = "Why it cannot wait must be 2,000 characters or less"
    if typed.get("confirm") != CONFIRMED:
        found["confirm"] = "Confirm that you release it in your own name"
    return found
