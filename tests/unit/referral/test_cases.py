"""A case changes by its own methods, without a database."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from common.attempts import Attempt
from common.events.case import Marking
from hubformats.audit_record import Account
from hubformats.ids import uuid7
from referral.cases import use_cases as case_use_cases
from referral.cases.model.case import NEXT_STAGE, Case, Change, Stage, WrongStage, stage_after
from referral.cases.model.outcome import Outcome, OutcomeState, OutcomeUnknown, Proof
from referral.cases.use_cases import AgencyUnknown, CaseNotFound, Veto
from referral.context import AgencyDirectory
from referral.intake import use_cases
from referral.intake.model.errors import AlreadyCompleted, FormRefused, ReferenceExists
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from referral.intake.use_cases import Intake
from tests.support.referral_fakes import (
    CONTEXT,
    HOUSING,
    RULES,
    SHARING_CHECKS,
    FakeTx,
    granted,
)
from tests.support.referral_forms import full, urgent
from tests.support.referral_view_fakes import FakeView

READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)
NOW = CONTEXT.clock.now()
VETO = Veto(HOUSING, "*", "Not safe.")
AGENCIES = AgencyDirectory(frozenset({HOUSING}))


def planned(form: dict[str, Any]) -> Case:
    """The case a form would begin."""
    return use_cases.plan_intake(granted(), READ.validate_python(form), CONTEXT, RULES).case


def sent(tx: FakeTx, form: dict[str, Any]) -> Intake:
    """The form, taken in."""
    attempt = Attempt(b"a", b"b")
    read = READ.validate_python(form)
    return use_cases.submit_referral(tx, granted(), read, attempt, CONTEXT, RULES)


def marking() -> Marking:
    """A veto."""
    return Marking(marking_id=uuid7(), kind="must_not_disclose")


def test_each_mark_is_a_version_of_its_own_and_none_is_lost() -> None:
    first, second = marking(), marking()
    case = planned(urgent())
    later = case.mark(first, NOW).mark(second, NOW + timedelta(hours=1))
    assert (later.outline.version, later.outline.markings) == (3, (first, second))
    assert (later.outline.stage, later.outline.change) == (Stage.PROVISIONAL, Change.MARKED)
    assert later.outline.changed_at == NOW + timedelta(hours=1)
    assert (case.outline.version, case.outline.markings) == (1, ()), "the old value stands"


def test_completing_keeps_both_contributions_with_their_own_facts() -> None:
    night, morning = planned(urgent()), planned(full())
    whole = night.complete_with(morning)
    assert whole.outline.case_id == night.outline.case_id
    assert whole.outline.origins == (night.outline.newest, morning.outline.newest)
    assert [len(one.facts) > 0 for one in whole.contributions] == [True, True]
    assert whole.told == (*whole.facts[1], *whole.facts[0]), "published the newest first"
    again = whole.mark(marking(), NOW)
    assert again.facts == whole.facts, "a veto moves no fact"


def test_a_case_is_completed_once() -> None:
    whole = planned(urgent()).complete_with(planned(full()))
    for case in (whole, whole.mark(marking(), NOW), planned(full())):
        with pytest.raises(WrongStage):
            case.complete_with(planned(full()))


def test_the_table_is_the_only_way_from_stage_to_stage() -> None:
    for before in (None, *Stage):
        for change in Change:
            if (before, change) in NEXT_STAGE:
                assert stage_after(before, change) is NEXT_STAGE[before, change]
            else:
                with pytest.raises(WrongStage):
                    stage_after(before, change)


def test_the_sender_reads_its_own_and_the_read_is_recorded() -> None:
    tx = FakeTx()
    made = sent(tx, full())
    referral_id, case_id = made.referral.referral_id, made.case.outline.case_id
    status = case_use_cases.read_referral(tx, granted(), referral_id, CONTEXT)
    assert (status.outline, status.decided, status.outcomes) == (made.case.outline, False, ())
    outcome = Outcome("x", 1, OutcomeState.DECIDED, changed_at=NOW, first_at=NOW)
    case_use_cases.note_outcome(tx, case_id, outcome)
    case_use_cases.note_decided(tx, case_id, 1)
    status = case_use_cases.read_referral(tx, granted(), referral_id, CONTEXT)
    assert (status.decided, [o.state for o in status.outcomes]) == (True, [OutcomeState.DECIDED])
    assert [entry.operation for entry in tx.held.entries] == ["collection"] + ["consultation"] * 2
    assert tx.held.entries[0].rules == made.case.outline.rules_version
    with pytest.raises(CaseNotFound):
        case_use_cases.read_referral(tx, granted(HOUSING), referral_id, CONTEXT)


def test_a_third_party_hears_only_that_it_arrived() -> None:
    tx = FakeTx()
    made = sent(tx, full(source="third_party"))
    outcome = Outcome("x", 1, OutcomeState.RELEASED, changed_at=NOW, first_at=NOW)
    case_use_cases.note_outcome(tx, made.case.outline.case_id, outcome)
    status = case_use_cases.read_referral(tx, granted(), made.referral.referral_id, CONTEXT)
    assert (status.decided, status.outcomes) == (None, ())


def test_a_veto_on_nobody_is_refused_and_one_on_anothers_case_not_found() -> None:
    tx = FakeTx()
    referral_id = sent(tx, full()).referral.referral_id
    veto = case_use_cases.set_must_not_disclose
    with pytest.raises(AgencyUnknown):
        veto(tx, granted(), referral_id, Veto("housin", "*", "r"), AGENCIES, CONTEXT)
    with pytest.raises(CaseNotFound):
        veto(tx, granted(HOUSING), referral_id, VETO, AGENCIES, CONTEXT)
    _, version = veto(tx, granted(), referral_id, VETO, AGENCIES, CONTEXT)
    assert (version, len(tx.held.published)) == (2, 2)
    entry = tx.held.entries[-1]
    assert entry.detail == {"agency": HOUSING, "category": "*"}
    assert entry.account == Account(text="Not safe.")


def test_a_must_not_disclose_that_is_in_force_is_answered_with_itself() -> None:
    """Two of them would need two liftings."""
    tx = FakeTx()
    referral_id = sent(tx, full()).referral.referral_id

    def veto(wanted: Veto = VETO) -> Any:
        set_it = case_use_cases.set_must_not_disclose
        return set_it(tx, granted(), referral_id, wanted, AGENCIES, CONTEXT)

    first = veto()
    assert veto() == first
    assert len(tx.held.published) == 2, "nothing new is published"
    assert tx.held.entries[-1].reason_code == "in-force-already"
    assert tx.held.entries[-1].account == Account(text="Not safe."), "each reason is kept"
    category, version = veto(Veto(HOUSING, "consent", "Not safe."))
    assert (version, category.category) == (3, "consent"), "another scope is another veto"


def test_a_release_check_sees_version_and_vetoes() -> None:
    tx = FakeTx()
    made = sent(tx, full())
    case_id = made.case.outline.case_id
    case_use_cases.set_must_not_disclose(
        tx, granted(), made.referral.referral_id, VETO, AGENCIES, CONTEXT
    )
    outline = case_use_cases.check_release(FakeView(tx.held), SHARING_CHECKS, case_id)
    assert (outline.version, outline.markings[-1].agency) == (2, HOUSING)
    for who, wanted in ((SHARING_CHECKS, uuid7()), (granted(HOUSING), case_id)):
        with pytest.raises(CaseNotFound):
            case_use_cases.check_release(FakeView(tx.held), who, wanted)


def test_all_cases_of_a_page_are_checked_at_once_by_sharing_alone() -> None:
    tx = FakeTx()
    first = sent(tx, full()).case.outline.case_id
    second = sent(tx, urgent()).case.outline.case_id
    found = case_use_cases.check_releases(
        FakeView(tx.held), SHARING_CHECKS, (first, second, uuid7())
    )
    assert {outline.case_id for outline in found} == {first, second}, "what is unknown is left out"
    assert case_use_cases.check_releases(FakeView(tx.held), granted(), (first,)) == ()


def test_a_promise_of_nothing_that_left_stops_the_consumer() -> None:
    with pytest.raises(OutcomeUnknown):
        case_use_cases.note_promise(FakeTx(), uuid7(), "x", 1, Proof.OVERDUE)


def test_a_reference_is_claimed_once_and_danger_claims_none() -> None:
    tx = FakeTx()
    first = sent(tx, full())
    with pytest.raises(ReferenceExists) as refused:
        sent(tx, full())
    assert refused.value.referral_id == first.referral.referral_id
    sent(tx, urgent(externalReference=first.referral.external_reference))


def test_a_form_sent_again_is_told_what_it_became() -> None:
    tx = FakeTx()
    night = sent(tx, urgent())
    form = full(completes=str(night.referral.referral_id))
    became = sent(tx, form)
    with pytest.raises(AlreadyCompleted) as refused:
        sent(tx, {**form, "externalReference": "T-2"})
    assert refused.value.referral_id == became.referral.referral_id
    other = {**form, "externalReference": "T-3", "reason": "Another family's."}
    with pytest.raises(FormRefused) as second:
        sent(tx, other)
    assert [fault.pointer for fault in second.value.faults] == ["/completes"]
