"""What a recipient answers to a correction or a withdrawal, by when, and who chases it."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from sharing.content.model.projection import Kind

_LONDON: Final = ZoneInfo("Europe/London")
_SATURDAY: Final = 5


class Answer(StrEnum):
    """What an agency says it did with what it had read."""

    CORRECTED = "corrected"
    """Its record says the new now; the old is no longer used."""
    STOPPED = "stopped_and_deleted"
    KEPT = "kept_under_duty"


ALLOWED_ANSWERS: Final[Mapping[Kind, frozenset[Answer]]] = {
    "correction": frozenset({Answer.CORRECTED, Answer.STOPPED, Answer.KEPT}),
    "withdrawal": frozenset({Answer.STOPPED, Answer.KEPT}),
}
"""Which answers each kind of package takes. Other kinds take none."""


class NothingToAnswer(ValueError):
    """The delivery is neither a correction nor a withdrawal."""


class AnswerRefused(ValueError):
    """An answer that is none. `field` names the part that is wrong, `allowed` what it may be."""

    code: Final = "validation-failed"

    def __init__(self, field: str, allowed: Iterable[str]) -> None:
        super().__init__(field)
        self.field = field
        self.allowed = tuple(sorted(allowed))


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; `duty` is a code of the area's list, given exactly with `kept_under_duty`."""

    answer: Answer
    duty: str | None = None


class RulesUnknown(LookupError):
    """No clocks of that area were in force on that day."""


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """One dated set of an area's clocks and duties for answers."""

    version: str
    area: str
    effective_from: date
    working_days: Mapping[Kind, int]
    owners: tuple[str, ...]
    """Roles that chase an answer that did not come: the first at the recipient, then the area's."""
    bank_holidays: frozenset[date]
    duties: frozenset[str]

    def due(self, kind: Kind, at: datetime) -> datetime:
        """Return when an answer to a package of this kind is due that leaves at `at`.

        So many working days later, at the same time of day in London.
        """
        local = at.astimezone(_LONDON)
        day, left = local.date(), self.working_days[kind]
        while left:
            day += timedelta(days=1)
            left -= day.weekday() < _SATURDAY and day not in self.bank_holidays
        clock = time(local.hour, local.minute, local.second, local.microsecond)
        return datetime.combine(day, clock, _LONDON).astimezone(at.tzinfo)

    def check(self, kind: Kind, answer: str, duty: str | None) -> Said:
        """Hold an answer to the code lists.

        Raises NothingToAnswer, AnswerRefused.
        """
        allowed = ALLOWED_ANSWERS.get(kind)
        if allowed is None:
            raise NothingToAnswer
        if answer not in allowed:
            raise AnswerRefused("answer", allowed)
        said = Answer(answer)
        if said is Answer.KEPT and duty not in self.duties:
            raise AnswerRefused("duty", self.duties)
        if said is not Answer.KEPT and duty:
            raise AnswerRefused("duty", ())
        return Said(said, duty or None)


class AnswerBook:
    """The dated sets of one area."""

    def __init__(self, area: str, texts: Iterable[str]) -> None:
        """Read the sets that TOML documents hold. Raises KeyError or ValueError on a bad file."""
        every = (_read(tomllib.loads(text)) for text in texts)
        self._sets = tuple(one for one in every if one.area == area)

    def on(self, at: datetime) -> AnswerRules:
        """Return the set in force on the day of `at` in London. Raises RulesUnknown."""
        day = at.astimezone(_LONDON).date()
        dated = [one for one in self._sets if one.effective_from <= day]
        if not dated:
            raise RulesUnknown("no clocks for this area and day")
        return max(dated, key=lambda one: one.effective_from)


def _read(raw: Mapping[str, Any]) -> AnswerRules:
    said = raw["answers"]
    return AnswerRules(
        version=raw["version"],
        area=raw["area"],
        effective_from=raw["effective_from"],
        working_days={
            "correction": int(said["correction_working_days"]),
            "withdrawal": int(said["withdrawal_working_days"]),
        },
        owners=tuple(said["owners"]),
        bank_holidays=frozenset(said["bank_holidays"]),
        duties=frozenset(said["duties"]),
    )
