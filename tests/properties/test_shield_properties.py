"""No two words together of a shielded value, nor its postcode, survive in any string that a
recipient gets, however they are written."""

import itertools
import json
import re
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from common.events.case import CaseSnapshot, Fact
from sharing.content.model.projection import Projection
from tests.support.content import content, is_location_shielded, subject_categories
from tests.support.packages import CLAUSE, DELIVERY
from tests.support.snapshots import VICTIM, marking, snapshot, urgent

NAMES = (
    "Larkspur",
    "Tannery",
    "Quernstone",
    "Fellgate",
    "Ossuary",
    "Wintle",
    "Brackenby",
    "St Aldhelm's",
    "Upper Thistledown",
)
KINDS = (
    *("Row", "Wynd", "Road", "Street", "Close", "Mews", "Way", "Meadows", "Bank"),
    *("Academy", "Surgery", "Cold Stores Ltd"),
)
BEFORE = ("", "14 ", "3b ", "Flat 3, 17 ", "Flat 2/1, 9 ", "Unit 7 ")
SHIELDED = (
    "victim_address",
    "victim_school",
    "victim_health_contact",
    "victim_employer",
    "order_zone",
    "danger_place",
    "incident_place",
)

places = st.builds(
    "{}{} {}".format, st.sampled_from(BEFORE), st.sampled_from(NAMES), st.sampled_from(KINDS)
)
postcodes = st.builds(
    "{} {}{}".format,
    st.sampled_from(("NZ9", "ZZ99", "Q1", "QX2B")),
    st.integers(0, 9),
    st.sampled_from(("AB", "QX", "VW")),
)


def words(text: str) -> list[str]:
    """What a reader takes for words, in small letters."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.casefold())


def strings(value: Any) -> list[str]:
    """Every string anywhere in a content."""
    if isinstance(value, dict):
        return [found for each in value.values() for found in strings(each)]
    return (
        [found for each in value for found in strings(each)]
        if isinstance(value, list)
        else [value]
        if isinstance(value, str)
        else []
    )


def everything(snap: CaseSnapshot) -> list[str]:
    """Every string for a recipient who is permitted all that a shield lets anybody have."""
    permitted = [
        subject_category
        for subject_category in subject_categories(snap)
        if not is_location_shielded(snap, subject_category)
    ]
    projection = Projection("northmoor-idva", dict.fromkeys(permitted, CLAUSE.id), (CLAUSE,))
    return strings(
        json.loads(
            content(
                snap,
                projection,
                kind="disclosure",
                delivery_id=DELIVERY,
                case_reference="NM-7F3K-9QXA-2C4T",
            )
        )
    )


def told(secrets: list[tuple[str, Any]], text: str, start: CaseSnapshot) -> list[str]:
    """The case with these shielded values and a text about danger that mentions them."""
    shield = marking("location_shield", subject=VICTIM)
    extra = [
        Fact(path=f"x.{n}", category=code, subject=VICTIM, label="x", value=value)
        for n, (code, value) in enumerate(secrets)
    ]
    said = [
        Fact(path=f"y.{code}", category=code, subject=VICTIM, label="y", value=text)
        for code in ("danger_summary", "consent", "victim_needs")
    ]
    return everything(
        start.model_copy(update={"facts": (*start.facts, *extra, *said), "markings": (shield,)})
    )


@settings(max_examples=150, deadline=None)
@given(
    found=st.lists(st.tuples(st.sampled_from(SHIELDED), places), min_size=1, max_size=4),
    postcode=postcodes,
    data=st.data(),
    full=st.booleans(),
)
def test_no_two_words_of_a_shielded_value_survive(
    found: list[tuple[str, str]], postcode: str, data: st.DataObject, full: bool
) -> None:
    pieces: list[str] = []
    for _, value in found:
        whole = value.split()
        first = data.draw(st.integers(0, max(0, len(whole) - 2)))
        piece = data.draw(st.sampled_from((" ", "  ", "\n", "-", ", "))).join(
            whole[first : data.draw(st.integers(first + 1, len(whole)))]
        )
        pieces.append(data.draw(st.sampled_from((piece, piece.upper(), piece.lower()))))
    pieces.append(
        data.draw(
            st.sampled_from(
                (
                    postcode,
                    postcode.lower(),
                    postcode.replace(" ", ""),
                    postcode.split(maxsplit=1)[0],
                )
            )
        )
    )
    text = "He is near {} and says he is going in.".format("; and near ".join(pieces))
    shown = told([*found, ("victim_address", postcode)], text, snapshot() if full else urgent())
    for string in shown:
        said = words(string)
        pairs = set(itertools.pairwise(said))
        for _, value in found:
            secret = {
                pair
                for pair in itertools.pairwise(words(value))
                if not all(word.isdigit() for word in pair)
            }
            assert not pairs & secret, (string, value)
        assert postcode.split(maxsplit=1)[0].casefold() not in said
        assert postcode.replace(" ", "").casefold() not in re.sub(r"[\W_]", "", string.casefold())


@pytest.mark.parametrize(
    ("place", "said", "left"),
    [
        (
            "14 Larkspur Row, Fellgate",
            "He knows she is in Larkspur Row and is driving there.",
            "He knows she is in [removed] and is driving there.",
        ),
        ("Flat 3, 17 Larkspur Wynd", "Go to the LarkspurWynd side.", "Go to the [removed] side."),
        ("14 Larkspur Road", "Larkspur Rd, the back door", "[removed], the back door"),
        ("14 Larkspur Rd.", "at larkspur road", "at [removed]"),
        ("14 Broadway", "She left Broadway.", "She left [removed]."),
        ("14 Larkspur Row NZ9 4QX", "somewhere in nz9", "somewhere in [removed]"),
        ("9 Cafétière Mews", "by Cafetiere\u00a0Mews", "by [removed]"),
        ("Flat 14", "He has 14 knives and is 14.", "He has 14 knives and is 14."),
        (
            "14 Oak St, Northmoor",
            "He drove through Northmoor at 14 mph.",
            "He drove through Northmoor at 14 mph.",
        ),
        ("unknown", "His weapon is unknown.", "His weapon is unknown."),
        (
            "in the house of the aunt",
            "He is in the car of the brother",
            "He is in the car of the brother",
        ),
        ("with Marta Quillfeather", "Marta Quillfeather is hurt", "Marta Quillfeather is hurt"),
        (
            "Fellgate Primary School",
            "Outside Fellgate school; then Fellgate.",
            "Outside [removed]; then [removed].",
        ),
        ("Millbank Surgery", "She is at Millbank now.", "She is at [removed] now."),
        ("Park Surgery", "From the park to the Park clinic.", "From the park to the [removed]."),
        ("Market Medical Centre", "By the supermarket.", "By the supermarket."),
        (
            "17 Larkspur Wynd",
            "She is at number 17, he has 17 knives.",
            "She is at [removed], he has 17 knives.",
        ),
        ("4 Hall End", "He is in the hallway.", "He is in the hallway."),
    ],
)
def test_what_a_shield_takes_out_and_leaves(place: str, said: str, left: str) -> None:
    """Streets without their numbers go; house numbers, the area's name and everybody's own name
    stay readable.
    """
    assert left in told([("danger_place", place)], said, urgent(facts=urgent().facts[:1]))


def test_an_area_that_is_really_a_street_is_not_spared() -> None:
    secrets = [("victim_address", "14 Larkspur Row"), ("victim_area", "Larkspur Row")]
    assert not [
        string for string in told(secrets, "Near Larkspur Row.", urgent()) if "arkspur" in string
    ]
