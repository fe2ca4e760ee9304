"""What a form comes to: people, risk, consent and facts, under the dated rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from common.events.case import CaseSubject, Consent, Fact, Marking, RiskSummary
from hubformats.ids import uuid7
from referral.cases.model.case import level_facts
from referral.intake.model.contradictions import doubts, with_doubts
from referral.intake.model.dates import future_dates
from referral.intake.model.errors import FormFault, FormRefused
from referral.intake.model.facts import facts_of, risk_facts, unknown_contact
from referral.intake.model.form import Address, FullReferral, Person, UrgentReferral
from referral.risk.model import (
    URGENT,
    ConceptUnknown,
    Instrument,
    RuleBook,
    Rules,
    RulesUnknown,
    assess,
)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a case begins with."""

    subjects: tuple[CaseSubject, ...]
    risk: RiskSummary
    consent: Consent
    facts: tuple[Fact, ...]
    occurred_at: datetime
    shields: tuple[Marking, ...] = ()
    doubts: tuple[FormFault, ...] = ()
    """Where the form contradicts itself: taken in, and its sender is told at once."""


def plan_urgent(form: UrgentReferral, rules: Rules, now: datetime) -> Planned:
    """Plan an urgent form: danger reported, nothing assessed, nobody asked about contact."""
    victim = uuid7()
    subjects = (
        CaseSubject(subject_id=victim, role="victim", address_shielded=form.place_shielded),
    )
    consent = Consent(
        aware="unknown", agrees_to_support="unknown", lawful_basis="6d", gateway="common_law"
    )
    facts = (
        facts_of(form, {"victim": victim}, rules)
        + level_facts(URGENT, victim)
        + (unknown_contact(victim),)
    )
    shields = _whole_shields(subjects)
    return Planned(subjects, URGENT, consent, facts, now, shields)


def plan_full(form: FullReferral, rules: Rules, book: RuleBook, now: datetime) -> Planned:
    """Plan a full form.

    Raises FormRefused for a date in the future, an instrument or concept nobody knows.
    """
    if future := future_dates(form, rules, now):
        raise FormRefused(*future)
    instrument = _instrument(form, book)
    try:
        summary = assess(form.risk, rules, instrument)
    except ConceptUnknown as strange:
        sentence = "must be a concept of this instrument; see GET /v1/code-lists"
        places = [f"/risk/answers/{place}/concept" for place in strange.places]
        raise FormRefused(*(FormFault(pointer, sentence) for pointer in places)) from None
    ids = {person.ref: uuid7() for person in form.people}
    subjects = tuple(_subject(person, ids[person.ref], rules, now.date()) for person in form.people)
    consent = Consent(
        aware=form.consent.aware,
        agrees_to_support=form.consent.agrees_to_support,
        lawful_basis=form.consent.lawful_basis,
        condition=form.consent.condition,
        gateway=form.consent.gateway,
    )
    victim = next(subject.subject_id for subject in subjects if subject.role == "victim")
    minors = {
        person.ref
        for person, subject in zip(form.people, subjects, strict=True)
        if subject.under_18
    }
    told = with_doubts(form, facts_of(form, ids, rules, minors))
    facts = told + risk_facts(form, instrument, summary, victim)
    shields = _shields(form, ids, subjects)
    occurred = form.incident.occurred_at
    return Planned(subjects, summary, consent, facts, occurred, shields, doubts(form))


def _shields(
    form: FullReferral, ids: Mapping[str, UUID], subjects: Iterable[CaseSubject]
) -> tuple[Marking, ...]:
    """Make the location shields of a full form.

    A shield belongs to an address (design section 13, rule 1). Where the form leaves another
    address open, each shield names its own by its path. Otherwise it covers every place of the
    person. So does one of an address that says nothing: what is meant stands elsewhere.
    """
    told = [
        (ids[person.ref], f"people.{number}.addresses.{place}", address)
        for number, person in enumerate(form.people)
        if person.role != "perpetrator"
        for place, address in enumerate(person.addresses)
    ]
    closed = [(subject, path, address) for subject, path, address in told if address.shielded]
    if len(closed) == len(told) or not all(_says_where(address) for _, _, address in closed):
        return _whole_shields(subjects)
    his = _whole_shields(subject for subject in subjects if subject.role == "perpetrator")
    return (*(_shield(subject, path) for subject, path, _ in closed), *his)


def _says_where(address: Address) -> bool:
    return bool(address.lines or address.postcode)


def _whole_shields(subjects: Iterable[CaseSubject]) -> tuple[Marking, ...]:
    return tuple(_shield(one.subject_id, "*") for one in subjects if one.address_shielded)


def _shield(subject: UUID, category: str) -> Marking:
    return Marking(marking_id=uuid7(), kind="location_shield", category=category, subject=subject)


def _instrument(form: FullReferral, book: RuleBook) -> Instrument | None:
    if form.risk is None:
        return None
    try:
        return book.instrument(form.risk.instrument, form.risk.version)
    except RulesUnknown:
        sentence = "must be a version of this instrument the hub holds; see GET /v1/code-lists"
        raise FormRefused(FormFault("/risk/version", sentence)) from None


def _subject(person: Person, subject_id: UUID, rules: Rules, today: date) -> CaseSubject:
    shielded = any(address.shielded for address in person.addresses)
    youngest = max(person.birth_dates, default=None)
    under = person.role == "child" or (
        youngest is not None and _years(youngest, today) < rules.adult_at
    )
    return CaseSubject(
        subject_id=subject_id, role=person.role, address_shielded=shielded, under_18=under
    )


def _years(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
