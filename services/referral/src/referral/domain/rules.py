"""Dated rules of an area and the instruments it uses. A referral keeps the version it was made
under, for ever."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date


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
        """Whether a text is one of the area codes, whatever its case and spacing."""
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
        """The rules in force in `area` on a day. Raises RulesUnknown."""
        dated = [r for r in self.rules if r.area == area and r.effective_from <= on]
        if not dated:
            raise RulesUnknown("no rules for this area and day")
        return max(dated, key=lambda r: r.effective_from)

    def instrument(self, name: str, version: str) -> Instrument:
        """The instrument of that exact version. Raises RulesUnknown."""
        for instrument in self.instruments:
            if (instrument.name, instrument.version) == (name, version):
                return instrument
        raise RulesUnknown("no such instrument version")

    def areas(self) -> frozenset[str]:
        """Areas with at least one rule set."""
        return frozenset(r.area for r in self.rules)


def read_rule_book(texts: Iterable[str]) -> RuleBook:
    """The rule book of TOML documents, each either an area's rules or an instrument.

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
