"""Questions, purposes, and who may look at what.

Entitlement is data of the caller, never part of the request.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal
from uuid import UUID

from common.access import Granted, Proof
from hubformats.canonical import parse

Purpose = Literal[
    "verify_lawfulness",
    "self_monitoring",
    "integrity_and_security",
    "criminal_proceedings",
    "subject_right",
]
"""DPA 2018 s.62(4)(a) to (d): the only uses of these records; and a data subject's own right
under UK GDPR.
"""

_SEAL = object()
_MICROS: Final = 1_000_000


class NotEntitled(PermissionError):
    """The caller belongs to no agency of the hub and holds no mandate in force."""


class PurposeRequired(PermissionError):
    """The caller stated no purpose that still holds."""


class QuestionNotFound(LookupError):
    """There is no such question, or it is not the caller's."""


class EntryNotFound(LookupError):
    """There is no such entry, or it is not the caller's agency's: the two do not differ."""


class RulesUnknown(LookupError):
    """No clocks of that area were in force on that day."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One dated set of an area's clocks.

    `purpose_holds` is how long a stated purpose covers looking.
    """

    version: str
    area: str
    effective_from: date
    purpose_holds: timedelta


def read_rules(texts: Iterable[str]) -> tuple[Rules, ...]:
    """Read the sets that TOML documents hold. Raises KeyError or ValueError on a bad file."""
    raws = [tomllib.loads(text) for text in texts]
    return tuple(
        Rules(
            raw["version"],
            raw["area"],
            raw["effective_from"],
            timedelta(hours=raw["questions"]["purpose_holds_hours"]),
        )
        for raw in raws
    )


def rules_on(rules: Iterable[Rules], area: str, day: date) -> Rules:
    """Find the set in force in an area on a day. Raises RulesUnknown."""
    dated = [each for each in rules if each.area == area and each.effective_from <= day]
    if not dated:
        raise RulesUnknown("no clocks for this area and day")
    return max(dated, key=lambda each: each.effective_from)


@dataclass(frozen=True, slots=True)
class Filter:
    """What an auditor looks for; every part given must hold.

    `case`, `actor` and `subject` are keyed tokens, so it names nobody.
    `since` and `until` bound the log's own time in microseconds, because a producer's clock could
    hide an entry.
    """

    case: bytes | None = None
    actor: bytes | None = None
    subject: bytes | None = None
    recipient: str | None = None
    delivery: str | None = None
    operation: str | None = None
    since: int | None = None
    until: int | None = None
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it was recorded. Only `asker` may read its answers.

    `agency` is the one whose entries it may show, None for a mandated cross-agency auditor.
    `size` is the log's size when it was asked, so that its answers do not move while it is read.
    """

    id: UUID
    asker: str
    agency: str | None
    purpose: Purpose
    filter: Filter
    size: int
    asked_at: int


@dataclass(frozen=True, slots=True)
class Found:
    """An entry as an auditor may see it."""

    index: int
    leaf: bytes
    record: bytes
    salt: bytes
    service: str
    rejected: str
    flags: str
    held: str = ""
    """Reason of something withheld, with the salt of the record's commitment, as JSON."""
    veiled: bool = False
    """Whether the record itself, of version 1, says what this caller may not read."""


@dataclass(frozen=True, slots=True)
class Mandates:
    """Who may look beyond one agency, from the operator-signed bootstrap file.

    `people`: first and last day of each person's mandate.
    """

    area: str
    agencies: frozenset[str]
    people: Mapping[str, tuple[date, date]]
    clients: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caller may see: the entries of `agency`, or of all when it is None."""

    agency: str | None


@dataclass(frozen=True, slots=True)
class AuthorisedLook(Proof):
    """Proof that a caller may look at entries: whose, for which purpose, in which question.

    Storage opens entries for nothing else. Cannot be made by hand: see `Entitlements.look`.
    """

    question: Question
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse every maker that is not this module."""
        if seal is not _SEAL:
            raise TypeError("AuthorisedLook is made by Entitlements.look only")


@dataclass(frozen=True, slots=True)
class Entitlements:
    """Who may look at entries, and for how long a stated purpose covers it."""

    mandates: Mandates
    rules: tuple[Rules, ...]

    def sight(self, granted: Granted) -> Sight:
        """Say what the caller may see.

        1. A person with a dated mandate in force sees all. 2. The operator-signed auditor's client
        sees all. 3. Anybody else with the scope sees what their own agency did or received.

        Raises NotEntitled for one who belongs to no agency and holds no mandate in force.
        """
        who, mandates, today = granted.principal, self.mandates, granted.at.date()
        if who.agency == mandates.area:
            dates = mandates.people.get(who.subject)
            if who.kind == "person" and dates is not None and dates[0] <= today <= dates[1]:  # 1
                return Sight(None)
            if who.kind == "system" and who.client_id in mandates.clients:  # 2
                return Sight(None)
        elif who.agency in mandates.agencies:  # 3
            return Sight(who.agency)
        raise NotEntitled("no agency and no mandate in force")

    def rules_for(self, granted: Granted) -> Rules:
        """Find the clocks in force at the moment of the request. Raises RulesUnknown."""
        return rules_on(self.rules, self.mandates.area, granted.at.date())

    def holds_since(self, granted: Granted) -> int:
        """Return the moment in microseconds before which a stated purpose holds no more.

        Raises RulesUnknown when no clock is in force today.
        """
        holds = self.rules_for(granted).purpose_holds
        return micros_of(granted) - int(holds.total_seconds() * _MICROS)

    def look(self, granted: Granted, question: Question) -> AuthorisedLook:
        """Prove that the caller may look, by their own question while its purpose holds.

        Sight is taken anew: a mandate that ended since the question was asked shows nothing.

        Raises NotEntitled, QuestionNotFound or PurposeRequired.
        """
        sight = self.sight(granted)
        if question.asker != asker_of(granted) or question.agency != sight.agency:
            raise QuestionNotFound("not the caller's question")
        if question.asked_at < self.holds_since(granted):
            raise PurposeRequired("the purpose holds no more")
        return AuthorisedLook(question, _SEAL)


def as_seen(found: Found, agency: str | None) -> Found:
    """Give an entry as the auditor of `agency` may see it, None being a mandate for all.

    An agency never learns from the log why something was withheld from it. Whoever is barred would
    learn that they are. A record of version 1 says it, so it is shown without that.
    """
    if agency is None:
        return found
    try:
        fields = parse(found.record)
        veiled = fields["v"] == 1 and fields["out"] == "withhold"
    except (ValueError, LookupError, TypeError):
        veiled = True
    return replace(found, held="", veiled=veiled)


def involves(found: Found, agency: str) -> bool:
    """Tell whether the record itself says that an agency acted in it or received.

    Search rows only find entries: whoever can write them shows nobody another's entry.
    """
    try:
        fields = parse(found.record)
        return agency in (fields.get("org"), fields.get("rcp"))
    except (ValueError, AttributeError):
        return False


def asker_of(granted: Granted) -> str:
    """Name what ties a question to the one who asked it."""
    return f"{granted.principal.issuer}|{granted.principal.subject}|{granted.principal.client_id}"


def micros_of(granted: Granted) -> int:
    """Give the moment of the request in microseconds since the epoch."""
    return int(granted.at.timestamp() * _MICROS)
