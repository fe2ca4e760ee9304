"""Vetoes as people read, set and lift them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from portal.shell.model import reason_problem, written

KINDS: Final[dict[str, str]] = {
    "must_not_disclose": "Must not be disclosed",
    "location_shield": "Address shield",
    "conflict": "Conflict of interest",
    "employee_subject": "A person of the case works there",
    "informant": "Who told us is protected",
    "legal_hold": "Legal hold",
}
BARRING: Final = frozenset({"conflict", "employee_subject"})
FIELDS: Final = ("answer", "agency", "reason")
CONFIRM, REFUSE = "confirm", "refuse"
TAKEN_BACK: Final = "taken_back"
"""The code by which whoever asked ends the request."""
_CONFIRMED, _REFUSED = "Lift it", "Leave it"
_HELD: Final = frozenset({"released", "saved"})
_SETTLED: Final = frozenset({"confirmed", "refused"})
EVERYBODY: Final = "*"
WHY_ASK: Final = (
    "To lift a veto lets something leave that was held back, so the hub asks who you are once more."
)
SIGN_IN: Final = "Nothing was done. You signed in too long ago for this: sign in again"
MOVED: Final = (
    "Nothing was changed. Somebody was there before you, or the veto is no longer in force"
)
SECOND: Final = (
    "Nothing was lifted. A second person must confirm: not whoever asked, and for this veto "
    "somebody of another agency"
)
NOT_KEPT: Final = (
    "Nothing was kept: no veto was set or lifted, and none was asked for. Try again in a minute. "
    "If it cannot wait, call the hub's support on 01632 960000. If somebody is in danger now, "
    "call 999"
)
NO_ANSWER: Final = (
    "No answer came, so it is not known whether it was kept. Look again before you rely on it. If "
    "it cannot wait, call the hub's support on 01632 960000. If somebody is in danger now, call 999"
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A referral of the person's agency."""

    referral_id: str
    case_reference: str
    kind: str
    changed_at: str
    own_reference: str = ""
    """Their agency's own; empty if it gave none."""


@dataclass(frozen=True, slots=True)
class Veto:
    """A veto in force."""

    veto_id: str
    kind: str
    agency: str
    category: str
    person: str
    set_by: str = ""
    """The agency; empty where it came with the referral or was not kept."""
    set_at: str = ""
    reason_code: str = ""


@dataclass(frozen=True, slots=True)
class Lifting:
    """A request to lift a veto. People are agencies and roles, never names."""

    lifting_id: str
    veto_id: str
    kind: str
    case_reference: str
    agency: str
    role: str
    you: bool
    reason_code: str
    asked_at: str
    lapses_at: str
    state: str = "asked"
    veto: Veto | None = None
    reason: str = field(default="", repr=False)
    you_may_settle: bool = False
    you_may_confirm: bool = False
    number: str = ""
    """Its short name, the same for all who may read of it."""
    settled_by: str = ""
    """The role of whoever settled it."""
    settled_by_you: bool = False
    settled_at: str = ""
    settled_code: str = ""


@dataclass(frozen=True, slots=True)
class CaseVetoes:
    """The vetoes in force on a case and what was asked about them."""

    case_reference: str
    vetoes: Sequence[Veto]
    liftings: Sequence[Lifting]
    own_reference: str = ""
    outcomes: Mapping[str, str] = field(default_factory=dict)
    """How far the case came with each agency."""

    @property
    def holders(self) -> Sequence[str]:
        """Return the agencies that hold it now."""
        return [agency for agency, state in self.outcomes.items() if state in _HELD]

    @property
    def taken_back(self) -> Sequence[str]:
        """Return the agencies from which it was taken back."""
        return [agency for agency, state in self.outcomes.items() if state == "withdrawn"]

    @property
    def settled(self) -> Sequence[Lifting]:
        """Return what was asked for and settled, the newest first."""
        return [each for each in reversed(self.liftings) if each.state in _SETTLED]

    def veto(self, veto_id: str) -> Veto | None:
        """Find one in force."""
        return next((each for each in self.vetoes if each.veto_id == veto_id), None)

    def waiting(self, veto_id: str) -> Lifting | None:
        """Find the request that waits for a second person."""
        return next(
            (each for each in self.liftings if (each.veto_id, each.state) == (veto_id, "asked")),
            None,
        )


@dataclass(frozen=True, slots=True)
class Reasons:
    """The codes of today's rules with their meaning."""

    setting: Mapping[str, Mapping[str, str]]
    lifting: Mapping[str, str]
    refusing: Mapping[str, str]

    def meaning(self, code: str) -> str:
        """Say what a code for lifting or refusing means."""
        return self.lifting.get(code) or self.refusing.get(code) or code

    def why_set(self, veto: Veto) -> str:
        """Say what the code means by which a veto was set, or that none is known."""
        if not veto.reason_code:
            return "Not known: it came with the referral, or was set before the hub kept it"
        return self.setting.get(veto.kind, {}).get(veto.reason_code, veto.reason_code)

    def to_set(self) -> dict[str, str]:
        """List each veto with its reason as one choice."""
        return {
            f"{kind}/{code}": f"{KINDS.get(kind, kind)}: {_small(text)}"
            for kind, codes in self.setting.items()
            for code, text in codes.items()
        }

    def to_settle(self, lifting: Lifting) -> dict[str, str]:
        """List what this person can answer, each with its reason.

        Whoever asked takes the request back, and nothing else.
        """
        if not lifting.you_may_settle:
            return {}
        if lifting.you:
            own = {TAKEN_BACK} & self.refusing.keys() or self.refusing.keys()
            return {f"{REFUSE}/{code}": self.refusing[code] for code in sorted(own)}
        confirm = {f"{CONFIRM}/{c}": f"{_CONFIRMED}: {_small(t)}" for c, t in self.lifting.items()}
        refuse = {f"{REFUSE}/{c}": f"{_REFUSED}: {_small(t)}" for c, t in self.refusing.items()}
        return {**confirm, **refuse} if lifting.you_may_confirm else refuse


def problems(typed: Mapping[str, str], allowed: Mapping[str, str], asked: str) -> dict[str, str]:
    """Say field by field what to do about it. Empty when it can be sent."""
    found = {}
    if typed.get("answer") not in allowed:
        found["answer"] = asked
    elif typed["answer"].partition("/")[0] in BARRING and typed.get("agency", "*") in {"", "*"}:
        found["agency"] = "Select the agency that is kept out"
    elif typed.get("agency") == "":
        found["agency"] = "Choose an agency, or everybody"
    if against := reason_problem(written(typed), "Say in a sentence why"):
        found["reason"] = against
    return found


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
