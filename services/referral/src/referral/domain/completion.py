"""What a full form makes of the urgent one it completes: nothing that was sent is lost, nothing
that was protected opens."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from common.events.case import CaseSnapshot, Fact, Marking, RiskSummary
from referral.domain.facts import level_facts

_ANSWERED_ANEW: Final = ("risk.", "safe_contact.")
"""What the hub added to the urgent form for want of an answer; the full form asks for both."""
_LEVEL: Final = frozenset({"risk.level", "risk.rule"})


def completed(
    full: CaseSnapshot, urgent_head: Mapping[str, Any], urgent_facts: Iterable[Fact]
) -> CaseSnapshot:
    """The full form's snapshot as the next version of the urgent one's case.

    The danger, the place and the call back stay facts of the case, so that whoever may know them
    hears them and a shielded place is still taken out of texts. Markings stay. A form without an
    assessment does not take the urgent level away.
    """
    victim = next(subject.subject_id for subject in full.subjects if subject.role == "victim")
    before = RiskSummary.model_validate(urgent_head["risk"])
    risk, facts = full.risk, full.facts
    if risk.level == "not_assessed":
        risk, facts = (
            before,
            tuple(fact for fact in facts if fact.path not in _LEVEL) + level_facts(before, victim),
        )
    return full.model_copy(
        update={
            "case_id": UUID(str(urgent_head["caseId"])),
            "version": int(urgent_head["version"]) + 1,
            "cause": "referral_completed",
            "risk": risk,
            "markings": (*_kept(urgent_head["markings"]), *full.markings),
            "facts": (*facts, *_carried(urgent_facts, victim, facts)),
        }
    )


def says_the_same(full: Iterable[Fact], stored: Iterable[Fact]) -> bool:
    """Whether a full form says what the case holds since it was completed: the same form, sent
    again.
    """
    return _said(full) == _said(stored)


def _said(facts: Iterable[Fact]) -> set[tuple[str, str, str]]:
    data = [
        fact.model_dump(mode="json")
        for fact in facts
        if not fact.path.startswith("urgent.") and fact.path not in _LEVEL
    ]
    return {
        (fact["path"], fact["category"], json.dumps(fact["value"], sort_keys=True)) for fact in data
    }


def _kept(markings: Iterable[Mapping[str, Any]]) -> Iterable[Marking]:
    """A shield once set is never lifted by a form that does not mention it (design section 13, rule
    1).

    The people of the urgent form are not those of the full one, so it now protects everybody but
    the person causing harm.
    """
    for marking in map(Marking.model_validate, markings):
        yield (
            marking.model_copy(update={"subject": None})
            if marking.kind == "location_shield"
            else marking
        )


def _carried(urgent: Iterable[Fact], victim: UUID, told: Iterable[Fact]) -> Iterable[Fact]:
    known = {str(fact.value).casefold() for fact in told if fact.category == "victim_identity"}
    for fact in urgent:
        if fact.path.startswith(_ANSWERED_ANEW):
            continue
        if fact.category != "victim_identity":
            yield fact.model_copy(update={"path": f"urgent.{fact.path}", "subject": victim})
        elif str(fact.value).casefold() not in known:
            # Another name than the full form's may be how she is known there, or the first sign
            # that the wrong case was completed.
            yield fact.model_copy(
                update={
                    "path": f"urgent.{fact.path}",
                    "subject": victim,
                    "label": "Name in the urgent report",
                }
            )
