"""Writes a case down before it is sealed, and reads it again, in a form and names of its own.

A change of the published event leaves it alone. The form's number goes up with each change that an
older hub must not pass over. `setters` and `veto_settings` are none: they are left out where empty.
`older` reads older forms.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_jsonable_python

from common.events.case import CaseSubject, Consent, Fact, Marking, RiskSummary
from referral.cases.model.case import Case, CaseOutline, Change, Origin, Stage, VetoSetting
from referral.cases.repository import older

FORM: Final = 2
Placed = tuple[int, int, Fact]
"""A fact with the position of its contribution and its place among all, as published."""


class UnknownForm(ValueError):
    """The text has the form of a later version of the hub."""


def head_text(case: Case) -> str:
    """Write the outline."""
    outline = case.outline
    head = {
        "form": FORM,
        "id": str(outline.case_id),
        "version": outline.version,
        "change": outline.change.value,
        "stage": outline.stage.value,
        "changed_at": outline.changed_at.isoformat(),
        "area": outline.area,
        "rules": outline.rules_version,
        "safe_contact_days": outline.safe_contact_days,
        "effective_on": outline.effective_on.isoformat(),
        "contributions": [_written_origin(origin) for origin in outline.origins],
        "people": [_written_person(subject) for subject in outline.subjects],
        "risk": _written_risk(outline.risk),
        "consent": _written_consent(outline.consent),
        "vetoes": [_written_veto(marking) for marking in outline.markings],
    }
    if outline.setters:
        head["setters"] = {str(veto): agency for veto, agency in outline.setters.items()}
    if outline.settings:
        head["veto_settings"] = {
            str(veto): {"at": each.at.isoformat(), "code": each.reason_code}
            for veto, each in outline.settings.items()
        }
    return json.dumps(head)


def outline_of(text: str) -> CaseOutline:
    """Read the outline, in this form or an older one. Raises UnknownForm."""
    head: dict[str, Any] = json.loads(text)
    if "form" in head:
        _require_known(head)
    else:
        head = older.head_in_form_2(head)
    return CaseOutline(
        case_id=UUID(head["id"]),
        version=head["version"],
        change=Change(head["change"]),
        stage=Stage(head["stage"]),
        area=head["area"],
        rules_version=head["rules"],
        safe_contact_days=head["safe_contact_days"],
        effective_on=date.fromisoformat(head["effective_on"]),
        subjects=tuple(map(_person, head["people"])),
        risk=_risk(head["risk"]),
        consent=_consent(head["consent"]),
        markings=tuple(map(_veto, head["vetoes"])),
        origins=tuple(map(_origin, head["contributions"])),
        changed_at=datetime.fromisoformat(head["changed_at"]),
        setters={UUID(veto): agency for veto, agency in head.get("setters", {}).items()},
        settings={
            UUID(veto): VetoSetting(datetime.fromisoformat(each["at"]), each["code"])
            for veto, each in head.get("veto_settings", {}).items()
        },
    )


def fact_texts(case: Case) -> Iterator[tuple[UUID, str, str]]:
    """Write the facts in groups: whose key seals a group, its category, and its text."""
    groups: dict[tuple[UUID, str], list[dict[str, Any]]] = {}
    place = 0
    for position in range(len(case.facts) - 1, -1, -1):
        for fact in case.facts[position]:
            owner = fact.subject or case.outline.case_id
            entry = _written_fact(fact, position, place)
            groups.setdefault((owner, fact.category), []).append(entry)
            place += 1
    for (owner, category), facts in groups.items():
        text = json.dumps({"form": FORM, "facts": facts}, default=to_jsonable_python)
        yield owner, category, text


def facts_in(text: str, newest: int) -> list[Placed]:
    """Read one group; `newest` is the position of the newest contribution. Raises UnknownForm."""
    group = json.loads(text)
    if isinstance(group, list):
        facts: Iterable[Mapping[str, Any]] = older.facts_in_form_2(group, newest)
    else:
        _require_known(group)
        facts = group["facts"]
    return [(raw["contribution"], raw["place"], _fact(raw)) for raw in facts]


def by_contribution(placed: Iterable[Placed], contributions: int) -> tuple[tuple[Fact, ...], ...]:
    """Sort the facts of all groups into their contributions, each in its own order."""
    ordered = sorted(placed, key=itemgetter(0, 1))
    found = {
        position: tuple(fact for _, _, fact in facts)
        for position, facts in groupby(ordered, key=itemgetter(0))
    }
    return tuple(found.get(position, ()) for position in range(contributions))


def _require_known(raw: Mapping[str, Any]) -> None:
    if raw["form"] != FORM:
        raise UnknownForm(f"form {raw['form']} of a stored case is not known here")


def _written_origin(origin: Origin) -> dict[str, Any]:
    return {
        "id": str(origin.contribution_id),
        "agency": origin.agency,
        "kind": origin.kind,
        "source": origin.source,
        "occurred_at": origin.occurred_at.isoformat(),
        "recorded_at": origin.recorded_at.isoformat(),
    }


def _origin(raw: Mapping[str, Any]) -> Origin:
    return Origin(
        contribution_id=UUID(raw["id"]),
        agency=raw["agency"],
        kind=raw["kind"],
        source=raw["source"],
        occurred_at=datetime.fromisoformat(raw["occurred_at"]),
        recorded_at=datetime.fromisoformat(raw["recorded_at"]),
    )


def _written_person(subject: CaseSubject) -> dict[str, Any]:
    return {
        "id": str(subject.subject_id),
        "role": subject.role,
        "address_shielded": subject.address_shielded,
        "under_18": subject.under_18,
    }


def _person(raw: Mapping[str, Any]) -> CaseSubject:
    return CaseSubject(
        subject_id=UUID(raw["id"]),
        role=raw["role"],
        address_shielded=raw["address_shielded"],
        under_18=raw["under_18"],
    )


def _written_risk(risk: RiskSummary) -> dict[str, Any]:
    return {
        "instrument": risk.instrument,
        "edition": risk.instrument_version,
        "score": risk.score,
        "dont_know": risk.dont_know,
        "level": risk.level,
        "rule": risk.rule,
        "critical": list(risk.critical),
    }


def _risk(raw: Mapping[str, Any]) -> RiskSummary:
    return RiskSummary(
        instrument=raw["instrument"],
        instrument_version=raw["edition"],
        score=raw["score"],
        dont_know=raw["dont_know"],
        level=raw["level"],
        rule=raw["rule"],
        critical=tuple(raw["critical"]),
    )


def _written_consent(consent: Consent) -> dict[str, Any]:
    return {
        "aware": consent.aware,
        "support": consent.agrees_to_support,
        "basis": consent.lawful_basis,
        "condition": consent.condition,
        "gateway": consent.gateway,
    }


def _consent(raw: Mapping[str, Any]) -> Consent:
    return Consent(
        aware=raw["aware"],
        agrees_to_support=raw["support"],
        lawful_basis=raw["basis"],
        condition=raw["condition"],
        gateway=raw["gateway"],
    )


def _written_veto(marking: Marking) -> dict[str, Any]:
    return {
        "id": str(marking.marking_id),
        "kind": marking.kind,
        "agency": marking.agency,
        "category": marking.category,
        "person": _text(marking.subject),
    }


def _veto(raw: Mapping[str, Any]) -> Marking:
    return Marking(
        marking_id=UUID(raw["id"]),
        kind=raw["kind"],
        agency=raw["agency"],
        category=raw["category"],
        subject=_id(raw["person"]),
    )


def _written_fact(fact: Fact, contribution: int, place: int) -> dict[str, Any]:
    return {
        "contribution": contribution,
        "place": place,
        "path": fact.path,
        "category": fact.category,
        "person": _text(fact.subject),
        "label": fact.label,
        "value": fact.value,
        "quality": fact.quality,
    }


def _fact(raw: Mapping[str, Any]) -> Fact:
    return Fact(
        path=raw["path"],
        category=raw["category"],
        subject=_id(raw["person"]),
        label=raw["label"],
        value=raw["value"],
        quality=raw["quality"],
    )


def _text(one: UUID | None) -> str | None:
    return None if one is None else str(one)


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
