"""A must-not-disclose on a category also takes its values out of every text for that recipient."""

import json
from typing import Any

import pytest

from common.events.case import CaseSnapshot, Fact
from hubformats.masking import REMOVED
from sharing.content.model.projection import Projection
from sharing.content.model.vetoed import covers, people_of
from tests.support.content import content, subject_categories
from tests.support.packages import CLAUSE, DELIVERY
from tests.support.snapshots import ELDER, SUSPECT, VICTIM, marking, snapshot

IDVA, HOUSING = "northmoor-idva", "northmoor-housing"


def told(agency: str, text: str, *vetoes: Any, facts: tuple[Fact, ...] = ()) -> dict[str, Any]:
    """What an agency gets of everything no veto withholds, with `text` in the danger summary."""
    danger = Fact(path="danger", category="danger_summary", subject=VICTIM, label="d", value=text)
    snap: CaseSnapshot = snapshot(facts=(*snapshot().facts, danger, *facts), markings=vetoes)
    permitted = [
        about
        for about in subject_categories(snap)
        if not any(covers(veto, agency, about, people_of(snap)) for veto in vetoes)
    ]
    projection = Projection(agency, dict.fromkeys(permitted, CLAUSE.id), (CLAUSE,))
    made: dict[str, Any] = json.loads(
        content(
            snap,
            projection,
            kind="disclosure",
            delivery_id=DELIVERY,
            case_reference="NM-7F3K-9QXA-2C4T",
        )
    )
    return made


def summary(made: dict[str, Any]) -> str:
    (section,) = (each for each in made["sections"] if each["category"] == "danger_summary")
    return str(section["items"][0]["value"])


def veto(category: str, agency: str = IDVA, **scope: Any) -> Any:
    return marking("must_not_disclose", agency=agency, category=category, **scope)


@pytest.mark.parametrize(
    ("category", "said", "left"),
    [
        ("victim_identity", "Marta is hurt.", f"{REMOVED} is hurt."),
        ("victim_identity", "MARTA QUILLFEATHER is hurt.", f"{REMOVED} is hurt."),
        ("victim_identity", "Mrs Quillfeather's car", f"Mrs {REMOVED}'s car"),
        ("victim_phone", "Ring 07700 900123 now", f"Ring {REMOVED} now"),
        ("victim_phone", "Ring +44 (0)7700-900123 now", f"Ring +{REMOVED} now"),
        ("victim_phone", "Ring 00447700900123 now", f"Ring {REMOVED} now"),
        ("victim_phone", "Ring 07700 900124 now", "Ring 07700 900124 now"),
        ("victim_address", "He is in Larkspur Row", f"He is in {REMOVED}"),
        ("victim_address", "near ZZ99 3VZ", f"near {REMOVED}"),
        ("victim_health_contact", "by Fellgate surgery", f"by {REMOVED}"),
        ("immigration_status", "on a Spouse Visa", f"on a {REMOVED}"),
        ("relationship", "the former partner", "the former partner"),
        ("consent", "yes, he said yes", "yes, he said yes"),
    ],
)
def test_the_values_of_a_vetoed_category_are_taken_out_of_free_text(
    category: str, said: str, left: str
) -> None:
    assert summary(told(IDVA, said, veto(category))) == left


def test_birth_dates_and_nhs_numbers_go_with_the_identity() -> None:
    extra = (
        Fact(
            path="people.0.birth_dates",
            category="victim_identity",
            subject=VICTIM,
            label="b",
            value=["1991-08-23"],
        ),
        Fact(
            path="people.0.nhs_number",
            category="victim_identity",
            subject=VICTIM,
            label="n",
            value="9990000018",
        ),
    )
    said = "Born 23/08/1991, 23 August 1991, 23.8.91; NHS 999 000 0018; on 24/08/2026"
    left = f"Born {REMOVED}; NHS {REMOVED}; on 24/08/2026"
    assert summary(told(IDVA, said, veto("victim_identity"), facts=extra)) == left


def test_only_the_recipient_it_is_kept_from_reads_the_text_without_them() -> None:
    said = "Marta is hurt."
    assert summary(told(HOUSING, said, veto("victim_identity"))) == said
    assert summary(told(HOUSING, said, veto("victim_identity", "*"))) == f"{REMOVED} is hurt."
    assert summary(told(IDVA, said)) == said


def test_a_veto_on_one_person_leaves_the_others_names() -> None:
    made = told(IDVA, "Ines and Oskar are inside.", veto("child_identity", subject=ELDER))
    assert summary(made) == f"{REMOVED} and Oskar are inside."


def test_names_in_their_own_field_are_decided_by_their_category_alone() -> None:
    made = told(IDVA, "x", veto("victim_identity"))
    (children,) = (each for each in made["sections"] if each["category"] == "child_identity")
    assert children["items"][0]["value"] == "Ines Quillfeather"


def test_a_protected_source_is_not_named_in_a_text() -> None:
    extra = (
        Fact(path="referrer.phone", category="referrer", label="p", value="01632 960114"),
        Fact(path="incident.officer_in_case", category="referrer", label="o", value="Wren Corran"),
    )
    said = "PC Corran rang from 01632 960114"
    made = told(IDVA, said, marking("informant", agency="*"), facts=extra)
    assert summary(made) == f"PC {REMOVED} rang from {REMOVED}"


def test_his_number_stays_when_hers_is_vetoed() -> None:
    extra = (
        Fact(
            path="people.1.phone",
            category="perpetrator_phone",
            subject=SUSPECT,
            label="p",
            value="07700 900872",
        ),
    )
    made = told(IDVA, "He rings from 07700 900872", veto("victim_phone"), facts=extra)
    assert summary(made) == "He rings from 07700 900872"
