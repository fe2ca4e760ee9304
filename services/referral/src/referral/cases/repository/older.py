"""Reads form 1 of a stored case: the JSON of its published event, as written until 2026-11-29.

Nothing writes it any more. A case changed since then is stored in the form of `stored`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from common.events.case import CaseSubject, Consent, Fact, Marking, RiskSummary
from referral.cases.model.case import CaseOutline, Change, Origin, Stage


def outline_in(head: Mapping[str, Any]) -> CaseOutline:
    """Read the outline, with or without earlier contributions and the time of its change."""
    newest = Origin(
        contribution_id=UUID(head["referralId"]),
        agency=head["referrerAgency"],
        kind=head["kind"],
        source=head["source"],
        occurred_at=datetime.fromisoformat(head["occurredAt"]),
        recorded_at=datetime.fromisoformat(head["receivedAt"]),
    )
    changed_at = head.get("changedAt")
    return CaseOutline(
        case_id=UUID(head["caseId"]),
        version=head["version"],
        change=Change(head["cause"]),
        stage=Stage.PROVISIONAL if head["provisional"] else Stage.COMPLETE,
        area=head["area"],
        rules_version=head["rulesVersion"],
        safe_contact_days=head["safeContactDays"],
        effective_on=date.fromisoformat(head["effectiveOn"]),
        subjects=tuple(map(_subject, head["subjects"])),
        risk=_risk(head["risk"]),
        consent=_consent(head["consent"]),
        markings=tuple(map(_marking, head["markings"])),
        origins=(*map(_origin, head.get("earlier", ())), newest),
        changed_at=datetime.fromisoformat(changed_at) if changed_at else newest.recorded_at,
    )


def facts_of(group: Sequence[Any], newest: int) -> Iterator[tuple[int, int, Fact]]:
    """Read one group; a fact without a position is the newest contribution's."""
    for place, raw, *position in group:
        fact = Fact(
            path=raw["path"],
            category=raw["category"],
            subject=_id(raw["subject"]),
            label=raw["label"],
            value=raw["value"],
            quality=raw["quality"],
        )
        yield (position[0] if position else newest), place, fact


def _origin(raw: Mapping[str, str]) -> Origin:
    return Origin(
        contribution_id=UUID(raw["contributionId"]),
        agency=raw["agency"],
        kind=raw["kind"],
        source=raw["source"],
        occurred_at=datetime.fromisoformat(raw["occurredAt"]),
        recorded_at=datetime.fromisoformat(raw["recordedAt"]),
    )


def _subject(raw: Mapping[str, Any]) -> CaseSubject:
    return CaseSubject(
        subject_id=UUID(raw["subjectId"]),
        role=raw["role"],
        address_shielded=raw["addressShielded"],
        under_18=raw["under18"],
    )


def _risk(raw: Mapping[str, Any]) -> RiskSummary:
    return RiskSummary(
        instrument=raw["instrument"],
        instrument_version=raw["instrumentVersion"],
        score=raw["score"],
        dont_know=raw["dontKnow"],
        level=raw["level"],
        rule=raw["rule"],
        critical=tuple(raw["critical"]),
    )


def _consent(raw: Mapping[str, Any]) -> Consent:
    return Consent(
        aware=raw["aware"],
        agrees_to_support=raw["agreesToSupport"],
        lawful_basis=raw["lawfulBasis"],
        condition=raw["condition"],
        gateway=raw["gateway"],
    )


def _marking(raw: Mapping[str, Any]) -> Marking:
    return Marking(
        marking_id=UUID(raw["markingId"]),
        kind=raw["kind"],
        agency=raw["agency"],
        category=raw["category"],
        subject=_id(raw["subject"]),
    )


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
