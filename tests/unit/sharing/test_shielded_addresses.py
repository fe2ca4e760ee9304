"""A shield belongs to an address: it hides that one and what would give it away, and nothing else."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from common.events.case import CaseSnapshot
from sharing.content.model.projection import SubjectCategory
from sharing.content.model.reader import SnapshotReader
from tests.properties.test_shielded_forms import FULL, everything, taken_in
from tests.support.snapshots import marking

OLD = {"lines": ["12 Hollybank Terrace"], "postcode": "NZ6 2AB"}
NEW = {"lines": ["17 Larkspur Wynd"], "postcode": "NZ9 4QX", "shielded": True}
SECRETS = ("larkspur", "nz9", "4qx")


def form(**changes: Any) -> dict[str, Any]:
    """She left the home they shared, where he still lives, for a shielded address."""
    made = copy.deepcopy(FULL)
    victim, suspect, child = made["people"]
    victim["addresses"] = [OLD, NEW]
    suspect |= {"addresses": [OLD], "whereabouts": "Back at 12 Hollybank Terrace on bail"}
    child |= {"school": "Fellgate Primary School", "doctor": "Millbank Surgery"}
    victim["employer"] = "Ossuary Cold Stores Ltd"
    made["safeContact"]["notSafeToTalkTo"] = "Anyone at Hollybank Terrace, NZ6 2AB"
    return {**made, **changes}


def told(snap: CaseSnapshot) -> str:
    return "\n".join(everything(snap))


def test_his_known_address_and_the_old_shared_one_are_shown_and_hers_is_not() -> None:
    text = told(taken_in(form()))
    assert text.count("12 Hollybank Terrace") == 3, "hers of before, his, and where he is"
    assert "Back at 12 Hollybank Terrace on bail" in text
    assert "Anyone at Hollybank Terrace, NZ6 2AB" in text
    assert not [secret for secret in SECRETS if secret in text.casefold()]


@pytest.mark.parametrize("gives_away", ["Fellgate school", "Millbank", "Ossuary Cold"])
def test_schools_practices_and_employers_that_would_give_hers_away_go_with_it(
    gives_away: str,
) -> None:
    made = form()
    made["risk"]["answers"][1]["note"] = f"He waits outside {gives_away} in the morning"
    assert gives_away not in told(taken_in(made))


def test_the_decision_says_that_one_address_is_withheld_and_the_other_not() -> None:
    snap = taken_in(form())
    reader = SnapshotReader(snap)
    hers = [one for one in reader.subject_categories() if one.category == "victim_address"]
    assert [(one.hidden, reader.is_location_shielded(one)) for one in hers] == [
        (False, False),
        (True, True),
    ]


def test_a_child_is_not_given_away_by_an_address_that_nobody_shielded() -> None:
    made = form()
    made["people"][2]["addresses"] = [{"lines": ["17 Larkspur Wynd"]}, {"lines": ["3 Corran Way"]}]
    text = told(taken_in(made))
    assert "Corran" not in text, "she may live where the child does"
    made["people"][2]["addresses"] = [OLD]
    assert told(taken_in(made)).count("12 Hollybank Terrace") == 4, "the old one is known"


def test_the_place_of_an_incident_is_shown_where_it_is_his_known_address() -> None:
    made = form()
    made["incident"]["place"] = "12 Hollybank Terrace, NZ6 2AB"
    assert told(taken_in(made)).count("12 Hollybank Terrace") == 4
    made["incident"]["place"] = "Outside 17 Larkspur Wynd"
    assert not [secret for secret in SECRETS if secret in told(taken_in(made)).casefold()]


def test_an_address_that_is_both_shielded_and_his_stays_shielded() -> None:
    made = form()
    made["people"][1]["addresses"].append({"lines": ["17 Larkspur Wynd"], "postcode": "NZ9 4QX"})
    assert not [secret for secret in SECRETS if secret in told(taken_in(made)).casefold()]


def test_a_shield_set_on_her_afterwards_covers_every_address_of_hers_but_not_his() -> None:
    snap = taken_in(form())
    victim = snap.subjects[0].subject_id
    whole = snap.model_copy(
        update={"markings": (*snap.markings, marking("location_shield", subject=victim))}
    )
    text = told(whole)
    assert text.count("12 Hollybank Terrace") == 2, "his address, and where he is"
    reader = SnapshotReader(whole)
    assert reader.is_location_shielded(SubjectCategory("victim_address", victim))


def test_a_shielded_address_that_says_nothing_covers_every_place_of_hers() -> None:
    made = form()
    made["people"][0]["addresses"] = [OLD, {"shielded": True}]
    text = told(taken_in(made))
    assert text.count("12 Hollybank Terrace") == 2


def test_a_form_of_one_shielded_address_is_published_as_before() -> None:
    snap = taken_in(copy.deepcopy(FULL))
    assert [one.category for one in snap.markings] == ["*"]


@pytest.mark.parametrize("case", ["01", "02"])
def test_the_inputs_that_failed_give_what_is_right(case: str) -> None:
    folder = Path(__file__).parents[2] / "vectors" / "inputs"
    (path,) = folder.glob(f"{case}-*.json")
    text = told(taken_in(json.loads(path.read_text("utf-8"))))
    if case == "01":
        assert text.count("12 Hollybank Terrace") == 3
        assert not [secret for secret in SECRETS if secret in text.casefold()]
    else:
        assert "He is outside. Officers to [removed] now." in text
        assert "97832" not in text


def test_a_shield_on_the_victim_alone_is_read_from_older_snapshots_as_before() -> None:
    snap = taken_in(form())
    older = snap.model_copy(update={"markings": ()})
    text = told(older)
    assert text.count("12 Hollybank Terrace") == 2, "the shield of before was the person's"
