"""The bare name of a shielded place leaves in no text, and ordinary words and names stay."""

import copy
import json

import pytest

from hubformats.masking import REMOVED
from hubformats.place_names import in_words
from hubformats.shield import Places, shield
from hubformats.withheld_values import Sort, Value, values_mask
from tests.properties.test_places_in_texts import told
from tests.properties.test_shielded_forms import FULL, everything, taken_in


@pytest.mark.parametrize(
    ("secret", "said", "left"),
    [
        ("17 Larkspur Wynd", "The house at Larkspur is watched", "The house at {} is watched"),
        ("17 Larkspur Wynd", "She is hiding at Larkspur now", "She is hiding at {} now"),
        ("17 Larkspur Wynd", "Parks by Larkspur most nights", "Parks by {} most nights"),
        ("17 Larkspur Wynd", "Larkspur", "{}"),
        ("17 Larkspur Wynd", "larkspur, LARKSPUR's gate", "{}'s gate"),
        ("17 larkspur wynd", "at Larkspur", "at {}"),
        ("17 Larkspur Wynd", "Wynd Larkspur", "Wynd {}"),
        ("Flat 3, 17 Larkspur Wynd, Skelby", "the Larkspur house", "the {} house"),
        ("Larkspur House", "Larkspur refuge", "{} refuge"),
        ("Asda Skelby", "Works at Asda", "Works at {}"),
        ("Asda Skelby", "works at asda", "works at {}"),
        ("Hope Street Practice", "Hope surgery", "{}"),
        ("Hope Street Practice", "the hope surgery", "the {}"),
        ("Hope Street Practice", "She lives in hope.", "She lives in hope."),
        ("St Aldhelm's Primary", "Aldhelm school", "{} school"),
        ("St Aldhelms Primary", "by Aldhelm's", "by {}"),
        ("Ash Surgery", "the Ash GP; cold ash; ash gp", "the {}; cold ash; {}"),
        ("Dr Wintle, The Beacon Practice", "Ask Wintle at Beacon", "Ask {} at {}"),
        ("The Old Rectory", "near the Rectory", "near the {}"),
        ("Mill Bank House", "by the Mill; a mill", "by the {}; a mill"),
        ("4 Heol Larkspur", "in larkspur", "in {}"),
        ("O'Brien's Bar", "at O'Briens, at Obrien", "at {}, at {}"),
        ("17 Larkspur Wynd", "She is at number seventeen", "She is at {}"),
        ("104 Larkspur Wynd", "no one hundred and four", "{}"),
        ("Not within 200 metres of 17 Larkspur Wynd", "He ran ten metres", "He ran ten metres"),
        (
            "Contact her only at the back of Asda",
            "Contact me, not Asda",
            "Contact me, not {}",
        ),
        ("behind the bakery of her aunt", "Aunt owns a bakery", "Aunt owns a bakery"),
        ("Polish Saturday School", "She speaks Polish", "She speaks Polish"),
        (
            "Northern General Hospital",
            "a general in the northern army",
            "a general in the northern army",
        ),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_the_name_alone_of_a_shielded_place_is_taken_out(secret: str, said: str, left: str) -> None:
    assert shield(Places(secrets=[secret])).clean(said) == left.replace("{}", REMOVED)


def test_areas_people_and_known_places_keep_their_names() -> None:
    mask = shield(
        Places(
            secrets=["17 Larkspur Wynd, Northmoor", "Quillfeather Stores", "Marta Lane"],
            known=["12 Larkspur Wynd", "Larkspur Court"],
            areas=["Northmoor West"],
            names=["Marta Quillfeather", "Marta Lane"],
        )
    )
    for said in (
        "Northmoor police; the west of Northmoor",
        "Marta Quillfeather is hurt; Quillfeather rang",
        "Marta Lane rang",
        "At 9 Marta Lane rang",
        "He lives at 12 Larkspur Wynd",
        "He lives in Larkspur Court",
    ):
        assert mask.clean(said) == said
    assert mask.clean("She lives in Larkspur") == f"She lives in {REMOVED}"


@pytest.mark.parametrize(
    "account",
    [
        "She is now staying at 9 Corran Way",
        "With a friend, 9 Corran Way, behind the pub",
        "at number 9 Corran Way.",
        "She has a room on Corran Way",
    ],
)
@pytest.mark.parametrize("said", ["9 corran way", "at Corran Way", "in Corran", "corran way"])
def test_a_street_of_any_kind_in_an_account_is_looked_for_by_its_name(
    account: str, said: str
) -> None:
    left = shield(Places(told=[account])).clean(said)
    assert "orran" not in left
    assert REMOVED in left


def test_the_name_of_a_vetoed_place_is_taken_out_too() -> None:
    mask = values_mask(
        [
            Value(Sort.PLACE, text)
            for text in ("17 Larkspur Wynd", "Ash Surgery", "Northmoor Stores")
        ],
        [Value(Sort.PLACE, "Northmoor West"), Value(Sort.PLACE, "12 Larkspur Road")],
    )
    assert mask is not None
    said = "At Larkspur, by Ash; cold ash; Northmoor police"
    assert mask.clean(said) == f"At {REMOVED}, by {REMOVED}; cold ash; Northmoor police"


def test_no_field_of_a_form_gives_the_name_of_a_shielded_street_away() -> None:
    form = copy.deepcopy(FULL)
    victim, suspect, _ = form["people"]
    victim["addresses"] = [{"lines": ["17 Larkspur Wynd"], "postcode": "NZ9 4QX", "shielded": True}]
    victim["employer"] = "Asda Skelby"
    suspect["whereabouts"] = "Parks by Larkspur, drives past 9 Corran Way and 3 Castle Hill"
    form["risk"]["answers"][1]["note"] = "He has her new address: 17 Corran Way. She works at Asda."
    form["safeContact"] |= {"codeWord": "Larkspur", "notSafeToTalkTo": "people at number seventeen"}
    form["incident"]["crimeReference"] = "17 Larkspur"
    leaving = json.dumps(everything(taken_in(form)))
    for word in ("Larkspur", "Corran", "Castle", "seventeen", "Asda"):
        assert word not in leaving
    assert leaving.count(REMOVED) >= 6


def test_two_streets_that_once_left_word_for_word_are_taken_out() -> None:
    made = json.dumps(told("She has fled to 17 Corran Way and before to 9 Castle Hill"))
    assert f"She has fled to {REMOVED} and before to {REMOVED}" in made


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("7", "seven"),
        ("20", "twenty"),
        ("23", "twentythree"),
        ("100", "onehundred"),
        ("109", "onehundredandnine"),
        ("0", None),
        ("3b", None),
        ("1000", None),
    ],
)
def test_a_house_number_in_words(number: str, said: str | None) -> None:
    assert in_words(number) == said
