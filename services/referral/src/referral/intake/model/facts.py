"""Makes categorised facts of a form. It walks the annotated fields, so one that nobody categorised
is refused."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from common.events.case import Fact, RiskSummary
from hubformats.place_shapes import gives_place
from referral.cases.model.case import level_facts
from referral.intake.model.form import (
    ROLE_NAMES,
    Address,
    ContactMeans,
    Form,
    FullReferral,
    Internal,
    Person,
    Shared,
    UrgentReferral,
)
from referral.risk.model import Instrument, Rules

_NO_CALLBACK: Final = {"do_not_call": "Do not call", "unknown": "Unknown: do not call"}


_AT_A_PLACE: Final = {
    "post": "{role}_address",
    "in_person": "{role}_address",
    "via_school": "child_school",
}
"""Channels whose "number or address" tells where somebody lives or can be found."""


class Uncategorised(TypeError):
    """A form field carries neither a data category nor a reason to stay internal: refused before
    anything is stored.
    """


def facts_of(
    form: FullReferral | UrgentReferral,
    subjects: Mapping[str, UUID],
    rules: Rules,
    minors: Collection[str] = (),
) -> tuple[Fact, ...]:
    """Make a fact of every filled field of `form`, under its category.

    `subjects` maps a person's ref to the subject id.

    Under which category can depend on what was typed. An area that the rules do not list, or a
    means of contact at a place, is an address. A member of the household whose ref is among the
    `minors` is a child who lives with the abuse.

    Raises Uncategorised if a filled field has no category.
    """
    victim = subjects["victim"] if isinstance(form, UrgentReferral) else _victim(form, subjects)
    return tuple(_walk(form, "", _Owner(victim, "victim"), _Filing(subjects, rules, minors)))


def answered_items(form: FullReferral, instrument: Instrument) -> Iterator[tuple[int, str, str]]:
    """Give position, subject and wording of each answer, for the risk section of a snapshot."""
    if form.risk is None:
        return
    words = {"yes": "Yes", "no": "No", "dont_know": "Don't know", "not_asked": "Not asked"}
    for place, answer in enumerate(form.risk.answers):
        yield (
            place,
            instrument.items[answer.concept],
            (
                f"{words[answer.answer]} (said by: "
                f"{answer.source.replace('_', ' ')}){f'. {answer.note}' if answer.note else ''}"
            ),
        )


def risk_facts(
    form: FullReferral, instrument: Instrument | None, summary: RiskSummary, victim: UUID
) -> tuple[Fact, ...]:
    """State the level, its rule, what is not known and critical items, then each answer."""

    def shown(path: str, label: str, value: str) -> Fact:
        return Fact(
            path=path,
            category="risk_summary",
            subject=victim,
            label=label,
            value=value,
            quality="professional_opinion",
        )

    made = level_facts(summary, victim)
    if instrument is None:
        return made
    made += (
        shown("risk.score", "Answered yes", f"{summary.score} of {len(instrument.items)}"),
        shown("risk.dont_know", "Don't know or not asked", str(summary.dont_know)),
    )
    if summary.critical:
        made += (
            shown(
                "risk.critical",
                "Critical items answered yes",
                "; ".join(instrument.items[c] for c in summary.critical),
            ),
        )
    return made + tuple(
        Fact(
            path=f"risk.answers.{place}",
            category="risk_answers",
            subject=victim,
            label=subject,
            value=words,
            quality="self_report",
        )
        for place, subject, words in answered_items(form, instrument)
    )


def unknown_contact(victim: UUID) -> Fact:
    """State that nobody asked about safe contact, so do not contact (design section 13, rule 2)."""
    return Fact(
        path="safe_contact.status",
        category="victim_safe_contact",
        subject=victim,
        label="Safe contact",
        value="unknown",
    )


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whom the fields of a part of a form are about, and in which role."""

    subject: UUID
    role: str


@dataclass(frozen=True, slots=True)
class _Filing:
    """What filing a form's fields needs besides them."""

    subjects: Mapping[str, UUID]
    rules: Rules
    minors: Collection[str]

    def owner(self, person: Person) -> _Owner:
        child = person.role == "household_member" and person.ref in self.minors
        return _Owner(self.subjects[person.ref], "child" if child else person.role)

    def mark(self, kind: Shared, part: BaseModel, value: Any) -> Shared:
        """Give the field's category, or a place's where the value tells one.

        An address in the wrong field stays an address.
        """
        if (
            isinstance(part, Address)
            and kind.category == "{role}_area"
            and not self.rules.is_area(value)
        ):
            return replace(kind, category="{role}_address")
        if isinstance(part, ContactMeans) and kind.category == "victim_phone":
            if part.channel in _AT_A_PLACE:
                return replace(kind, category=_AT_A_PLACE[part.channel])
            return replace(kind, category="{role}_address") if gives_place(value) else kind
        return kind


def _victim(form: FullReferral, subjects: Mapping[str, UUID]) -> UUID:
    return next(subjects[person.ref] for person in form.people if person.role == "victim")


def _walk(part: BaseModel, path: str, owner: _Owner, filing: _Filing) -> Iterator[Fact]:
    for name, kind in _marks_of(type(part)):
        value = getattr(part, name)
        if value is None or value == ():
            continue
        here = f"{path}{name}"
        if isinstance(value, Form):
            yield from _walk(value, f"{here}.", owner, filing)
        elif isinstance(value, tuple) and isinstance(value[0], Form):
            for place, entry in enumerate(value):
                who = filing.owner(entry) if isinstance(entry, Person) else owner
                yield from _walk(entry, f"{here}.{place}.", who, filing)
        else:
            yield from _leaf(
                filing.mark(kind, part, value) if isinstance(kind, Shared) else kind,
                here,
                value,
                owner,
            )


@cache
def _marks_of(form: type[BaseModel]) -> tuple[tuple[str, Shared | Internal | None], ...]:
    """List each field of a part of a form with the category it carries, if it does."""
    return tuple(
        (name, next((mark for mark in info.metadata if isinstance(mark, (Shared, Internal))), None))
        for name, info in form.model_fields.items()
    )


def _leaf(kind: Shared | Internal | None, path: str, value: Any, owner: _Owner) -> Iterator[Fact]:
    if kind is None and value in _NO_CALLBACK:
        kind, value = Shared("callback", "Call back on"), _NO_CALLBACK[value]
    if kind is None:
        raise Uncategorised(path)
    if isinstance(kind, Shared):
        category = _category(kind.category, owner.role)
        subject = None if category == "referrer" else owner.subject
        yield Fact(
            path=path,
            category=category,
            subject=subject,
            label=kind.label,
            value=_plain(value),
            quality=kind.quality or "fact",
        )


@cache
def _category(category: str, role: str) -> str:
    return category.format(role=ROLE_NAMES[role])


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value
