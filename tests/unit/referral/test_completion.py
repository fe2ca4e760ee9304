"""What an urgent referral protected stays protected when the full form completes it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from common.access import Granted, Principal, grant
from common.events.case import Fact
from common.testing import ManualClock
from common.views import Parcel, is_location_shielded
from referral import usecases
from referral.domain.form import AnyReferral, FullReferral, UrgentReferral
from referral.ports import ReferralTx, StoredReferral
from referral.usecases import Desk
from referral.wiring import rule_book

EXAMPLES = Path(__file__).parents[3] / "examples"
READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)
DESK = Desk(
    rules=rule_book(),
    clock=ManualClock(),
    reference_secret=b"r" * 32,
    home_area="northmoor",
    agencies=frozenset(),
)


def police() -> Granted:
    """A grant of the police system."""
    who = Principal(
        "issuer",
        "police",
        "police",
        "system",
        "northmoor-police",
        scopes=frozenset({"referral.write"}),
    )
    return grant(who, scope="referral.write", operation="collection", at=datetime.now(UTC))


class OneReferral:
    """A repository that holds one referral."""

    def __init__(self, held: StoredReferral, told: tuple[Fact, ...] = ()) -> None:
        self.held = held
        self.told = told

    def find(self, granted: Granted, referral_id: UUID) -> StoredReferral | None:
        """The one."""
        return self.held if referral_id == self.held.referral_id else None

    def find_by_external(self, granted: Granted, external_reference: str) -> UUID | None:
        """None was sent before."""
        return None

    def facts(self, granted: Granted, case_id: UUID) -> tuple[Fact, ...]:
        """Its facts."""
        return self.told


def completed(*, urgent_shielded: bool, **changes: Any) -> usecases.Intake:
    """A full referral that mentions no shield completes an urgent one; `changes` are the full
    form's.
    """
    form: dict[str, Any] = json.loads((EXAMPLES / "referral-urgent.json").read_text("utf-8"))
    urgent = usecases.plan_intake(
        police(), READ.validate_python({**form, "placeShielded": urgent_shielded}), DESK
    )
    full: dict[str, Any] = json.loads((EXAMPLES / "referral-full.json").read_text("utf-8"))
    full["people"][0]["addresses"][0]["shielded"] = False
    full |= {"completes": str(urgent.referral.referral_id), **changes}
    tx = cast(
        ReferralTx, OneReferral(replace(urgent.referral, state="submitted"), urgent.snapshot.facts)
    )
    return usecases.check_intake(tx, police(), READ.validate_python(full), DESK)


def victims_address(intake: usecases.Intake) -> Parcel:
    """The parcel that must not leave."""
    victim = next(s.subject_id for s in intake.snapshot.subjects if s.role == "victim")
    return Parcel("victim_address", victim)


def test_a_shield_is_not_lifted_by_a_form_that_does_not_mention_it() -> None:
    intake = completed(urgent_shielded=True)
    assert is_location_shielded(intake.snapshot, victims_address(intake))


def test_without_a_shield_there_is_none() -> None:
    intake = completed(urgent_shielded=False)
    assert not is_location_shielded(intake.snapshot, victims_address(intake))


def test_danger_place_and_call_back_stay_facts_of_the_case_about_her() -> None:
    intake = completed(urgent_shielded=False)
    victim = next(s.subject_id for s in intake.snapshot.subjects if s.role == "victim")
    form = json.loads((EXAMPLES / "referral-urgent.json").read_text("utf-8"))
    carried = {
        fact.path: (fact.category, fact.value, fact.subject)
        for fact in intake.snapshot.facts
        if fact.path.startswith("urgent.")
    }
    assert carried == {
        "urgent.name": ("victim_identity", form["name"], victim),
        "urgent.place": ("danger_place", form["place"], victim),
        "urgent.danger": ("danger_summary", form["danger"], victim),
        "urgent.callback": ("callback", "Do not call", victim),
    }
    contact = [fact.value for fact in intake.snapshot.facts if fact.path == "safe_contact.status"]
    assert contact == ["known"], "what was unknown at night is what the full form says now"


def test_a_full_form_without_an_assessment_does_not_take_the_urgent_level_away() -> None:
    assert completed(urgent_shielded=False).snapshot.risk.instrument == "dash"
    snapshot = completed(urgent_shielded=False, risk=None).snapshot
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
    newer = replace(DESK.rules.rules[0], version="northmoor/later", safe_contact_days=days)
    full = READ.validate_python(json.loads((EXAMPLES / "referral-full.json").read_text("utf-8")))
    intake = usecases.plan_intake(
        police(), full, replace(DESK, rules=replace(DESK.rules, rules=(newer,)))
    )
    assert (intake.snapshot.safe_contact_days, intake.snapshot.rules_version) == (
        days,
        "northmoor/later",
    )
    assert usecases.head_of(intake.snapshot)["safeContactDays"] == days, (
        "a later version of the case keeps it"
    )
