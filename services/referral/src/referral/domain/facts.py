"""From a form to categorised facts: walks the annotated fields, so a field nobody categorised cannot slip through."""

from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from common.events.case import Fact, RiskSummary
from referral.domain.form import ROLE_NAMES, Form, FullReferral, Internal, Person, Shared, UrgentReferral
from referral.domain.rules import Instrument

_NO_CALLBACK: Final = {"do_not_call": "Do not call", "unknown": "Unknown: do not call"}


class Uncategorised(TypeError):
    """A form field carries neither a data category nor a reason to stay internal: refused before anything is stored."""


def facts_of(form: FullReferral | UrgentReferral, subjects: dict[str, UUID]) -> tuple[Fact, ...]:
    """Every filled field of `form` as a fact under its category. `subjects` maps a person's ref to the subject id.

    Raises Uncategorised if a filled field has no category.
    """
    victim = subjects["victim"] if isinstance(form, UrgentReferral) else _victim(form, subjects)
    return tuple(_walk(form, "", victim, "victim", subjects))


def answered_items(form: FullReferral, instrument: Instrument) -> Iterator[tuple[int, str, str]]:
    """Position, subject and wording of each answer, for the risk section of a snapshot."""
    if form.risk is None:
        return
    words = {"yes": "Yes", "no": "No", "dont_know": "Don't know", "not_asked": "Not asked"}
    for place, answer in enumerate(form.risk.answers):
        yield (
            place,
            instrument.items[answer.concept],
            f"{words[answer.answer]} (said by: {answer.source.replace('_', ' ')}){f'. {answer.note}' if answer.note else ''}",
        )


def risk_facts(form: FullReferral, instrument: Instrument | None, summary: RiskSummary, victim: UUID) -> tuple[Fact, ...]:
    """The level with the rule that gave it, what is not known, critical items, then each answer in words."""

    def shown(path: str, label: str, value: str) -> Fact:
        return Fact(path=path, category="risk_summary", subject=victim, label=label, value=value, quality="professional_opinion")

    made = level_facts(summary, victim)
    if instrument is None:
        return made
    made += (
        shown("risk.score", "Answered yes", f"{summary.score} of {len(instrument.items)}"),
        shown("risk.dont_know", "Don't know or not asked", str(summary.dont_know)),
    )
    if summary.critical:
        made += (shown("risk.critical", "Critical items answered yes", "; ".join(instrument.items[c] for c in summary.critical)),)
    return made + tuple(
        Fact(path=f"risk.answers.{place}", category="risk_answers", subject=victim, label=subject, value=words, quality="self_report")
        for place, subject, words in answered_items(form, instrument)
    )


def level_facts(summary: RiskSummary, victim: UUID) -> tuple[Fact, ...]:
    """The level and the rule that gave it; "not assessed" is said, never left out."""
    lines = (("risk.level", "Risk level", summary.level.replace("_", " ")), ("risk.rule", "Rule that gave the level", summary.rule))
    return tuple(
        Fact(path=path, category="risk_summary", subject=victim, label=label, value=value, quality="professional_opinion")
        for path, label, value in lines
    )


def unknown_contact(victim: UUID) -> Fact:
    """What an urgent referral says of safe contact: nobody asked, so do not contact (design section 13, rule 2)."""
    return Fact(path="safe_contact.status", category="victim_safe_contact", subject=victim, label="Safe contact", value="unknown")


def _victim(form: FullReferral, subjects: dict[str, UUID]) -> UUID:
    return next(subjects[person.ref] for person in form.people if person.role == "victim")


def _walk(part: BaseModel, path: str, subject: UUID, role: str, subjects: dict[str, UUID]) -> Iterator[Fact]:
    for name, kind in _marks_of(type(part)):
        value = getattr(part, name)
        if value is None or value == ():
            continue
        here = f"{path}{name}"
        if isinstance(value, Form):
            yield from _walk(value, f"{here}.", subject, role, subjects)
        elif isinstance(value, tuple) and isinstance(value[0], Form):
            for place, entry in enumerate(value):
                who = (subjects[entry.ref], entry.role) if isinstance(entry, Person) else (subject, role)
                yield from _walk(entry, f"{here}.{place}.", *who, subjects)
        else:
            yield from _leaf(kind, here, value, subject, role)


@cache
def _marks_of(form: type[BaseModel]) -> tuple[tuple[str, Shared | Internal | None], ...]:
    """Each field of a part of a form with the category it carries, if it does; a class's own never change."""
    return tuple(
        (name, next((mark for mark in info.metadata if isinstance(mark, (Shared, Internal))), None))
        for name, info in form.model_fields.items()
    )


def _leaf(kind: Shared | Internal | None, path: str, value: Any, subject: UUID, role: str) -> Iterator[Fact]:
    if kind is None and value in _NO_CALLBACK:
        kind, value = Shared("callback", "Call back on"), _NO_CALLBACK[value]
    if kind is None:
        raise Uncategorised(path)
    if isinstance(kind, Shared):
        category = _category(kind.category, role)
        owner = None if category == "referrer" else subject
        yield Fact(path=path, category=category, subject=owner, label=kind.label, value=_plain(value), quality=kind.quality or "fact")


@cache
def _category(category: str, role: str) -> str:
    return category.format(role=ROLE_NAMES[role])


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value
