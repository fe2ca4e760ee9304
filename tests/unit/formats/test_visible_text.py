"""What a person sees of a text, and how what nobody sees is written out."""

import json

import pytest

from hubformats.masking import REMOVED
from hubformats.phones import contact_keys
from hubformats.shield import Places, shield
from hubformats.visible_text import bare, is_plain, is_seen, visible, visible_json

HIDDEN = {
    "escape": "\x1b",
    "carriage return": "\r",
    "delete": "\x7f",
    "C1 control": "\x9b",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "left-to-right mark": "\u200e",
    "zero width space": "\u200b",
    "joiner in English": "\u200d",
    "byte order mark": "\ufeff",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "tag letter": "\U000e0041",
    "variation selector": "\U000e0100",
    "Hangul filler": "\u3164",
    "soft hyphen": "\xad",
    "half of a pair": "\ud800",
    "note without a head": "\U0001d159",
    "filler of a small script": "\U00016fe4",
    "kept for invisible operators": "\u2065",
    "first kept for specials": "\ufff0",
    "last kept for specials": "\ufff8",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_cannot_be_seen_is_written_as_its_code_point(name: str) -> None:
    one = HIDDEN[name]
    assert visible(f"do{one}not") == f"do⟨U+{ord(one):04X}⟩not"
    assert not is_plain(f"do{one}not")
    assert not is_seen(one)
    assert not is_seen(f" {one} ")


@pytest.mark.parametrize(
    "text",
    [
        "Null",
        "Ó",
        "O’Brien-Müller",
        "አበበ ቢቂላ",
        "مریم می\u200cخواهد",
        "ශ්\u200dරී",
        "王小明",
        "£20 & <b>",
        "\u0301e",
        "Flat 3\xa0B",
    ],
)
def test_names_as_people_write_them_stay_as_they_are(text: str) -> None:
    assert (visible(text), is_plain(text), is_seen(text)) == (text, True, True)


def test_line_breaks_stay_only_where_a_text_has_lines() -> None:
    assert visible("one\r\ntwo\rthree\n\tfour", lines=True) == "one\ntwo\nthree\n\tfour"
    assert visible("one\ntwo") == "one⟨U+000A⟩two"
    assert visible("one\u2028two", lines=True) == "one⟨U+2028⟩two"


def test_a_text_of_nothing_else_does_not_outgrow_a_package() -> None:
    written = visible("\u202e" * 8_000)
    assert len(written) < 9_000
    assert written.endswith("\N{REPLACEMENT CHARACTER}")


def test_a_program_reads_exactly_what_was_sent() -> None:
    sent = {"name": "".join(HIDDEN.values()).replace("\ud800", ""), "also": "é王"}
    text = visible_json(json.dumps(sent, ensure_ascii=False, indent=2))
    assert json.loads(text) == sent
    assert is_plain(text.replace("\n", ""))


def test_hidden_characters_hide_no_number_and_no_place() -> None:
    known = contact_keys("07700 900461")
    for text in ("07700 900461\u202e", "07700 9\u200b00461", visible("07700 9\u202e00461")):
        assert contact_keys(text) == known
        assert bare(text) == "07700 900461"
    mask = shield(Places(secrets=["17 Lark\u200bspur Wynd", visible("NZ9 \u20604QX")]))
    for text in ("at Larkspur Wynd", "at Lark\u200bspur Wynd", visible("at Lark\u200bspur Wynd")):
        assert mask.clean(text) == f"at {REMOVED}"
    assert mask.clean("near NZ9 4QX") == f"near {REMOVED}"
