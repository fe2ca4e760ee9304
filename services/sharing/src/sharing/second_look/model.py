"""Items of the second-look queue: what was done, until when it must be looked at, what came of it.

A person who acts alone, or looks in an emergency, answers for it to a privacy officer.
"""

import hashlib
import hmac
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from hubformats.audit_record import Actor


class Act(StrEnum):
    """What is looked at again. A new kind of act is a line here and a clock in the rules."""

    EMERGENCY_RELEASE = "emergency_release"
    VETO_LIFTING_ASKED = "veto_lifting_asked"
    VETO_LIFTED = "veto_lifted"


class LookState(StrEnum):
    """How far a second look has come."""

    OPEN = "open"
    PERSON_ASKED = "person_asked"
    REASONABLE = "reasonable"
    ESCALATED = "escalated"
    """Another officer than who escalated it decides, by a clock of its own."""
    ACTED_ON = "acted_on"


class LookOutcome(StrEnum):
    """What a privacy officer says of it."""

    REASONABLE = "reasonable"
    ASK_THE_PERSON = "ask_the_person"
    ESCALATE = "escalate"
    ACTED_ON = "acted_on"


NEXT_STATE: Final[Mapping[tuple[LookState, LookOutcome], LookState]] = {
    (LookState.OPEN, LookOutcome.REASONABLE): LookState.REASONABLE,
    (LookState.OPEN, LookOutcome.ASK_THE_PERSON): LookState.PERSON_ASKED,
    (LookState.OPEN, LookOutcome.ESCALATE): LookState.ESCALATED,
    (LookState.PERSON_ASKED, LookOutcome.REASONABLE): LookState.REASONABLE,
    (LookState.PERSON_ASKED, LookOutcome.ESCALATE): LookState.ESCALATED,
    (LookState.ESCALATED, LookOutcome.REASONABLE): LookState.REASONABLE,
    (LookState.ESCALATED, LookOutcome.ACTED_ON): LookState.ACTED_ON,
}
"""The state after each outcome; a pair that is not here cannot happen."""

WAITING: Final = frozenset(before for before, _ in NEXT_STATE)
"""States in which the clock runs."""


class LookNotFound(LookupError):
    """There is no such item, or the caller took part in what it is about."""


class AnotherMustLook(Exception):
    """Who escalated an item has said what they think of it; the next person decides."""


class LookOver(Exception):
    """The item was closed, or somebody else was first."""


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who took part. `token` is keyed: it tells the same person again, and no name."""

    token: str = field(repr=False)
    agency: str
    role: str


@dataclass(frozen=True, slots=True)
class Filed:
    """What is to be looked at again, as whoever recorded it says it. `at` is UTC."""

    id: UUID
    """Of the act itself, so that an event heard twice files one item."""
    act: Act
    reason_code: str
    case_id: UUID
    actors: tuple[Actor, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class SecondLook:
    """One item of the queue. Times are UTC; no personal data."""

    id: UUID
    act: Act
    reason_code: str
    case_id: UUID
    parties: tuple[Party, ...]
    filed_at: datetime
    due_at: datetime
    state: LookState = LookState.OPEN
    owner: str | None = field(default=None, repr=False)
    """The token of the officer who took it."""
    reviewed_at: datetime | None = None
    outcome_code: str | None = None
    escalated_by: str | None = field(default=None, repr=False)
    """The token of the officer who escalated it."""

    def overdue(self, now: datetime) -> bool:
        """Tell whether its clock has run out while it still waits."""
        return self.state in WAITING and self.due_at < now

    def take(self, by: Party) -> "SecondLook":
        """Name the officer who looks at it. Raises LookNotFound, AnotherMustLook, LookOver."""
        self._demand_other(by)
        if self.state not in WAITING:
            raise LookOver
        return replace(self, owner=by.token)

    def review(self, said: "Said", by: Party, now: datetime) -> "SecondLook":
        """Say what came of it. An escalated one waits for the next person, with a new clock.

        Raises LookNotFound, AnotherMustLook, LookOver.
        """
        self._demand_other(by)
        after = NEXT_STATE.get((self.state, said.outcome))
        if after is None:
            raise LookOver
        closed = replace(self, state=after, owner=by.token, reviewed_at=now, outcome_code=said.code)
        if after is not LookState.ESCALATED:
            return closed
        due = now + said.next_person_within
        return replace(closed, owner=None, escalated_by=by.token, due_at=due)

    def outcomes_for(self, officer: Party) -> tuple[LookOutcome, ...]:
        """List what this officer can still say of it."""
        if self.escalated_by == officer.token:
            return ()
        return tuple(outcome for state, outcome in NEXT_STATE if state is self.state)

    def _demand_other(self, by: Party) -> None:
        """Demand another person: nobody looks at an own act, nor learns that it stands here."""
        if by.token in {each.token for each in self.parties}:
            raise LookNotFound
        if self.escalated_by == by.token and self.state in WAITING:
            raise AnotherMustLook


@dataclass(frozen=True, slots=True)
class Said:
    """An outcome with its code, and how long the next person has if it is escalated."""

    outcome: LookOutcome
    code: str
    next_person_within: timedelta


class OutcomeUnknown(ValueError):
    """The area's rules have no such reason for this outcome."""


@dataclass(frozen=True, slots=True)
class LookRules:
    """Clocks and reasons of an area from a day on, by `rules/*.toml`."""

    version: str
    area: str
    effective_from: date
    due: Mapping[Act, timedelta]
    """For each act the time until which it must be looked at."""
    next_person: timedelta
    """How long the next person has to decide on what was escalated."""
    alarm_every: timedelta
    reasons: Mapping[LookOutcome, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class LookBook:
    """The rules, and the key by which a person is known again without a name."""

    rules: tuple[LookRules, ...]
    area: str
    secret: bytes = field(repr=False)

    def rules_on(self, day: date) -> LookRules:
        """Find the newest rules in force that day. Raises LookupError without any."""
        dated = [
            each for each in self.rules if each.area == self.area and each.effective_from <= day
        ]
        if not dated:
            raise LookupError("no rules for second looks are in force")
        return max(dated, key=lambda each: each.effective_from)

    def opened(self, filed: Filed) -> SecondLook:
        """Make the item with its clock."""
        due = self.rules_on(filed.at.date()).due[filed.act]
        return SecondLook(
            id=filed.id,
            act=filed.act,
            reason_code=filed.reason_code,
            case_id=filed.case_id,
            parties=tuple(dict.fromkeys(map(self.party, filed.actors))),
            filed_at=filed.at,
            due_at=filed.at + due,
        )

    def party(self, actor: Actor) -> Party:
        """Name somebody by the keyed token of the subject."""
        subject = b"second look\0" + actor.subject.encode()
        token = hmac.digest(self.secret, subject, hashlib.sha256).hex()
        return Party(token, actor.agency, actor.role)

    def said(self, outcome: LookOutcome, code: str, day: date) -> Said:
        """Take an outcome under the rules of that day.

        Raises OutcomeUnknown unless the code is one for it.
        """
        rules = self.rules_on(day)
        if code not in rules.reasons[outcome]:
            raise OutcomeUnknown
        return Said(outcome, code, rules.next_person)


def read_rules(texts: Iterable[str]) -> tuple[LookRules, ...]:
    """Read rule files. Raises KeyError or ValueError for what is none."""
    return tuple(_rules(tomllib.loads(text)) for text in texts)


def _rules(raw: dict[str, Any]) -> LookRules:
    return LookRules(
        version=raw["version"],
        area=raw["area"],
        effective_from=raw["effective_from"],
        due={act: timedelta(minutes=raw["due_minutes"][act]) for act in Act},
        next_person=timedelta(minutes=raw["due_minutes"]["escalated"]),
        alarm_every=timedelta(minutes=raw["alarms"]["every_minutes"]),
        reasons={outcome: raw["reasons"][outcome] for outcome in LookOutcome},
    )
