"""Whatever field of a form a shielded address is typed into, no spelling of it comes out for
anybody."""

import copy
import itertools
import json
import re
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import TypeAdapter

from common.events.case import CaseSnapshot
from referral.intake import use_cases
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from sharing.content.model.projection import Projection
from sharing.content.model.reader import SnapshotReader
from tests.support.packages import CLAUSE, DELIVERY
from tests.support.referral_fakes import CONTEXT, RULES, granted

EXAMPLES = Path(__file__).parents[2] / "examples"
FULL: dict[str, Any] = json.loads((EXAMPLES / "referral-full.json").read_text("utf-8"))
READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)
streets = st.builds(
    "{}{} {}".format,
    st.sampled_from(("17 ", "3b ", "Flat 3, 17 ", "Flat 2/1, 9 ")),
    st.sampled_from(("Larkspur", "Ossuary", "Corran", "St Aldhelm's", "Upper Thistledown")),
    st.sampled_from(("Wynd", "Steps", "Road", "Close", "Way", "Hill", "Meadows", "Tce")),
)
postcodes = st.builds(
    "{} {}{}".format,
    st.sampled_from(("NQ9", "QX2B", "Q1")),
    st.integers(0, 9),
    st.sampled_from(("AB", "VW")),
)
WHERE = ("lines", "area", "post", "in_person", "phone", "child", "incident")
"""Fields that may be the only one to hold the address."""
SPELLINGS = (
    str.upper,
    str.lower,
    lambda text: re.sub(r"\W+", "", text),
    lambda text: re.sub(r"\W+", " - ", text),
    lambda text: text,
)


def taken_in(form: dict[str, Any]) -> CaseSnapshot:
    return use_cases.plan_intake(
        granted(), READ.validate_python(form), CONTEXT, RULES
    ).case.to_snapshot()


def shielded(address: str, where: str) -> dict[str, Any]:
    """The full example with `address` as the shielded one, in one field alone."""
    form = copy.deepcopy(FULL)
    place: dict[str, Any] = {"shielded": True}
    form["people"][0]["addresses"] = [place]
    if where == "lines":
        place["lines"] = [address]
    elif where == "area":
        place["areaCode"] = address
    elif where == "child":
        form["people"][2]["addresses"] = [{"areaCode": address}]
    elif where == "incident":
        form["incident"]["place"] = address
    else:
        form["safeContact"]["means"].append({"channel": where, "value": address, "safe": "yes"})
    return form


def told_everywhere(form: dict[str, Any], text: str) -> dict[str, Any]:
    """`text` in every field in which somebody writes in words of their own."""
    victim, suspect = form["people"][0], form["people"][1]
    victim |= {"aliases": [text], "gender": text, "language": text, "careAndSupportNeeds": text}
    suspect |= {"aliases": [text]}
    form["safeContact"] |= {"codeWord": text, "safeToTalkTo": text, "notSafeToTalkTo": text}
    form["safeContact"]["means"][0] |= {"times": text, "whoMayAnswer": text}
    form["consent"] |= {"victimsView": text, "withoutAgreementReason": text}
    form["incident"] |= {"weapons": text, "crimeReference": text, "officerInCase": text}
    form["risk"]["answers"][0]["note"] = text
    form["risk"] |= {"assessorRole": text, "judgement": {"raises": True, "reason": text}}
    form["referrer"]["role"] = text
    return form


def everything(snap: CaseSnapshot) -> list[str]:
    """Every string for somebody who is permitted all that a shield lets anybody have, which no
    recipient exceeds.
    """
    reading = SnapshotReader(snap)
    permitted = [
        subject_category
        for subject_category in reading.subject_categories()
        if not reading.is_location_shielded(subject_category)
    ]
    projection = Projection("northmoor-idva", dict.fromkeys(permitted, CLAUSE.id), (CLAUSE,))
    return list(
        strings(
            reading.content(
                projection,
                kind="disclosure",
                delivery_id=DELIVERY,
                case_reference="NM-7F3K-9QXA-2C4T",
            )
        )
    )


def strings(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings(each)


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.casefold())


def letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold())


@settings(max_examples=200, deadline=None)
@given(street=streets, postcode=postcodes, where=st.sampled_from(WHERE), data=st.data())
def test_no_spelling_of_a_shielded_address_comes_out_of_any_field(
    street: str, postcode: str, where: str, data: st.DataObject
) -> None:
    spelt = data.draw(st.sampled_from(SPELLINGS))
    said = data.draw(
        st.sampled_from((street, postcode, postcode.split(maxsplit=1)[0], f"{street}, {postcode}"))
    )
    form = told_everywhere(
        shielded(f"{street}, {postcode}", where), f"He goes to {spelt(said)} tonight"
    )
    outward = postcode.split(maxsplit=1)[0].casefold()
    secret = {
        pair
        for pair in itertools.pairwise(words(street))
        if not all(word.isdigit() for word in pair)
    }
    for string in everything(taken_in(form)):
        assert letters(postcode) not in letters(string), string
        assert letters(street) not in letters(string), string
        assert not set(itertools.pairwise(words(string))) & secret, string
        assert outward not in words(string), string


@pytest.mark.parametrize(
    "typed",
    [
        "NZ9 4QX",
        "nz94qx",
        "NZ9",
        "17",
        "Flat 3 at 17 Larkspur Wynd, Northmoor",
        "Larkspur Wynd estate",
        "Larkspur",
    ],
)
@pytest.mark.parametrize("person", [0, 1], ids=["hers", "his"])
def test_an_address_in_the_field_for_the_area_neither_leaves_nor_opens_the_mask(
    typed: str, person: int
) -> None:
    form = told_everywhere(
        shielded("Flat 3, 17 Larkspur Wynd, NZ9 4QX", "lines"), "Waiting at Larkspur Wynd, NZ9 4QX"
    )
    form["people"][person]["addresses"][0]["areaCode"] = typed
    facts = taken_in(form).facts
    assert [fact.value for fact in facts if fact.category.endswith("_area")] == (
        [] if person else ["Northmoor West"]
    )
    assert [
        fact.value for fact in facts if fact.path == f"people.{person}.addresses.0.area_code"
    ] == [typed], "kept as sent"
    told = " ".join(string for string in everything(taken_in(form)))
    assert "Waiting at [removed]" in told
    for word in ("larkspurwynd", "nz94qx"):
        assert word not in letters(told)


@pytest.mark.parametrize("typed", ["Northmoor East", "northmoor  EAST"])
def test_a_listed_area_leaves_and_stays_readable(typed: str) -> None:
    form = told_everywhere(
        shielded("17 Larkspur Wynd, Northmoor East", "lines"), "Driving to Northmoor East"
    )
    form["people"][0]["addresses"][0]["areaCode"] = typed
    told = everything(taken_in(form))
    assert typed.strip() in told
    assert "Driving to Northmoor East" in told


def test_a_postal_address_stands_in_the_strip_only_where_the_address_may_go() -> None:
    form = shielded("Flat 3, 17 Larkspur Wynd", "post")
    hidden = everything(taken_in(form))
    assert "post" in hidden
    assert not [string for string in hidden if "arkspur" in string]
    form["people"][0]["addresses"][0]["shielded"] = False
    assert "Flat 3, 17 Larkspur Wynd" in everything(taken_in(form))
