"""Canonical JSON: one spelling out, one meaning in, nothing of the content in an error."""

import json
from enum import StrEnum
from pathlib import Path

import pytest

from hubformats.canonical import MAX_DEPTH, CanonicalError, b64u, canonical, parse, unb64u


class Colour(StrEnum):
    RED = "red"


def nested(depth: int) -> list[object]:
    """`depth` arrays, one in another."""
    found: list[object] = []
    for _ in range(depth - 1):
        found = [found]
    return found


def test_keys_are_sorted_by_code_point_and_nothing_is_spaced() -> None:
    assert (
        canonical({"é": 1, "b": [True, None], "B": "x", "a": {"z": -5}})
        == '{"B":"x","a":{"z":-5},"b":[true,null],"é":1}'.encode()
    )


def test_strings_are_utf8_and_escaped_only_where_json_demands() -> None:
    assert (
        canonical('名 \u007f/\u2028"\\\n\u0001') == '"名 \u007f/\u2028\\"\\\\\\n\\u0001"'.encode()
    )


def test_string_enumerations_and_tuples_are_what_they_hold() -> None:
    assert canonical({Colour.RED: (Colour.RED, 1)}) == b'{"red":["red",1]}'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        {"a": 1.5},
        {1: "a"},
        {None: "a"},
        b"a",
        {1, 2},
        2**53,
        -(2**53),
        "\ud800",
        {"\udfff": 1},
        nested(33),
        Path("a"),
    ],
    ids=repr,
)
def test_refuses_what_has_no_one_spelling(value: object) -> None:
    with pytest.raises(CanonicalError):
        canonical(value)


def test_depth_limit_is_the_same_in_both_directions() -> None:
    deepest = nested(MAX_DEPTH)
    assert parse(canonical(deepest)) == deepest
    assert parse(b"[[]" + b",[]" * 40 + b"]") == [[]] * 41


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"\\u0061":2}}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b'"\xed\xa0\x80"',
        b"{",
        b"",
        b"{} {}",
        b"01",
        b"'a'",
        b"[1,]",
        b"[" * 33 + b"]" * 33,
        b"[" * 100_000,
        b"9" * 5000,
        b'"a\nb"',
        "\ud800",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_refuses_text_two_readers_could_read_differently(text: bytes | str) -> None:
    with pytest.raises(CanonicalError):
        parse(text)


def test_reads_text_and_octets_alike() -> None:
    assert (
        parse('{"a":"é\\u00e9\\ud83d\\udc1d"}') == parse('{"a":"éé🐝"}'.encode()) == {"a": "éé🐝"}
    )


def test_counts_octets_not_characters_against_the_limit() -> None:
    assert parse('"éé"', max_bytes=6) == "éé"
    with pytest.raises(CanonicalError):
        parse('"éé"', max_bytes=5)
    with pytest.raises(CanonicalError):
        parse('"éé"'.encode(), max_bytes=5)


@pytest.mark.parametrize(
    "text",
    [
        b'{"name":"Nadia Example","name":1}',
        b'{"name":"Nadia Example"',
        b'{"name":"Nadia Example\xff"}',
    ],
)
def test_no_error_holds_or_links_to_the_content(text: bytes) -> None:
    with pytest.raises(CanonicalError) as refused:
        parse(text)
    seen: BaseException | None = refused.value
    while seen is not None:
        assert "Nadia" not in f"{seen.args} {vars(seen)}"
        seen = seen.__context__


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_base64url_round_trip(data: bytes) -> None:
    assert unb64u(b64u(data)) == data


@pytest.mark.parametrize(
    "text",
    ["YQ==", "YR", "Y", "YW+", "Y/E", "YQ\n", " YQ", "YQ YQ", "é", "YQ=", "YWJj=", None, 5, b"YQ"],
)
def test_refuses_every_second_spelling_of_base64url(text: object) -> None:
    with pytest.raises(CanonicalError):
        unb64u(text)  # type: ignore[arg-type]


def test_agrees_with_the_standard_library_on_ordinary_values() -> None:
    value = {"b": [1, -2, {"x": "y"}], "a": "text", "c": None, "d": False}
    assert json.loads(canonical(value)) == value
