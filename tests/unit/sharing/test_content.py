"""What a recipient may see: nothing beyond what was permitted, nothing that betrays the rest, the
same bytes every time."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.events.case import CaseSnapshot, CaseSubject, Fact
from hubformats.canonical import canonical
from hubformats.categories import CATEGORIES, CategoryUnknown, category
from sharing.content.model.projection import ClauseText, Projection, SubjectCategory
from tests.support.content import content, is_location_shielded, subject_categories
from tests.support.snapshots import (
    ADDRESS,
    ELDER,
    POSTCODE,
    SUSPECT,
    VICTIM,
    YOUNGER,
    marking,
    snapshot,
    urgent,
)

DELIVERY = UUID("01932000-0000-8000-8000-0000000000d1")
CLAUSE = ClauseText(
    id="NM-2",
    text="High risk goes to the IDVA service.",
    agreement="northmoor",
    version="1.0",
    agreement_hash="h",
    purpose="protect_victim",
    necessity="To reach her safely.",
    lawful_basis="6ea_safeguarding",
    condition="9g_para10",
    gateway="CDA115",
    obligations=(("safe-contact-only", "Contact only by the safe-contact rule."),),
)


def shown(
    snap: CaseSnapshot, *permitted: SubjectCategory, kind: Any = "disclosure"
) -> dict[str, Any]:
    """The content for a recipient permitted exactly these subject_categories."""
    projection = Projection("northmoor-idva", dict.fromkeys(permitted, "NM-2"), (CLAUSE,))
    made: dict[str, Any] = json.loads(
        content(
            snap, projection, kind=kind, delivery_id=DELIVERY, case_reference="NM-7F3K-9QXA-2C4T"
        )
    )
    return made


def everything(snap: CaseSnapshot) -> tuple[SubjectCategory, ...]:
    return tuple(
        subject_category
        for subject_category in subject_categories(snap)
        if not is_location_shielded(snap, subject_category)
    )


def test_content_is_canonical_and_repeatable() -> None:
    projection = Projection(
        "northmoor-idva", dict.fromkeys(everything(snapshot()), "NM-2"), (CLAUSE,)
    )
    first = content(
        snapshot(),
        projection,
        kind="disclosure",
        delivery_id=DELIVERY,
        case_reference="NM-7F3K-9QXA-2C4T",
    )
    again = content(
        snapshot(),
        replace(projection, permitted=dict(reversed(list(projection.permitted.items())))),
        kind="disclosure",
        delivery_id=DELIVERY,
        case_reference="NM-7F3K-9QXA-2C4T",
    )
    assert first == again == canonical(json.loads(first))


def test_content_names_clause_basis_and_obligations() -> None:
    made = shown(snapshot(), SubjectCategory("concern"))
    assert made["clause"] == {
        "id": "NM-2",
        "text": CLAUSE.text,
        "agreement": "northmoor",
        "version": "1.0",
        "hash": "h",
    }
    assert (made["purpose"], made["lawfulBasis"], made["condition"], made["gateway"]) == (
        "protect_victim",
        "6ea_safeguarding",
        "9g_para10",
        "CDA115",
    )
    assert made["obligations"] == [
        {"code": "safe-contact-only", "text": "Contact only by the safe-contact rule."}
    ]
    assert made["recipient"] == "northmoor-idva"
    assert made["caseReference"] == "NM-7F3K-9QXA-2C4T"
    assert made["sections"] == [
        {
            "category": "concern",
            "label": "Concern",
            "clause": "NM-2",
            "items": [{"label": "Kind", "value": "domestic_abuse", "quality": "fact"}],
        }
    ]


@pytest.mark.parametrize(
    "subject_category",
    subject_categories(snapshot()),
    ids=lambda subject_category: f"{subject_category.category}-{str(subject_category.subject)[-1]}",
)
def test_only_what_was_permitted_is_shown(subject_category: SubjectCategory) -> None:
    """Permit one subject_category at a time: no value of any other subject_category may appear anywhere in the
    bytes.
    """
    snap = snapshot()
    text = json.dumps(shown(snap, subject_category), ensure_ascii=False)
    for fact in snap.facts:
        value = fact.value if isinstance(fact.value, str) else fact.value[0]
        others = {
            f.value if isinstance(f.value, str) else f.value[0]
            for f in snap.facts
            if SubjectCategory(f.category, f.subject) == subject_category
        }
        if SubjectCategory(
            fact.category, fact.subject
        ) != subject_category and value not in others | {
            "yes",
            "known",
            "High",
            "phone",
            "Northmoor",
        }:
            assert f'"{value}"' not in text, fact.path


def test_withheld_categories_leave_no_trace() -> None:
    made = shown(snapshot(), SubjectCategory("victim_identity", VICTIM))
    assert [section["category"] for section in made["sections"]] == ["victim_identity"]
    assert "safeContact" not in made
    text = json.dumps(made)
    for code in set(CATEGORIES) - {"victim_identity"}:
        assert code not in text
    for other in (
        "northmoor-police",
        "northmoor-social-care",
        "northmoor-victim-support",
        str(VICTIM),
        "people.0",
    ):
        assert other not in text


def test_a_numbering_shows_no_gap() -> None:
    """A child who is withheld must not be betrayed by the number of the next."""
    one = shown(snapshot(), SubjectCategory("child_identity", YOUNGER))
    assert [item["about"] for item in one["sections"][0]["items"]] == ["Child"]
    both = shown(
        snapshot(),
        SubjectCategory("child_identity", ELDER),
        SubjectCategory("child_identity", YOUNGER),
    )
    assert [item["about"] for item in both["sections"][0]["items"]] == ["Child 1", "Child 2"]


def test_snapshot_versions_are_not_told() -> None:
    permitted = everything(snapshot())
    assert shown(snapshot(version=1), *permitted) == shown(snapshot(version=9), *permitted)


def test_unknown_category_refuses() -> None:
    stray = Fact(path="x", category="star_sign", subject=VICTIM, label="Star sign", value="Leo")
    with pytest.raises(CategoryUnknown):
        subject_categories(snapshot(facts=(*snapshot().facts, stray)))
    with pytest.raises(CategoryUnknown):
        category("star_sign")


def test_no_clause_no_content() -> None:
    with pytest.raises(ValueError, match="clause"):
        content(
            snapshot(),
            Projection("northmoor-idva", {}, ()),
            kind="disclosure",
            delivery_id=DELIVERY,
            case_reference="NM-1",
        )


@pytest.mark.parametrize(
    "code",
    [
        "victim_address",
        "victim_health_contact",
        "victim_school",
        "victim_employer",
        "victim_whereabouts",
        "danger_place",
        "incident_place",
        "incident_narrative",
        "order_zone",
        "child_address",
        "child_school",
        "child_health_contact",
        "household_address",
    ],
)
def test_an_address_shield_catches_all_that_gives_it_away(code: str) -> None:
    shielded = snapshot(markings=(marking("location_shield", category="*", subject=VICTIM),))
    assert is_location_shielded(shielded, SubjectCategory(code, VICTIM))
    assert is_location_shielded(shielded, SubjectCategory(code, ELDER)), (
        "a child lives where the victim lives"
    )
    assert is_location_shielded(shielded, SubjectCategory(code))
    assert not is_location_shielded(snapshot(), SubjectCategory(code, VICTIM))


def test_a_shield_leaves_area_and_the_other_side() -> None:
    shielded = snapshot(markings=(marking("location_shield", subject=VICTIM),))
    assert not is_location_shielded(shielded, SubjectCategory("victim_area", VICTIM))
    assert not is_location_shielded(shielded, SubjectCategory("perpetrator_address", SUSPECT))
    his = snapshot(markings=(marking("location_shield", subject=SUSPECT),))
    assert is_location_shielded(his, SubjectCategory("perpetrator_address", SUSPECT))
    assert not is_location_shielded(his, SubjectCategory("victim_address", VICTIM))


def test_a_shield_set_on_the_person_counts_like_a_marking() -> None:
    people = (CaseSubject(subject_id=VICTIM, role="victim", address_shielded=True),)
    assert is_location_shielded(
        snapshot(subjects=people), SubjectCategory("victim_address", VICTIM)
    )


def test_a_shield_that_names_nobody_protects_everyone() -> None:
    assert is_location_shielded(
        snapshot(markings=(marking("location_shield"),)), SubjectCategory("child_school", YOUNGER)
    )


def test_a_projection_that_permits_a_shielded_place_is_refused() -> None:
    shielded = snapshot(markings=(marking("location_shield", subject=VICTIM),))
    with pytest.raises(ValueError, match="shielded"):
        shown(shielded, SubjectCategory("victim_address", VICTIM))


def test_imminent_danger_goes_without_the_shielded_place() -> None:
    """Rule 1 and rule 4 of design section 13 together: the summary never waits, and the address is
    not in it.
    """
    made = shown(
        urgent(markings=(marking("location_shield", subject=VICTIM),)),
        SubjectCategory("danger_summary", VICTIM),
    )
    told = made["sections"][0]["items"][0]["value"]
    assert told == "He is outside [removed] with a knife."


def test_shielded_postcodes_are_found_in_any_spelling() -> None:
    snap = snapshot(markings=(marking("location_shield", subject=VICTIM),))
    note = Fact(
        path="consent.note",
        category="consent",
        subject=VICTIM,
        label="Note",
        value="Stays at zz993vz, 14, Larkspur Row; from Northmoor.",
    )
    made = shown(
        snap.model_copy(update={"facts": (*snap.facts, note)}), SubjectCategory("consent", VICTIM)
    )
    text = json.dumps(made).lower()
    for secret in (POSTCODE.lower(), "zz993vz", ADDRESS[0].lower(), "larkspur"):
        assert secret not in text
    assert "from northmoor" in text, "the area is what a shield lets through"


def test_safe_contact_strip() -> None:
    made = shown(
        snapshot(),
        SubjectCategory("victim_safe_contact", VICTIM),
        SubjectCategory("victim_phone", VICTIM),
    )
    strip = made["safeContact"]
    assert (strip["status"], strip["doNotContact"], strip["lastVerified"]) == (
        "safe",
        False,
        "2026-11-19",
    )
    assert [[item["value"] for item in means] for means in strip["means"]] == [
        ["phone", "07700 900456", "yes"]
    ]
    without = shown(snapshot(), SubjectCategory("victim_safe_contact", VICTIM))["safeContact"]
    assert [[item["value"] for item in means] for means in without["means"]] == [["phone", "yes"]]


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        ("safe_contact.status", "unknown", "unknown"),
        ("safe_contact.status", "do_not_contact", "unsafe"),
        ("safe_contact.means.0.safe", "no", "unknown"),
        ("safe_contact.means.0.safe", "unknown", "unknown"),
        ("safe_contact.last_verified", "2026-10-01", "unverified"),
        ("safe_contact.last_verified", "soon", "unknown"),
    ],
)
def test_anything_but_a_plain_yes_means_do_not_contact(path: str, value: str, status: str) -> None:
    told = tuple(
        fact.model_copy(update={"value": value}) if fact.path == path else fact
        for fact in snapshot().facts
    )
    strip = shown(snapshot(facts=told), SubjectCategory("victim_safe_contact", VICTIM))[
        "safeContact"
    ]
    assert (strip["status"], strip["doNotContact"]) == (status, True)


@pytest.mark.parametrize(
    ("days", "status"),
    [(1, "unverified"), (2, "safe"), (0, "unverified")],
    ids=["over", "within", "no-limit-stated"],
)
def test_how_long_safe_contact_counts_is_what_the_snapshots_rules_say(
    days: int, status: str
) -> None:
    """Verified two days before it was received; without a limit nothing is vouched for."""
    strip = shown(snapshot(safe_contact_days=days), SubjectCategory("victim_safe_contact", VICTIM))[
        "safeContact"
    ]
    assert (strip["status"], strip["doNotContact"]) == (status, status != "safe")


@pytest.mark.parametrize(
    ("days", "status", "until"),
    [
        (28, "safe", "2026-12-19"),
        (29, "unverified", "2026-12-19"),
        (200, "unverified", "2026-12-19"),
    ],
)
def test_safe_contact_is_judged_when_it_is_decided_and_carries_its_last_day(
    days: int, status: str, until: str
) -> None:
    """Verified on 19 November under a rule of 30 days; decided again some days after it was
    received on the 21st.
    """
    snap, permitted = (
        snapshot(),
        (SubjectCategory("victim_safe_contact", VICTIM), SubjectCategory("victim_phone", VICTIM)),
    )
    for advocate in (True, False):
        projection = Projection(
            "northmoor-idva",
            dict.fromkeys(permitted, "NM-2"),
            (CLAUSE,),
            decided_at=snap.received_at + timedelta(days=days),
            advocate=advocate,
        )
        made = json.loads(
            content(
                snap, projection, kind="disclosure", delivery_id=DELIVERY, case_reference="NM-1"
            )
        )["safeContact"]
        assert (made["status"], made["safeUntil"], made["advocate"]) == (status, until, advocate)
        assert bool(made["means"]) == (status == "safe" or advocate), (
            "what nobody vouches for any longer is the advocate's alone to see"
        )


@pytest.mark.parametrize("verified", ["2062-11-20", "9999-12-31", "2026-11-22"])
def test_a_day_that_has_not_come_vouches_for_nothing(verified: str) -> None:
    facts = tuple(
        f.model_copy(update={"value": verified}) if f.path == "safe_contact.last_verified" else f
        for f in snapshot().facts
    )
    strip = shown(snapshot(facts=facts), SubjectCategory("victim_safe_contact", VICTIM))[
        "safeContact"
    ]
    assert (strip["status"], strip["doNotContact"], strip["safeUntil"]) == ("unknown", True, None)


def test_no_word_on_safe_contact_means_do_not_contact() -> None:
    told = tuple(fact for fact in snapshot().facts if fact.category != "victim_safe_contact")
    strip = shown(snapshot(facts=told), SubjectCategory("victim_safe_contact", VICTIM))[
        "safeContact"
    ]
    assert (strip["status"], strip["doNotContact"], strip["items"]) == ("unknown", True, [])


def test_just_after_a_summer_midnight_today_is_a_day_that_has_come() -> None:
    """Verified on 1 July and decided half an hour into that day, when it is still 30 June in
    UTC.
    """
    snap = snapshot()
    facts = tuple(
        f.model_copy(update={"value": "2027-07-01"})
        if f.path == "safe_contact.last_verified"
        else f
        for f in snap.facts
    )
    subject_category = SubjectCategory("victim_safe_contact", VICTIM)
    night = datetime(2027, 6, 30, 23, 30, tzinfo=UTC)
    projection = Projection(
        "northmoor-idva", {subject_category: "NM-2"}, (CLAUSE,), decided_at=night
    )
    made = content(
        snapshot(facts=facts),
        projection,
        kind="disclosure",
        delivery_id=DELIVERY,
        case_reference="NM-1",
    )
    assert json.loads(made)["safeContact"]["lastVerified"] == "2027-07-01"
    assert json.loads(made)["safeContact"]["safeUntil"] == "2027-07-31"
