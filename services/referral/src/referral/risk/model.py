"""Dated rules, instruments, and the level of risk. Scores explain; people decide (design section
13, rule 11)."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from common.events.case import RiskSummary


class RulesUnknown(LookupError):
    """No rules of that area, or no instrument of that version, were in force on that day."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One dated rule set.

    Thresholds are counts of "yes"; ages are years, `safe_contact_days` days.
    """

    version: str
    area: str
    effective_from: date
    high_from: int
    medium_from: int
    critical: tuple[str, ...]
    adult_at: int
    safe_contact_days: int
    ahead_minutes: int = 0
    """By how many minutes what has happened may seem to be in the future, for clocks that differ.
    """
    area_codes: tuple[str, ...] = ()
    """What may leave as somebody's area; with none, no area leaves as one."""

    def is_area(self, text: str) -> bool:
        """Tell whether a text is one of the area codes, whatever its case and spacing."""
        return _same(text) in {_same(code) for code in self.area_codes}


@dataclass(frozen=True, slots=True)
class Instrument:
    """A risk instrument: its items by concept, with our own plain subject for each."""

    name: str
    version: str
    effective_from: date
    items: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rule sets and instruments a deployment has loaded."""

    rules: tuple[Rules, ...]
    instruments: tuple[Instrument, ...]

    def for_area(self, area: str, on: date) -> Rules:
        """Find the rules in force in `area` on a day. Raises RulesUnknown."""
        dated = [r for r in self.rules if r.area == area and r.effective_from <= on]
        if not dated:
            raise RulesUnknown("no rules for this area and day")
        return max(dated, key=lambda r: r.effective_from)

    def instrument(self, name: str, version: str) -> Instrument:
        """Find the instrument of that exact version. Raises RulesUnknown."""
        for instrument in self.instruments:
            if (instrument.name, instrument.version) == (name, version):
                return instrument
        raise RulesUnknown("no such instrument version")

    def areas(self) -> frozenset[str]:
        """List the areas with at least one rule set."""
        return frozenset(r.area for r in self.rules)


@dataclass(frozen=True, slots=True)
class AreaRules:
    """The rule book of a hub, and the area it serves when none is named."""

    book: RuleBook
    home_area: str


class Answer(Protocol):
    """One answer of an instrument, by concept."""

    @property
    def concept(self) -> str:
        """Which item it answers."""
        ...

    @property
    def answer(self) -> str:
        """`yes`, `no`, `dont_know` or `not_asked`."""
        ...


class Assessment(Protocol):
    """What a form says of risk."""

    @property
    def answers(self) -> Sequence[Answer]:
        """Each concept at most once; what is left out was not asked."""
        ...

    @property
    def judgement(self) -> object | None:
        """Professional judgement that raises the level, if there is one."""
        ...


class ConceptUnknown(ValueError):
    """Answers name a concept the instrument does not have; `places` are the positions of those
    answers.
    """

    def __init__(self, places: tuple[int, ...]) -> None:
        super().__init__("concept-unknown")
        self.places = places


NOT_ASSESSED = RiskSummary(
    instrument="none",
    instrument_version="none",
    level="not_assessed",
    rule="no assessment was sent",
)
URGENT = RiskSummary(
    instrument="none",
    instrument_version="none",
    level="high",
    rule="urgent: danger reported, not yet assessed",
)


def assess(risk: Assessment | None, rules: Rules, instrument: Instrument | None) -> RiskSummary:
    """Score the answers under `rules`.

    "Don't know" and "not asked" score nothing and are counted beside the score. Judgement raises to
    high and is named as the rule; nothing lowers a level.

    Raises ConceptUnknown.
    """
    if risk is None or instrument is None:
        return NOT_ASSESSED
    strange = tuple(
        place for place, answer in enumerate(risk.answers) if answer.concept not in instrument.items
    )
    if strange:
        raise ConceptUnknown(strange)
    answers = {answer.concept: answer.answer for answer in risk.answers}
    score = sum(1 for answer in answers.values() if answer == "yes")
    unanswered = sum(
        1
        for concept in instrument.items
        if answers.get(concept, "not_asked") in ("dont_know", "not_asked")
    )
    critical = tuple(concept for concept in rules.critical if answers.get(concept) == "yes")
    summary = RiskSummary(
        instrument=instrument.name,
        instrument_version=instrument.version,
        score=score,
        dont_know=unanswered,
        level="standard",
        rule=f"fewer than {rules.medium_from} yes",
        critical=critical,
    )
    if score >= rules.high_from:
        return summary.model_copy(
            update={"level": "high", "rule": f"VHR: {rules.high_from} or more yes"}
        )
    if risk.judgement is not None:
        return summary.model_copy(
            update={"level": "high", "rule": "PJ: professional judgement raises"}
        )
    if score >= rules.medium_from:
        return summary.model_copy(
            update={"level": "medium", "rule": f"{rules.medium_from} or more yes"}
        )
    return summary


def read_rule_book(texts: Iterable[str]) -> RuleBook:
    """Read a rule book from TOML documents: each holds an area's rules or an instrument.

    Raises KeyError or ValueError on a bad file.
    """
    rules: list[Rules] = []
    instruments: list[Instrument] = []
    for text in texts:
        raw = tomllib.loads(text)
        if "instrument" in raw:
            items = {item["concept"]: item["subject"] for item in raw["items"]}
            instruments.append(
                Instrument(raw["instrument"], raw["version"], raw["effective_from"], items)
            )
            continue
        risk = raw["risk"]
        rules.append(
            Rules(
                version=raw["version"],
                area=raw["area"],
                effective_from=raw["effective_from"],
                high_from=risk["high_from"],
                medium_from=risk["medium_from"],
                critical=tuple(risk["critical"]),
                adult_at=raw["people"]["adult_at"],
                safe_contact_days=raw["safe_contact"]["lasts_days"],
                ahead_minutes=raw["dates"]["ahead_minutes"],
                area_codes=tuple(raw["areas"]["codes"]),
            )
        )
    return RuleBook(tuple(rules), tuple(instruments))


def _same(text: str) -> str:
    return " ".join(text.casefold().split())
