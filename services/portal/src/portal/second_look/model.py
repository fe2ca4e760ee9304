"""An item of the second-look queue as a privacy officer reads and answers it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from portal.shell.model import reason_problem, written

ACTS: Final[dict[str, str]] = {
    "emergency_release": "Emergency release",
    "veto_lifting_asked": "Lifting of a veto asked for",
    "veto_lifted": "Veto lifted",
}
OUTCOMES: Final[dict[str, str]] = {
    "reasonable": "Reasonable",
    "ask_the_person": "Ask the person",
    "escalate": "Escalate",
    "acted_on": "Acted on",
}
STATES: Final[dict[str, str]] = {
    "open": "To look at",
    "person_asked": "Person asked",
    "reasonable": "Reasonable",
    "escalated": "Escalated to another officer",
    "acted_on": "Acted on",
}
OWNERS: Final[dict[str, str]] = {
    "you": "You",
    "another": "Another privacy officer",
    "nobody": "Nobody yet",
}
FIELDS: Final = ("answer", "reason")
MOVED: Final = "Nothing was kept. Somebody else was there before you. Read it again"
NO_ANSWER: Final = "No answer came, so it is not known whether it was kept. Read it again first"


@dataclass(frozen=True, slots=True)
class Look:
    """One item. Times are as served; people are agencies and roles, never names."""

    look_id: str
    act: str
    reason_code: str
    case_reference: str
    parties: tuple[tuple[str, str], ...]
    """Agency and role of each who took part."""
    filed_at: str
    due_at: str
    overdue: bool
    state: str
    owner: str
    outcome_code: str
    next: tuple[str, ...]

    @property
    def waits(self) -> bool:
        """Tell whether an outcome can still be given."""
        return bool(self.next)


Reasons = Mapping[str, Mapping[str, str]]
"""For each outcome the codes with their meaning."""


def choices(look: Look, reasons: Reasons) -> dict[str, str]:
    """List the answers that can be given: an outcome with its reason, as one choice."""
    return {
        f"{outcome}/{code}": f"{OUTCOMES.get(outcome, outcome)}: {text[:1].lower()}{text[1:]}"
        for outcome in look.next
        for code, text in reasons.get(outcome, {}).items()
    }


def problems(typed: Mapping[str, str], allowed: Mapping[str, str]) -> dict[str, str]:
    """Say field by field what to do about it. Empty when it can be sent."""
    found = {}
    if typed.get("answer") not in allowed:
        found["answer"] = "Select what comes of it"
    if against := reason_problem(written(typed), "Say in a sentence why"):
        found["reason"] = against
    return found
