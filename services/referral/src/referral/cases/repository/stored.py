"""How a case is written down before it is sealed, and read again.

A case of one contribution is written as it was before contributions had origins of their own, so
older rows open as they are.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from common.events.case import CaseSubject, Consent, Fact, Marking, RiskSummary
from referral.cases.model.case import Case, CaseOutline, Change, Origin, Stage

Placed = tuple[int, int, Fact]
"""A fact with the position of its contribution and its place among all, as published."""


def head_text(case: Case, data: Mapping[str, Any]) -> str:
    """Write the outline: the members of its snapshot's `data` without facts, and what they lack."""
    head = {name: value for name, value in data.items() if name != "facts"}
    head["changedAt"] = case.outline.changed_at.isoformat()
    earlier = case.outline.origins[:-1]
    if earlier:
        head["earlier"] = [_origin_data(origin) for origin in earlier]
    return json.dumps(head)


def outline_of(text: str) -> CaseOutline:
    """Read the outline from what `head_text` wrote, now or before it had origins."""
    head: dict[str, Any] = json.loads(text)
    newest = Origin(
        contribution_id=UUID(head["referralId"]),
        agency=head["referrerAgency"],
        kind=head["kind"],
        source=head["source"],
        occurred_at=_moment(head["occurredAt"]),
        recorded_at=_moment(head["receivedAt"]),
    )
    earlier = tuple(_origin(raw) for raw in head.get("earlier", ()))
    return CaseOutline(
        case_id=UUID(head["caseId"]),
        version=head["version"],
        change=Change(head["cause"]),
        stage=Stage.PROVISIONAL if head["provisional"] else Stage.COMPLETE,
        area=head["area"],
        rules_version=head["rulesVersion"],
        safe_contact_days=head["safeContactDays"],
        effective_on=datetime.fromisoformat(head["effectiveOn"]).date(),
        subjects=tuple(map(CaseSubject.model_validate, head["subjects"])),
        risk=RiskSummary.model_validate(head["risk"]),
        consent=Consent.model_validate(head["consent"]),
        markings=tuple(map(Marking.model_validate, head["markings"])),
        origins=(*earlier, newest),
        changed_at=_moment(head["changedAt"]) if "changedAt" in head else newest.recorded_at,
    )


def fact_texts(case: Case, data: Mapping[str, Any]) -> Iterator[tuple[UUID, str, str]]:
    """Write the facts in groups: whose key seals a group, its category, and its text."""
    groups: dict[tuple[UUID, str], list[list[Any]]] = {}
    newest = len(case.facts) - 1
    places = iter(data["facts"])
    place = 0
    for position in range(newest, -1, -1):
        for fact in case.facts[position]:
            owner = fact.subject or case.outline.case_id
            entry = [place, next(places)] if position == newest else [place, next(places), position]
            groups.setdefault((owner, fact.category), []).append(entry)
            place += 1
    for (owner, category), entries in groups.items():
        yield owner, category, json.dumps(entries)


def facts_in(text: str, newest: int) -> Iterator[Placed]:
    """Read one group; `newest` is the position of the newest contribution."""
    for place, raw, *position in json.loads(text):
        yield (position[0] if position else newest), place, Fact.model_validate(raw)


def by_contribution(placed: Iterable[Placed], contributions: int) -> tuple[tuple[Fact, ...], ...]:
    """Sort the facts of all groups into their contributions, each in its own order."""
    ordered = sorted(placed, key=itemgetter(0, 1))
    found = {
        position: tuple(fact for _, _, fact in facts)
        for position, facts in groupby(ordered, key=itemgetter(0))
    }
    return tuple(found.get(position, ()) for position in range(contributions))


def _origin_data(origin: Origin) -> dict[str, str]:
    return {
        "contributionId": str(origin.contribution_id),
        "agency": origin.agency,
        "kind": origin.kind,
        "source": origin.source,
        "occurredAt": origin.occurred_at.isoformat(),
        "recordedAt": origin.recorded_at.isoformat(),
    }


def _origin(raw: Mapping[str, str]) -> Origin:
    return Origin(
        contribution_id=UUID(raw["contributionId"]),
        agency=raw["agency"],
        kind=raw["kind"],
        source=raw["source"],
        occurred_at=_moment(raw["occurredAt"]),
        recorded_at=_moment(raw["recordedAt"]),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
