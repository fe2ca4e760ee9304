"""Taking referrals in, on ports in memory: what is refused, what a dry run leaves, alarms."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from common.attempts import Attempt
from hubformats.ids import uuid7
from referral.intake import use_cases
from referral.intake.model.errors import FormRefused, RefusedIntakeNotFound, TooLarge
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from referral.intake.model.refused import IntakeMarks
from tests.support.referral_fakes import CONTEXT, HOUSING, RULES, FakeTx, granted
from tests.support.referral_forms import full, urgent

READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)
ATTEMPT = Attempt(b"a" * 32, b"r")


def submitted(tx: FakeTx, form: dict[str, Any]) -> use_cases.Intake:
    """The form, taken in."""
    read = READ.validate_python(form)
    return use_cases.submit_referral(tx, granted(), read, ATTEMPT, CONTEXT, RULES)


def refusal(tx: FakeTx, form: dict[str, Any]) -> list[str]:
    """The pointers of what is wrong with the form."""
    with pytest.raises(FormRefused) as refused:
        submitted(tx, form)
    assert tx.held.entries == []
    assert tx.held.published == []
    return [fault.pointer for fault in refused.value.faults]


def test_what_cannot_be_is_refused_by_its_place() -> None:
    tx, later = FakeTx(), CONTEXT.clock.now() + timedelta(days=2)
    form = full()
    form["risk"] |= {"version": "nobody/1"}
    assert refusal(tx, form) == ["/risk/version"]
    form = full()
    form["risk"]["answers"][1] |= {"concept": "unheard_of"}
    assert refusal(tx, form) == ["/risk/answers/1/concept"]
    form = full()
    form["incident"] |= {"occurredAt": later.isoformat()}
    assert refusal(tx, form) == ["/incident/occurredAt"]
    assert refusal(tx, full(area="nowhere")) == ["/area"]
    assert refusal(tx, full(completes=str(uuid7()))) == ["/completes"]


def test_danger_in_an_area_nobody_serves_is_taken_in_under_the_home_areas_rules() -> None:
    assert submitted(FakeTx(), urgent(area="nowhere")).case.outline.area == "northmoor"


def test_more_text_than_can_be_sealed_is_refused() -> None:
    form = full()
    for place in range(20):
        note = "x" * 8_000
        form["risk"]["answers"][place % 10] |= {"note": note}
        form["people"][place % 3] |= {"careAndSupportNeeds": note, "whereabouts": note}
    with pytest.raises(TooLarge):
        submitted(FakeTx(), form)


def test_a_dry_run_stores_nothing_but_its_record() -> None:
    tx = FakeTx()
    form = READ.validate_python(full())
    use_cases.rehearse_intake(tx, granted(), form, CONTEXT, RULES)
    assert (tx.held.cases, tx.held.referrals, tx.held.published) == ({}, {}, [])
    (entry,) = tx.held.entries
    assert (entry.operation, entry.reason_code, entry.case_id) == ("consultation", "dry-run", None)
    assert entry.count == len(full()["people"])


def test_an_intake_ends_the_alarms_of_its_key_and_reference() -> None:
    tx = FakeTx()
    for marks in (
        IntakeMarks(ATTEMPT.id, None),
        IntakeMarks(None, full()["externalReference"]),
        IntakeMarks(None, "another"),
    ):
        use_cases.refuse_intake(tx, "northmoor-police", "malformed-json", marks, CONTEXT)
    assert use_cases.refused_intakes(tx, granted(), None, 10).total == 3
    submitted(tx, full())
    page = use_cases.refused_intakes(tx, granted(), None, 10)
    assert (len(page.items), page.total) == (1, 1)


def test_an_alarm_is_acknowledged_by_its_own_desk_with_a_reason() -> None:
    tx = FakeTx()
    marks = IntakeMarks(None, None)
    use_cases.refuse_intake(tx, "northmoor-police", "malformed-json", marks, CONTEXT)
    (alarm,) = use_cases.refused_intakes(tx, granted(), None, 10).items
    with pytest.raises(RefusedIntakeNotFound):
        use_cases.acknowledge_refused_intake(tx, granted(HOUSING), alarm.id, "not-needed")
    ended = use_cases.acknowledge_refused_intake(tx, granted(), alarm.id, "not-needed")
    assert ended == alarm
    assert [entry.reason_code for entry in tx.held.entries] == ["not-needed"]
