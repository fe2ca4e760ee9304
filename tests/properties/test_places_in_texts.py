"""With a shield on, what has the shape of a place leaves in no text, and harmless figures stay."""

import base64
import json
from collections import Counter
from typing import Any

import pytest

from common.events.case import Fact
from hubformats.masking import REMOVED, Mask
from hubformats.shield import Places, shield
from sharing.content.model.projection import Projection
from tests.support.content import content, is_location_shielded, subject_categories
from tests.support.packages import CLAUSE, DELIVERY
from tests.support.place_texts import PlaceText, harmless, places
from tests.support.snapshots import SUSPECT, VICTIM, marking, snapshot
from tests.support.street_texts import KINDS

RECALL_AT_LEAST, FALSE_AT_MOST = 0.99, 0.01
"""Of the sentences of `place_texts`."""


@pytest.fixture(scope="module")
def mask() -> Mask:
    """A mask that knows of no place at all."""
    return shield(Places())


def test_a_place_of_which_a_part_stays_is_missed() -> None:
    number = PlaceText("UPRN", "at UPRN 10 0012 345 678", "UPRN 10 0012 345 678")
    assert number.is_left_in(f"at {REMOVED} 0012 345 678")
    assert not number.is_left_in(f"at {REMOVED}")


def test_the_corpus_is_large_enough_and_the_same_every_time() -> None:
    assert len(places()) >= 800
    assert len(harmless()) >= 500
    assert places() == places()
    assert harmless() == harmless()


def test_a_place_in_no_field_is_taken_out_however_it_is_spelt(mask: Mask) -> None:
    missed = [each for each in places() if each.is_left_in(mask.clean(each.text))]
    assert len(missed) <= (1 - RECALL_AT_LEAST) * len(places()), Counter(
        each.kind for each in missed
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_street_is_missed_behind_a_number_and_a_name(mask: Mask, kind: str) -> None:
    assert mask.clean(f"She has fled. Flat 2, 17 Corran {kind}") == f"She has fled. {REMOVED}"
    assert mask.clean(f"seventeen Corran {kind}, he said") == f"{REMOVED}, he said"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("17 a larkspur road", "{}"),
        ("17-a Larkspur Wynd", "{}"),
        ("a hundred and four acacia avenue", "{}"),
        ("One hundred and four Acacia Avenue", "{}"),
        ("17LarkspurRoad", "{}"),
        ("17larkspurroad", "{}"),
        ("17Larkspur Rd", "{}"),
        ("no. 17 the high street", "{}"),
        ("17, The Wynd", "{}"),
        ("flat three, Larkspur", "{}, Larkspur"),
        ("3 way out, 2 hill walks, 10mins drive", "3 way out, 2 hill walks, 10mins drive"),
        ("left her flat three times", "left her flat three times"),
        ("At 9 PC Wood rang", "At 9 PC Wood rang"),
        ("at 10, a busy road", "at 10, a busy road"),
        ("12 May Court date", "12 May Court date"),
        ("Jane Hill and Anna Wood", "Jane Hill and Anna Wood"),
        ("Corran Way", "{}"),
        ("17 corran way", "17 corran way"),
    ],
)
def test_what_is_a_house_and_what_is_counted(mask: Mask, said: str, left: str) -> None:
    assert mask.clean(said) == left.replace("{}", REMOVED)


@pytest.mark.parametrize(
    "written",
    [
        base64.b64encode(base64.b64encode(b"17 Larkspur Wynd").hex().encode()).decode(),
        base64.b64encode(b"17 Larkspur Wynd\nNorthmoor").decode(),
        base64.b64encode("17 Larkspur Wynd".encode("utf-16")).decode(),
        f"https://example.org/to/{base64.b64encode(b'17 Larkspur Wynd').decode()}",
        "17 Lark=\nspur Wynd",
        r"17 \U0000004carkspur Wynd",
        "17 U+004Carkspur Wynd",
        "17 %u004carkspur Wynd",
        "17 &#76arkspur Wynd",
        "%3D31%3D37%3D20Larkspur%3D20Wynd",
    ],
)
def test_a_place_is_found_under_layers_and_in_parts_of_words(mask: Mask, written: str) -> None:
    start = "https://example.org/to/" if written.startswith("https") else ""
    assert mask.clean(f"to {written} now") == f"to {start}{REMOVED} now"


@pytest.mark.parametrize("text", [r"\u{fffff} \u{999999}", r"\ud800 &#9999999; \777", "=ZZ ==41"])
def test_what_is_no_encoding_is_left_as_it_stands(mask: Mask, text: str) -> None:
    assert mask.clean(text) == text


def test_dates_times_ages_scores_phones_logs_doses_and_money_stay(mask: Mask) -> None:
    changed = [(kind, text) for kind, text in harmless() if mask.clean(text) != text]
    assert len(changed) <= FALSE_AT_MOST * len(harmless()), changed


def told(text: str, *extra: Fact, **changes: Any) -> dict[str, Any]:
    """The content of everything a shield lets leave, with `text` in short and long fields."""
    fields = {
        "phone": "victim_phone",
        "nickname": "victim_identity",
        "gender": "victim_identity",
        "language": "victim_needs",
        "times": "victim_safe_contact",
        "last_verified": "victim_safe_contact",
        "summary": "danger_summary",
        "code_word": "victim_safe_contact",
        "callback": "callback",
    }
    said = [
        Fact(path=path, category=code, subject=VICTIM, label=path, value=text)
        for path, code in fields.items()
    ]
    snap = snapshot(
        markings=(marking("location_shield", subject=VICTIM),), facts=(*said, *extra), **changes
    )
    permitted = [one for one in subject_categories(snap) if not is_location_shielded(snap, one)]
    projection = Projection("northmoor-idva", dict.fromkeys(permitted, CLAUSE.id), (CLAUSE,))
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


@pytest.mark.parametrize("place", ["QX4 7JB", "9 Tollgate Lane", "54.97832, -1.61780"])
def test_phones_aliases_gender_and_other_short_fields_are_texts(place: str) -> None:
    made = json.dumps(told(f"see {place}"))
    assert place not in made
    assert made.count(REMOVED) >= 9


@pytest.mark.parametrize(
    ("category", "account", "said", "left"),
    [
        (
            "victim_whereabouts",
            "With her aunt at Brackenby Lodge.",
            "to brackenby lodge",
            f"to {REMOVED}",
        ),
        ("victim_whereabouts", "Moved to Brackenby on Friday.", "in Brackenby", f"in {REMOVED}"),
        (
            "incident_narrative",
            "He came to 4 Ossuary Wynd.",
            "by the ossuary wynd",
            f"by the {REMOVED}",
        ),
        ("incident_narrative", "Seen on tollgate lane again.", "up Tollgate Ln", f"up {REMOVED}"),
        ("incident_narrative", "Her flat is in QX4 7JB", "near qx4", f"near {REMOVED}"),
        ("incident_narrative", "He waited by her car at 9.", "at 9 he left", "at 9 he left"),
    ],
)
def test_a_place_in_whereabouts_reason_or_summary_is_looked_for_elsewhere(
    category: str, account: str, said: str, left: str
) -> None:
    account_fact = Fact(path="a", category=category, subject=VICTIM, label="a", value=account)
    assert f'"value": "{left}"' in json.dumps(told(said, account_fact))


@pytest.mark.parametrize(
    ("value", "said", "left"),
    [
        ("54.97832, -1.61780", "Officers to 54.97832,-1.61780 now.", f"Officers to {REMOVED} now."),
        ("4471", "it is plot 4471, not 44710", f"it is plot {REMOVED}, not 44710"),
        ("17", "aged 17, DASH 17", "aged 17, DASH 17"),
        ("Ely", "She is in ely; he is rely", f"She is in {REMOVED}; he is rely"),
        ("Eye", "A black eye. In Eye.", f"A black eye. In {REMOVED}."),
    ],
)
def test_values_of_figures_alone_and_names_of_three_letters_are_found_as_whole_words(
    value: str, said: str, left: str
) -> None:
    assert shield(Places(secrets=[value])).clean(said) == left


def test_what_he_is_known_by_stays_readable() -> None:
    his = (
        Fact(
            path="people.1.addresses.0.lines",
            category="perpetrator_address",
            subject=SUSPECT,
            label="Address",
            value=["12 Larkspur Wynd"],
        ),
        Fact(
            path="people.1.addresses.0.postcode",
            category="perpetrator_address",
            subject=SUSPECT,
            label="Postcode",
            value="NZ9 1AA",
        ),
    )
    hers = Fact(
        path="people.0.addresses.0.lines",
        category="victim_address",
        subject=VICTIM,
        label="Address",
        value=["17 Larkspur Wynd", "NZ9 4QX"],
    )
    made = json.dumps(told("from 12 Larkspur Wynd, NZ9 1AA to 17 Larkspur Wynd, NZ9", *his, hers))
    assert f'"value": "from 12 Larkspur Wynd, NZ9 1AA to {REMOVED}"' in made
    assert '"value": ["12 Larkspur Wynd"]' in made
    assert "17 Larkspur" not in made
