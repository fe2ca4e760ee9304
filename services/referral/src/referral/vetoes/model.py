"""Vetoes: who may set and lift each kind, and a lifting that two people carry out."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from common.events.case import Marking
from referral.cases.model.authority import AuthorisedCase, Relation
from referral.cases.model.case import CaseOutline


class VetoKind(StrEnum):
    """What a veto is for; the words of the published event."""

    MUST_NOT_DISCLOSE = "must_not_disclose"
    LOCATION_SHIELD = "location_shield"
    CONFLICT = "conflict"
    EMPLOYEE_SUBJECT = "employee_subject"
    INFORMANT = "informant"
    LEGAL_HOLD = "legal_hold"


@dataclass(frozen=True, slots=True)
class Rights:
    """Which relations to a case may do what with a veto of one kind."""

    sets: frozenset[Relation]
    asks: frozenset[Relation]
    confirms: frozenset[Relation]
    another_agency: bool
    """Whether who confirms must work for another agency than a sender who asked.

    An officer who asks sent nothing of the case, so another officer confirms.
    """


_SYMBOLS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, as in a case reference."""
_SENDER: Final = frozenset({Relation.SENDER})
_OFFICER: Final = frozenset({Relation.PRIVACY_OFFICER})
_ASKS: Final = _SENDER | _OFFICER
_KNOWS: Final = _ASKS | {Relation.RECIPIENT}
_OUTSIDE: Final = Rights(_SENDER, _ASKS, _OFFICER, another_agency=True)
_KNOWN_ELSEWHERE: Final = Rights(_KNOWS, _ASKS, _OFFICER, another_agency=True)
"""What an agency knows of its own people, or an officer of declarations, and no sender need."""
RIGHTS: Final[Mapping[VetoKind, Rights]] = {
    VetoKind.MUST_NOT_DISCLOSE: Rights(_SENDER, _ASKS, _SENDER | _OFFICER, another_agency=False),
    VetoKind.LOCATION_SHIELD: _OUTSIDE,
    VetoKind.CONFLICT: _KNOWN_ELSEWHERE,
    VetoKind.EMPLOYEE_SUBJECT: _KNOWN_ELSEWHERE,
    VetoKind.INFORMANT: _OUTSIDE,
    VetoKind.LEGAL_HOLD: _KNOWN_ELSEWHERE,
}
"""Narrowing acts at once and needs one. Widening waits for a second person (design 13.1, 8.1)."""


@dataclass(frozen=True, slots=True)
class OfficersCase:
    """A case as a privacy officer names it: by a referral, or by a recipient's reference."""

    referral_id: UUID | None = None
    recipient: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedCase:
    """A case as an agency names it that was told of it."""

    reference: str


CaseName = UUID | OfficersCase | ReceivedCase
"""How a caller names a case: as its sender by a referral, as an officer, or as a recipient."""


class ReasonUnknown(ValueError):
    """The area's rules have no such reason for this act."""


class VetoRefused(ValueError):
    """The veto says too little or too much for its kind. `member` names the faulty member."""

    def __init__(self, member: str, sentence: str) -> None:
        super().__init__(sentence)
        self.member, self.sentence = member, sentence


class VetoNotFound(LookupError):
    """No veto of that id is in force on the case."""


class LiftingNotFound(LookupError):
    """There is no such lifting, or the caller has no relation to its case."""


class NotEntitled(Exception):
    """The caller's relation to the case does not allow this with a veto of that kind."""


class SecondPersonNeeded(Exception):
    """Who asked cannot confirm, nor, for most kinds, a colleague of the same agency."""


class AlreadyAsked(Exception):
    """Somebody has asked already to lift this veto. It waits for a second person."""


class LiftingOver(Exception):
    """The lifting was settled before, has lapsed, or its veto is no longer in force."""


class LiftState(StrEnum):
    """How far a lifting has come."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    LAPSED = "lapsed"
    """Nobody settled it in time. The veto stays, and the asker reads of it."""


class LiftStep(StrEnum):
    """What becomes of it: a second person's answer, or none in time."""

    CONFIRM = "confirm"
    REFUSE = "refuse"
    LAPSE = "lapse"
    """Time's own step."""


NEXT_STATE: Final[Mapping[tuple[LiftState, LiftStep], LiftState]] = {
    (LiftState.ASKED, LiftStep.CONFIRM): LiftState.CONFIRMED,
    (LiftState.ASKED, LiftStep.REFUSE): LiftState.REFUSED,
    (LiftState.ASKED, LiftStep.LAPSE): LiftState.LAPSED,
}
"""The state after each step; a pair that is not here cannot happen."""


@dataclass(frozen=True, slots=True)
class Party:
    """A person who took part, as the audit log names them: issuer and subject, never a name."""

    subject: str = field(repr=False)
    agency: str
    role: str


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why somebody did it: a code of the area's rules, and words that stay sealed."""

    code: str
    words: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lifting:
    """One request to lift one veto. Times are UTC."""

    id: UUID
    case_id: UUID
    veto_id: UUID
    kind: VetoKind
    asked_by: Party
    grounds: Grounds
    asked_at: datetime
    lapses_at: datetime
    state: LiftState = LiftState.ASKED
    settled_by: Party | None = None
    settled_at: datetime | None = None
    asked_as: Relation = Relation.SENDER
    """The relation by which it was asked for."""
    settled_code: str = ""
    """The reason code of whoever settled it; empty for those settled before it was kept."""

    @property
    def number(self) -> str:
        """Return a short name, the same for all who may read of it: `L-7F3K-9QXA`.

        Agencies know a case by references of their own, so people on the telephone use this.
        """
        low = self.id.int & ((1 << 40) - 1)  # random in a UUID of version 7
        symbols = "".join(_SYMBOLS[low >> 5 * place & 31] for place in range(7, -1, -1))
        return f"L-{symbols[:4]}-{symbols[4:]}"

    def waits(self, now: datetime) -> bool:
        """Tell whether a second person may still settle it."""
        return self.state is LiftState.ASKED and now < self.lapses_at

    def settle(self, step: LiftStep, by: Party, now: datetime, code: str = "") -> "Lifting":
        """Confirm or refuse it.

        Whoever asked may refuse it, which takes it back, and never confirm it.
        Raises LiftingOver, SecondPersonNeeded.
        """
        after = NEXT_STATE.get((self.state, step))
        if after is None or not self.waits(now):
            raise LiftingOver
        if step is LiftStep.CONFIRM and not self.is_second(by):
            raise SecondPersonNeeded
        return replace(self, state=after, settled_by=by, settled_at=now, settled_code=code)

    def is_second(self, by: Party) -> bool:
        """Tell whether this person is another than who asked, and of another agency if need be."""
        if by.subject == self.asked_by.subject:
            return False
        another = RIGHTS[self.kind].another_agency and self.asked_as is Relation.SENDER
        return not another or by.agency != self.asked_by.agency


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A lifting that lapsed, as far as it is known without opening it."""

    id: UUID
    case_id: UUID
    agency: str


@dataclass(frozen=True, slots=True)
class NewVeto:
    """A veto as somebody asks for it; `*` means everybody or everything."""

    kind: VetoKind
    grounds: Grounds
    agency: str = "*"
    category: str = "*"
    role: str | None = None
    """The one person of the case it is about, by role. None means the case."""


@dataclass(frozen=True, slots=True)
class CaseVetoes:
    """The vetoes in force on a case, with what was asked about them."""

    case_id: UUID
    outline: CaseOutline
    liftings: tuple[Lifting, ...]


@dataclass(frozen=True, slots=True)
class ShownLifting:
    """One lifting with the veto that it is about; None when that is no longer in force."""

    lifting: Lifting
    veto: Marking | None
    outline: CaseOutline
    may_settle: bool
    """Whether the caller's relation lets it settle a lifting of this kind."""


@dataclass(frozen=True, slots=True)
class VetoRules:
    """Reasons and clock of an area from a day on, by `rules/*.toml`."""

    version: str
    area: str
    effective_from: date
    waits: timedelta
    """How long a lifting waits for its second person before it lapses."""
    lapsed_shown: timedelta
    """How long the asker reads that a request lapsed, unless it is asked again."""
    setting: Mapping[str, Mapping[str, str]]
    """For each kind the codes for setting it, with their meaning."""
    lifting: Mapping[str, str]
    refusing: Mapping[str, str]

    def check_setting(self, kind: VetoKind, code: str) -> None:
        """Raise ReasonUnknown unless the code is one for setting this kind."""
        _demand(code, self.setting.get(kind, {}))

    def check_lifting(self, code: str) -> None:
        """Raise ReasonUnknown unless the code is one for lifting a veto."""
        _demand(code, self.lifting)

    def check_settling(self, step: LiftStep, code: str) -> None:
        """Raise ReasonUnknown unless the code is one for this step of the second person."""
        _demand(code, self.lifting if step is LiftStep.CONFIRM else self.refusing)


def read_rules(texts: Iterable[str]) -> tuple[VetoRules, ...]:
    """Read rule files. Raises KeyError or ValueError for what is none."""
    return tuple(_rules(tomllib.loads(text)) for text in texts)


def rules_on(rules: Iterable[VetoRules], area: str, day: date) -> VetoRules:
    """Find the newest rules of an area in force that day. Raises LookupError without any."""
    dated = [each for each in rules if each.area == area and each.effective_from <= day]
    if not dated:
        raise LookupError("no rules for vetoes are in force")
    return max(dated, key=lambda each: each.effective_from)


def check_scope(kind: VetoKind, agency: str, category: str, *, about_somebody: bool) -> None:
    """Check that a veto says what its kind needs. Raises VetoRefused."""
    if kind in {VetoKind.CONFLICT, VetoKind.EMPLOYEE_SUBJECT}:
        if agency == "*":
            raise VetoRefused("agency", "must name the agency that is kept out")
        if category != "*" or about_somebody:
            raise VetoRefused("category", "must be *: a barred agency is kept out of everything")
    if kind is VetoKind.LOCATION_SHIELD and (agency, category) != ("*", "*"):
        raise VetoRefused("agency", "must be *: a shielded address is hidden from everybody")


def check_own(relation: Relation, own: str, agency: str, category: str) -> None:
    """Check that a recipient narrows what its own agency gets, and nobody else's.

    Raises VetoRefused.
    """
    if relation is Relation.RECIPIENT and (agency, category) != (own, "*"):
        raise VetoRefused("agency", "must be your own agency, and everything it would get")


def is_officer_of_sender(proof: AuthorisedCase, outline: CaseOutline) -> bool:
    """Tell whether an officer's own agency sent a referral of the case."""
    senders = {origin.agency for origin in outline.origins}
    return proof.relation is Relation.PRIVACY_OFFICER and proof.agency in senders


def as_seen(proof: AuthorisedCase, outline: CaseOutline) -> CaseOutline:
    """Leave out of a sender's sight what another agency or an officer has set."""
    if proof.relation is Relation.PRIVACY_OFFICER:
        return outline
    seen = tuple(
        each for each in outline.markings if outline.may_see(proof.agency, each.marking_id)
    )
    return replace(outline, markings=seen)


def may_see_lifting(proof: AuthorisedCase, outline: CaseOutline, lifting: Lifting) -> bool:
    """Tell whether the caller may know of a lifting; a sender only of one on its own veto."""
    if proof.relation is Relation.PRIVACY_OFFICER:
        return True
    return outline.may_see(proof.agency, lifting.veto_id)


def subject_of(outline: CaseOutline, role: str | None) -> UUID | None:
    """Find the one person of the case who has a role. Raises VetoRefused."""
    if role is None:
        return None
    found = [each.subject_id for each in outline.subjects if each.role == role]
    if len(found) != 1:
        raise VetoRefused("person", "must be a role that one person of the case has")
    return found[0]


def _demand(code: str, known: Mapping[str, str]) -> None:
    if code not in known:
        raise ReasonUnknown


def _rules(raw: Mapping[str, object]) -> VetoRules:
    found = VetoRules(
        version=str(raw["version"]),
        area=str(raw["area"]),
        effective_from=_day(raw["effective_from"]),
        waits=timedelta(hours=_table(raw, "lifting")["waits_hours"]),
        lapsed_shown=timedelta(days=_table(raw, "lifting")["lapsed_shown_days"]),
        setting=_table(raw, "set"),
        lifting=_table(raw, "lift"),
        refusing=_table(raw, "refuse"),
    )
    if set(found.setting) != set(VetoKind):
        raise ValueError("the rules must have reasons for each kind of veto, and no other")
    return found


def _day(value: object) -> date:
    if not isinstance(value, date):
        raise ValueError("effective_from must be a day")
    return value


def _table(raw: Mapping[str, object], name: str) -> dict[str, Any]:
    found = raw[name]
    if not isinstance(found, dict):
        raise ValueError(f"{name} must be a table")
    return found
