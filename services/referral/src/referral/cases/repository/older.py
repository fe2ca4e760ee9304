"""Translates form 1 of a stored case into form 2: form 1 was the JSON of the published event.

Nothing has written it since 2026-11-29; a case changed since then is stored in form 2 (`stored`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from referral.cases.model.case import Stage

Names = Mapping[str, str]
"""What form 1 calls a member, and what form 2 does."""

_HEAD: Final[Names] = {
    "caseId": "id",
    "version": "version",
    "cause": "change",
    "area": "area",
    "rulesVersion": "rules",
    "safeContactDays": "safe_contact_days",
    "effectiveOn": "effective_on",
}
_ORIGIN: Final[Names] = {"kind": "kind", "source": "source", "occurredAt": "occurred_at"}
_EARLIER: Final[Names] = {
    **_ORIGIN,
    "contributionId": "id",
    "agency": "agency",
    "recordedAt": "recorded_at",
}
_NEWEST: Final[Names] = {
    **_ORIGIN,
    "referralId": "id",
    "referrerAgency": "agency",
    "receivedAt": "recorded_at",
}
_PERSON: Final[Names] = {
    "subjectId": "id",
    "role": "role",
    "addressShielded": "address_shielded",
    "under18": "under_18",
}
_RISK: Final[Names] = {
    "instrument": "instrument",
    "instrumentVersion": "edition",
    "score": "score",
    "dontKnow": "dont_know",
    "level": "level",
    "rule": "rule",
    "critical": "critical",
}
_CONSENT: Final[Names] = {
    "aware": "aware",
    "agreesToSupport": "support",
    "lawfulBasis": "basis",
    "condition": "condition",
    "gateway": "gateway",
}
_VETO: Final[Names] = {
    "markingId": "id",
    "kind": "kind",
    "agency": "agency",
    "category": "category",
    "subject": "person",
}
_FACT: Final[Names] = {
    "path": "path",
    "category": "category",
    "subject": "person",
    "label": "label",
    "value": "value",
    "quality": "quality",
}


def head_in_form_2(head: Mapping[str, Any]) -> dict[str, Any]:
    """Translate an outline, with or without earlier contributions and the time of its change."""
    return {
        **_renamed(head, _HEAD),
        "stage": Stage.PROVISIONAL if head["provisional"] else Stage.COMPLETE,
        "changed_at": head.get("changedAt") or head["receivedAt"],
        "contributions": [
            *(_renamed(each, _EARLIER) for each in head.get("earlier", ())),
            _renamed(head, _NEWEST),
        ],
        "people": [_renamed(each, _PERSON) for each in head["subjects"]],
        "risk": _renamed(head["risk"], _RISK),
        "consent": _renamed(head["consent"], _CONSENT),
        "vetoes": [_renamed(each, _VETO) for each in head["markings"]],
    }


def facts_in_form_2(group: Sequence[Any], newest: int) -> Iterator[dict[str, Any]]:
    """Translate one group; a fact without a position is the newest contribution's."""
    for place, raw, *position in group:
        contribution = position[0] if position else newest
        yield {**_renamed(raw, _FACT), "contribution": contribution, "place": place}


def _renamed(raw: Mapping[str, Any], names: Names) -> dict[str, Any]:
    return {new: raw[old] for old, new in names.items()}
