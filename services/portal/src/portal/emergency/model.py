"""An emergency release as a person fills it in: danger, reason, and confirmation by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from portal.shell.model import reason_problem, written

DANGERS: Final[dict[str, str]] = {
    "imminent_danger_to_life": "Somebody's life is in danger now",
    "imminent_serious_harm": "Somebody is about to be seriously harmed",
    "child_in_immediate_danger": "A child is in immediate danger",
}
"""The codes for which sharing releases before the proof is there."""

FIELDS: Final = ("code", "reason", "confirm")
"""In page order, so that an error summary lists them as they are met."""

CONFIRMED: Final = "yes"
TOO_SHORT: Final = "Say in a sentence why it cannot wait"

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
WHY_AGAIN: Final = (
    "An emergency release is a named person's act, so the hub asks who you are once more."
)
SIGN_IN: Final = (
    "Nothing was released. You signed in too long ago for this: sign in again, and "
    "what you wrote is kept"
)


@dataclass(frozen=True, slots=True)
class Unproven:
    """One disclosure, of a referral by the person's agency, that has no proof yet.

    It waits for its receipt, or left on a promise. Times are as served.
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
    """Order them: urgent first, then as they came."""
    return sorted(found, key=lambda each: not each.urgent)


@dataclass(frozen=True, slots=True)
class UnprovenList:
    """What sharing shows of it, and whether there is more."""

    items: tuple[Unproven, ...]
    more: bool


def unknown(delivery_id: str) -> Unproven:
    """Make what stands on a form that is shown again while nothing but the id is known."""
    return Unproven(
        delivery_id,
        case_reference="",
        recipient="",
        clause="",
        kind="",
        promised=False,
        decided_at="",
        released_at="",
        proof_due="",
    )


def problems(typed: Mapping[str, str]) -> dict[str, str]:
    """Say field by field what to do about it. Empty when it can be sent."""
    found: dict[str, str] = {}
    if typed.get("code") not in DANGERS:
        found["code"] = "Select what the danger is"
    if against := reason_problem(written(typed), TOO_SHORT):
        found["reason"] = against
    if typed.get("confirm") != CONFIRMED:
        found["confirm"] = "Confirm that you release it in your own name"
    return found
