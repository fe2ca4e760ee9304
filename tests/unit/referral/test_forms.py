"""Every field of every form has a category, and a form becomes exactly the facts it holds."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import uuid4

import pytest
from pydantic import TypeAdapter, ValidationError

from hubformats.categories import CATEGORIES
from referral.intake.model.dates import future_dates
from referral.intake.model.facts import facts_of
from referral.intake.model.form import (
    ROLE_NAMES,
    AnyReferral,
    Form,
    FullReferral,
    Internal,
    Shared,
    UrgentReferral,
)
from referral.intake.model.identifiers import is_nhs_number, is_postcode
from referral.wiring import rule_book

EXAMPLES = Path(__file__).parents[3] / "examples"
RULES = rule_book().rules[0]
READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)


def full_form(**changes: Any) -> dict[str, Any]:
    """The full example as a mutable document."""
    form: dict[str, Any] = json.loads((EXAMPLES / "referral-full.json").read_text("utf-8"))
    return {**form, **changes}


def leaves(form: type[Form], seen: set[type[Form]] | None = None) -> Iterator[tuple[str, Any]]:
    """Every leaf field of a form class with its metadata, nested forms followed once."""
    seen = set() if seen is None else seen
    if form in seen:
        return
    seen.add(form)
    for name, info in form.model_fields.items():
        inner = [
            arg for arg in parts(info.annotation) if isinstance(arg, type) and issubclass(arg, Form)
        ]
        if inner:
            for one in inner:
                yield from leaves(one, seen)
        else:
            yield f"{form.__name__}.{name}", info


def parts(annotation: Any) -> Iterator[Any]:
    """The types inside unions, tuples and Annotated."""
    if get_origin(annotation) in (Union, UnionType, tuple):
        for arg in get_args(annotation):
            yield from parts(arg)
    elif hasattr(annotation, "__metadata__"):
        yield from parts(get_args(annotation)[0])
    else:
        yield annotation


@pytest.mark.parametrize("form", [FullReferral, UrgentReferral])
def test_every_field_names_a_category_or_why_it_is_internal(form: type[Form]) -> None:
    for name, info in leaves(form):
        marks = [mark for mark in info.metadata if isinstance(mark, Shared | Internal)]
        assert len(marks) == 1, f"{name} carries neither or both"
        if isinstance(marks[0], Shared):
            categories = {marks[0].category.format(role=role) for role in ROLE_NAMES.values()}
            assert categories <= CATEGORIES.keys(), f"{name} names a category the hub does not have"


def test_each_filled_value_of_the_example_becomes_a_fact_or_is_internal() -> None:
    form = READ.validate_python(full_form())
    assert isinstance(form, FullReferral)
    ids = {person.ref: uuid4() for person in form.people}
    facts = facts_of(form, ids, RULES)
    by_path = {fact.path: fact for fact in facts}
    assert by_path["people.0.name.full"].category == "victim_identity"
    assert by_path["people.0.addresses.0.postcode"].category == "victim_address"
    assert by_path["people.1.addresses.0.lines"].category == "perpetrator_address"
    assert by_path["people.2.school"].category == "child_school"
    assert by_path["people.2.school"].subject == ids["child-1"]
    assert by_path["referrer.phone"].subject is None
    assert by_path["reason"].quality == "professional_opinion"


@pytest.mark.parametrize("minors", [{"child-1"}, set()])
def test_a_minor_of_the_household_is_a_child_of_the_case(minors: set[str]) -> None:
    document = full_form()
    document["people"][2]["role"] = "household_member"
    form = READ.validate_python(document)
    assert isinstance(form, FullReferral)
    ids = {person.ref: uuid4() for person in form.people}
    told = {fact.path: fact.category for fact in facts_of(form, ids, RULES, minors)}
    role = "child" if minors else "household"
    assert (told["people.2.name.full"], told["people.2.school"]) == (
        f"{role}_identity",
        f"{role}_school",
    )


@pytest.mark.parametrize(
    ("channel", "value", "category"),
    [
        ("post", "The lodge", "victim_address"),
        ("in_person", "Her sister's", "victim_address"),
        ("via_school", "Miss Oakhollow", "child_school"),
        ("sms", "07700 900461", "victim_phone"),
        ("email", "17 Larkspur Wynd", "victim_address"),
        ("via_idva", "Flat 3, nz94qx", "victim_address"),
    ],
)
def test_a_means_of_contact_at_a_place_is_filed_as_one(
    channel: str, value: str, category: str
) -> None:
    document = full_form(
        safeContact={
            "status": "known",
            "means": [{"channel": channel, "value": value, "safe": "yes"}],
        }
    )
    form = READ.validate_python(document)
    assert isinstance(form, FullReferral)
    told = {
        fact.path: fact.category
        for fact in facts_of(form, {person.ref: uuid4() for person in form.people}, RULES)
    }
    assert told["safe_contact.means.0.value"] == category


@pytest.mark.parametrize(
    ("ahead", "refused"), [(59, []), (61, ["/incident/occurredAt", "/risk/assessedOn"])]
)
def test_a_clock_that_is_ahead_is_forgiven_as_far_as_the_rules_say(
    ahead: int, refused: list[str]
) -> None:
    document = full_form()
    document["incident"]["occurredAt"] = "2026-11-21T00:00:00Z"
    document["risk"]["assessedOn"] = "2026-11-21"
    form = READ.validate_python(document)
    assert isinstance(form, FullReferral)
    now = datetime(2026, 11, 21, tzinfo=UTC) - timedelta(minutes=ahead)
    assert [fault.pointer for fault in future_dates(form, RULES, now)] == refused


def test_do_not_call_is_a_fact_of_an_urgent_referral() -> None:
    form = READ.validate_json((EXAMPLES / "referral-urgent.json").read_bytes())
    facts = facts_of(form, {"victim": uuid4()}, RULES)
    assert ("callback", "Do not call") in {(fact.category, fact.value) for fact in facts}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"people": []}, "people"),
        ({"safeContact": {"status": "known"}}, "safeContact"),
        ({"surprise": 1}, "surprise"),
        ({"kind": "weather"}, "kind"),
        ({"incident": {"occurredAt": "2026-13-01T00:00:00Z", "summary": "x"}}, "occurredAt"),
        ({"incident": {"occurredAt": "2026-11-01T00:00:00", "summary": "x"}}, "occurredAt"),
    ],
)
def test_bad_parts_are_refused_where_they_stand(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ValidationError) as refused:
        READ.validate_python(full_form(**change))
    assert any(pointer in map(str, error["loc"]) for error in refused.value.errors())


def test_urgent_needs_no_contact_field_beyond_a_callback_answer() -> None:
    READ.validate_python(
        {
            "form": "urgent",
            "name": "unknown",
            "place": "unknown",
            "danger": "screams",
            "callback": "do_not_call",
        }
    )


def test_identifiers() -> None:
    assert is_nhs_number("9990000018")
    assert not is_nhs_number("9990000019")
    assert not is_nhs_number("999000001٣")
    assert is_postcode("NZ9 4QX")
    assert not is_postcode("somewhere")


def test_the_readme_makes_the_example_one_that_was_verified_today() -> None:
    root = Path(__file__).parents[3]
    (line,) = [
        line.strip()
        for line in (root / "README.md").read_text("utf-8").splitlines()
        if line.strip().startswith("sed -E")
    ]
    made = subprocess.run(
        ["sh", "-c", line.partition(" > ")[0]], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    example, today = (
        json.loads((root / "examples" / "referral-full.json").read_text("utf-8")),
        json.loads(made),
    )
    assert (
        abs(
            (
                date.fromisoformat(today["safeContact"]["lastVerified"]) - datetime.now(UTC).date()
            ).days
        )
        <= 1
    )
    assert today["externalReference"] != example["externalReference"]
    assert today["people"] == example["people"]
