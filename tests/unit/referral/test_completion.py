"""What an urgent referral protected stays protected when the full form completes it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from common.attempts import Attempt
from common.events.case import Marking
from hubformats.ids import uuid7
from referral.cases.model.case import Case
from referral.intake import use_cases
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from sharing.content.model.projection import SubjectCategory
from sharing.content.model.vetoed import covers, people_of
from tests.support.content import is_location_shielded
from tests.support.referral_fakes import CONTEXT, RULES, FakeTx, granted

EXAMPLES = Path(__file__).parents[3] / "examples"
HOUSING, IDVA = "northmoor-housing", "northmoor-idva"
Vetoes = Callable[[Case], Iterable[Marking]]
READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)


def completed(
    *, urgent_shielded: bool = False, vetoes: Vetoes = lambda _: (), **changes: Any
) -> use_cases.Intake:
    """A full referral that mentions no shield or veto completes an urgent one, on which `vetoes`
    stand; `changes` are the full form's.
    """
    form: dict[str, Any] = json.loads((EXAMPLES / "referral-urgent.json").read_text("utf-8"))
    tx = FakeTx()
    urgent = use_cases.submit_referral(
        tx,
        granted(),
        READ.validate_python({**form, "placeShielded": urgent_shielded}),
        Attempt(b"a", b"b"),
        CONTEXT,
        RULES,
    )
    for marking in vetoes(urgent.case):
        case_id = urgent.case.outline.case_id
        proof = tx.cases.authorised(granted(), case_id)
        assert proof is not None
        case = tx.cases.for_revision(proof)
        tx.cases.replace(proof, case, case.mark(marking, CONTEXT.clock.now()))
    full: dict[str, Any] = json.loads((EXAMPLES / "referral-full.json").read_text("utf-8"))
    full["people"][0]["addresses"][0]["shielded"] = False
    full |= {"completes": str(urgent.referral.referral_id), **changes}
    return use_cases.check_intake(tx, granted(), READ.validate_python(full), CONTEXT, RULES)


def victims_address(intake: use_cases.Intake) -> SubjectCategory:
    """The category that must not leave."""
    victim = next(s.subject_id for s in intake.case.to_snapshot().subjects if s.role == "victim")
    return SubjectCategory("victim_address", victim)


def test_a_shield_is_not_lifted_by_a_form_that_does_not_mention_it() -> None:
    intake = completed(urgent_shielded=True)
    assert is_location_shielded(intake.case.to_snapshot(), victims_address(intake))


def veto(kind: Any, subject: UUID | None, **changes: Any) -> Marking:
    return Marking(marking_id=uuid7(), kind=kind, subject=subject, **changes)


@pytest.mark.parametrize("kind", ["must_not_disclose", "informant", "legal_hold"])
def test_a_veto_about_somebody_stays_about_them(kind: str) -> None:
    """The full form names its people anew, so whom a veto is about has another id by then."""
    intake = completed(
        vetoes=lambda case: [veto(kind, case.outline.subjects[0].subject_id, agency=HOUSING)]
    )
    snapshot = intake.case.to_snapshot()
    (kept,), people = snapshot.markings, people_of(snapshot)
    victim = next(each.subject_id for each in snapshot.subjects if each.role == "victim")
    others = [each.subject_id for each in snapshot.subjects if each.subject_id != victim]
    about = {fact.category for fact in snapshot.facts if fact.subject == victim}
    assert others
    assert about >= {"victim_identity", "danger_summary"}
    assert all(covers(kept, HOUSING, SubjectCategory(each, victim), people) for each in about)
    assert not any(covers(kept, HOUSING, SubjectCategory("x", one), people) for one in others)
    assert not covers(kept, IDVA, SubjectCategory("victim_identity", victim), people)


def test_a_veto_about_somebody_the_full_form_does_not_name_covers_everybody() -> None:
    intake = completed(vetoes=lambda _: [veto("must_not_disclose", uuid7(), agency=HOUSING)])
    snapshot = intake.case.to_snapshot()
    people = people_of(snapshot)
    assert all(
        covers(snapshot.markings[0], HOUSING, SubjectCategory(fact.category, fact.subject), people)
        for fact in snapshot.facts
    )


def test_without_a_shield_there_is_none() -> None:
    intake = completed(urgent_shielded=False)
    assert not is_location_shielded(intake.case.to_snapshot(), victims_address(intake))


def test_danger_place_and_call_back_stay_facts_of_the_case_about_her() -> None:
    intake = completed(urgent_shielded=False)
    victim = next(s.subject_id for s in intake.case.to_snapshot().subjects if s.role == "victim")
    form = json.loads((EXAMPLES / "referral-urgent.json").read_text("utf-8"))
    carried = {
        fact.path: (fact.category, fact.value, fact.subject)
        for fact in intake.case.to_snapshot().facts
        if fact.path.startswith("urgent.")
    }
    assert carried == {
        "urgent.name": ("victim_identity", form["name"], victim),
        "urgent.place": ("danger_place", form["place"], victim),
        "urgent.danger": ("danger_summary", form["danger"], victim),
        "urgent.callback": ("callback", "Do not call", victim),
    }
    contact = [
        fact.value for fact in intake.case.to_snapshot().facts if fact.path == "safe_contact.status"
    ]
    assert contact == ["known"], "what was unknown at night is what the full form says now"


def test_a_full_form_without_an_assessment_does_not_take_the_urgent_level_away() -> None:
    assert completed(urgent_shielded=False).case.to_snapshot().risk.instrument == "dash"
    snapshot = completed(urgent_shielded=False, risk=None).case.to_snapshot()
    told = [fact.value for fact in snapshot.facts if fact.path in {"risk.level", "risk.rule"}]
    assert (snapshot.risk.level, told) == (
        "high",
        ["high", "urgent: danger reported, not yet assessed"],
    )


@pytest.mark.parametrize("days", [7, 30])
def test_the_snapshot_carries_its_rules_limit_for_safe_contact(days: int) -> None:
    """Changed by a new dated rule set; what was taken in under the older one keeps its own
    limit.
    """
    newer = replace(RULES.book.rules[0], version="northmoor/later", safe_contact_days=days)
    full = READ.validate_python(json.loads((EXAMPLES / "referral-full.json").read_text("utf-8")))
    rules = replace(RULES, book=replace(RULES.book, rules=(newer,)))
    intake = use_cases.plan_intake(granted(), full, CONTEXT, rules)
    snapshot = intake.case.to_snapshot()
    assert (snapshot.safe_contact_days, snapshot.rules_version) == (days, "northmoor/later")
    veto = Marking(marking_id=uuid7(), kind="must_not_disclose")
    later = intake.case.mark(veto, CONTEXT.clock.now()).to_snapshot()
    assert later.safe_contact_days == days, "a later version of the case keeps it"
