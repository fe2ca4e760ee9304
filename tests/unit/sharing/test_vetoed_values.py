"""A must-not-disclose on a category also takes its values out of every text for that recipient."""

import json
import re
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


def told(
    agency: str,
    text: str,
    *vetoes: Any,
    facts: tuple[Fact, ...] = (),
    barred: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What an agency gets of everything no veto withholds, with `text` in the danger summary."""
    danger = Fact(path="danger", category="danger_summary", subject=VICTIM, label="d", value=text)
    snap: CaseSnapshot = snapshot(facts=(*snapshot().facts, danger, *facts), markings=vetoes)
    permitted = [
        about
        for about in subject_categories(snap)
        if about.category not in barred
        and not any(covers(veto, agency, about, people_of(snap)) for veto in vetoes)
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


STAYING = "Staying at 9 Corran Road, NZ9 4QX, in Skelby with Ola Brandt, 07700 900777"
REASON = (
    "Marta Quillfeather hid at Quarry Bank with her friend Mrs Brandt. Dorian Vexley rang from "
    "07700 900872 and wrote from vexley@example.org; log NP/26/114207. Ring Marta on 07700 900123."
)


def fact(path: str, category: str, value: Any, subject: Any = VICTIM) -> Fact:
    return Fact(path=path, category=category, subject=subject, label="x", value=value)


@pytest.mark.parametrize(
    ("path", "category", "value", "said", "left"),
    [
        ("whereabouts", "victim_whereabouts", STAYING, "at 9 Corran Rd", f"at {REMOVED}"),
        ("whereabouts", "victim_whereabouts", STAYING, "by nz9 4qx", f"by {REMOVED}"),
        ("whereabouts", "victim_whereabouts", STAYING, "at Skelby", f"at {REMOVED}"),
        ("whereabouts", "victim_whereabouts", STAYING, "ola brandt", REMOVED),
        ("whereabouts", "victim_whereabouts", STAYING, "OLA, the ola", f"{REMOVED}, the ola"),
        ("whereabouts", "victim_whereabouts", STAYING, "ring 07700900777", f"ring {REMOVED}"),
        ("whereabouts", "victim_whereabouts", "Skelby", "she is in Skelby", f"she is in {REMOVED}"),
        ("whereabouts", "victim_whereabouts", "Safe, with family", "is it safe", "is it safe"),
        ("language", "victim_needs", "Amharic", "speaks Amharic", f"speaks {REMOVED}"),
        ("language", "victim_needs", "amharic", "speaks Amharic", f"speaks {REMOVED}"),
        ("care_and_support_needs", "victim_needs", "Epilepsy, asthma", "epilepsy", REMOVED),
        ("interpreter_needed", "victim_needs", "yes", "yes, he did", "yes, he did"),
        ("code_word", "victim_safe_contact", "bluebird", "say Bluebird", f"say {REMOVED}"),
        ("who_may_answer", "victim_safe_contact", "Her aunt Ola", "Ola is in", f"{REMOVED} is in"),
        ("summary", "incident_narrative", REASON, "Mrs Brandt", f"Mrs {REMOVED}"),
        ("summary", "incident_narrative", REASON, "vexley@example.org", REMOVED),
        ("summary", "incident_narrative", REASON, "vexley at example.org", REMOVED),
        ("summary", "incident_narrative", REASON, "log NP 26 114207", f"log {REMOVED}"),
        ("summary", "incident_narrative", "Born 7/3/94.", "7th of March 1994", REMOVED),
        ("victims_view", "consent", "Ask Pat at Skelby Hall", "in Skelby Hall", f"in {REMOVED}"),
        ("answers.0", "risk_answers", "Yes. His car is NK71 ABD", "NK71ABD", REMOVED),
        ("reason", "risk_summary", "Seen at 9 Corran Road", "9 Corran Road", REMOVED),
        ("value", "victim_phone", "07700 900555 (aunt)", "on 07700900555", f"on {REMOVED}"),
        ("note", "callback", "01632 960222 after six", "on 01632 960222", f"on {REMOVED}"),
        ("landlord", "victim_address", "Corran Homes 01632 960222", "01632960222", REMOVED),
    ],
)
def test_what_a_vetoed_text_or_short_field_tells_is_taken_out_of_the_others(
    path: str, category: str, value: str, said: str, left: str
) -> None:
    facts = (fact(f"people.0.{path}", category, value),)
    assert summary(told(IDVA, said, veto(category), facts=facts)) == left
    assert summary(told(HOUSING, said, veto(category), facts=facts)) == said


def test_a_danger_summary_that_is_vetoed_tells_nothing_in_the_other_accounts() -> None:
    facts = (fact("people.0.whereabouts", "victim_whereabouts", "With Ola at Brackenby Lodge."),)
    made = json.dumps(told(IDVA, "At Brackenby Lodge", veto("danger_summary"), facts=facts))
    assert f"With Ola at {REMOVED}." in made


@pytest.mark.parametrize(
    "said",
    [
        "Marta Quillfeather is hurt, Dorian Vexley has a knife.",
        "Ring Marta on 07700 900123",
        "He is at 3 Quarry Bank",
        "Anybody in Northmoor may come",
    ],
)
def test_an_account_takes_nobodys_name_nor_what_a_permitted_field_gives(said: str) -> None:
    facts = (fact("reason", "incident_narrative", f"{REASON} He came to Northmoor."),)
    made = told(IDVA, said, veto("incident_narrative"), facts=facts)
    assert summary(made) == said
    assert "3 Quarry Bank" in json.dumps(made["sections"])
    assert "07700 900123" in json.dumps(made["sections"])


def test_what_only_a_field_gives_that_the_agency_may_not_read_is_taken_out() -> None:
    """The account is vetoed, and no clause lets the agency read his address or her number."""
    facts = (fact("reason", "incident_narrative", REASON),)
    barred = ("incident_narrative", "perpetrator_address", "victim_phone", "perpetrator_identity")
    made = told(
        IDVA,
        "Vexley is by Quarry Bank with 07700 900123",
        veto("incident_narrative"),
        facts=facts,
        barred=barred,
    )
    assert summary(made) == f"Vexley is by {REMOVED} with {REMOVED}"


@pytest.mark.parametrize(
    "day",
    [
        *("7th of March 1994", "7 Mar 94", "07-Mar-94", "March 7", "March 7th, 1994", "7/3/94"),
        *("seventh of March", "7th day of March 1994", "7th March '94", "940307", "07.03.1994"),
        *("March the 7th", "March the seventh 1994", "7 MARCH", "1994-03-07", "1994/3/7"),
    ],
)
def test_a_birth_date_goes_whole_in_each_usual_spelling(day: str) -> None:
    facts = (fact("people.0.birth_dates", "victim_identity", ["1994-03-07"]),)
    left = summary(told(IDVA, f"born {day} here", veto("victim_identity"), facts=facts))
    assert not set(re.findall(r"\w+", left)) & set(re.findall(r"\w+", day))


@pytest.mark.parametrize(
    "day", ["8 March 1994", "17 March", "7 May", "the seventh may", "7 marches"]
)
def test_another_day_stays(day: str) -> None:
    facts = (fact("people.0.birth_dates", "victim_identity", ["1994-03-07", "1994-04-07"]),)
    assert summary(told(IDVA, day, veto("victim_identity"), facts=facts)) == day


@pytest.mark.parametrize(
    "said", ["07700 9OO123", "077OO 900I23", "O7700 900l23", "+44 77OO 900123"]
)
def test_letters_that_stand_for_figures_hide_no_number(said: str) -> None:
    assert not re.search(r"\d", summary(told(IDVA, said, veto("victim_phone"))))


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
