"""Nothing that reaches a terminal or a page contains a control or bidirectional character."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from hubformats.visible_text import bare, is_plain, is_seen, visible, visible_json

BIDI = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
MARKS = frozenset("\u200e\u200f\u061c")
HARD = st.characters(categories=("Cc", "Cf", "Zl", "Zp", "Mn", "Lo", "Nd"))
TEXTS = st.text(
    st.one_of(HARD, st.characters(), st.sampled_from("\r\n\t \u202e\u2066\u200b\ufe0f"))
)


def steers(one: str) -> bool:
    """By the properties of Unicode, without the module's own tables."""
    return (
        unicodedata.category(one) in {"Cc", "Zl", "Zp", "Cs"}
        or unicodedata.bidirectional(one) in BIDI
        or one in MARKS
        or 0xE0000 <= ord(one) < 0xE1000
    )


@given(TEXTS)
def test_one_line_holds_nothing_that_steers(text: str) -> None:
    written = visible(text)
    assert not any(steers(one) for one in written)
    assert is_plain(written)
    assert visible(written) == written


@given(TEXTS)
def test_several_lines_hold_line_feeds_and_tabs_besides(text: str) -> None:
    assert not any(steers(one) and one not in "\n\t" for one in visible(text, lines=True))


@given(st.recursive(TEXTS, lambda each: st.lists(each) | st.dictionaries(TEXTS, each)))
def test_json_says_the_same_and_steers_nothing(value: object) -> None:
    text = visible_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(text) == value
    assert not any(steers(one) and one != "\n" for one in text)


@given(TEXTS)
def test_what_is_plain_stays_and_what_is_seen_is_left(text: str) -> None:
    assert (visible(text) == text) is is_plain(text)
    assert (
        is_seen(text) is is_seen(bare(text)) or "⟨" in text or "\N{REPLACEMENT CHARACTER}" in text
    )
