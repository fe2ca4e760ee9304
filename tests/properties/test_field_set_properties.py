"""A field set names every kind it was written with, in any number, and fits the record; a kind's
number never changes."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hubformats.categories import CATEGORIES
from hubformats.field_sets import KINDS, read, written

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests/vectors/field_sets/kinds_1.json").read_text("utf-8"))


@given(st.lists(st.sampled_from(KINDS), unique=True, min_size=1))
def test_nothing_is_cut_from_a_set_of_any_size(kinds: list[str]) -> None:
    text = written(kinds)
    names, more = read(text)
    assert (sorted(names), more) == (sorted(kinds), 0)
    assert 0 < len(text) <= 200
    assert text.isascii()
    assert text.isprintable()


def test_kinds_keep_their_numbers_and_every_category_has_one() -> None:
    assert list(KINDS[: len(GOLDEN)]) == GOLDEN
    assert len(set(KINDS)) == len(KINDS)
    assert set(CATEGORIES) <= set(KINDS)
    assert len(written(list(KINDS))) <= 200


def test_an_outsider_has_the_numbers_too() -> None:
    page = " ".join((ROOT / "docs/audit-format.md").read_text("utf-8").split())
    assert " ".join(KINDS) in page


def test_what_was_cut_before_sets_had_numbers_is_still_counted_and_rubbish_names_nothing() -> None:
    assert read("danger_place,victim_identity+5") == (("danger_place", "victim_identity"), 5)
    assert read("referral.full") == (("referral.full",), 0)
    assert read("danger_place+2/1:zz") == (("danger_place",), 0)
