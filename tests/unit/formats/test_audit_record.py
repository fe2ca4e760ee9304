"""Audit record v1 against its golden file, recomputed here with nothing but hashlib, and what it
refuses."""

import base64
import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from hubformats.audit_record import (
    RECORD_LIMIT,
    Leaf,
    RecordRefused,
    check_record,
    content_commitment,
    new_salt,
    record_hash,
    write_record,
)
from hubformats.canonical import CanonicalError, b64u, canonical
from tests.vectors.audit_record.cases import FULL, GOOD, files

FOLDER = Path(__file__).parents[2] / "vectors" / "audit_record"
KEPT: dict[str, Any] = json.loads((FOLDER / "record_v1.json").read_text())


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def padded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def blinded(domain: int, salt: str, text: str) -> str:
    return unpadded(hashlib.sha256(bytes([domain]) + padded(salt) + text.encode()).digest())


def test_the_maker_still_makes_exactly_this_file() -> None:
    assert files() == {"record_v1.json": (FOLDER / "record_v1.json").read_bytes()}


@pytest.mark.parametrize("case", KEPT["good"], ids=lambda case: case["name"])
def test_hash_and_leaf_are_what_anyone_computes_from_the_page(case: dict[str, str]) -> None:
    assert case["h"] == blinded(0x52, case["salt"], case["record"])
    leaf = json.loads(case["leaf"])
    assert leaf["h"] == case["h"]
    assert case["leaf"] == json.dumps(leaf, separators=(",", ":"), sort_keys=True)
    assert set(leaf) == {"v", "src", "ep", "seq", "tr", "h"}
    decoded = Leaf.decode(case["leaf"].encode())
    assert decoded.encode() == case["leaf"].encode()
    assert decoded.h == record_hash(padded(case["salt"]), case["record"].encode())


@pytest.mark.parametrize("case", KEPT["good"], ids=lambda case: case["name"])
def test_a_good_record_is_accepted_and_is_its_own_canonical_form(case: dict[str, str]) -> None:
    assert check_record(case["record"].encode()) == GOOD[case["name"]]


@pytest.mark.parametrize("case", KEPT["good"], ids=lambda case: case["name"])
def test_a_good_record_is_written_as_it_is_accepted(case: dict[str, str]) -> None:
    assert write_record(json.loads(case["record"])) == case["record"].encode()


@pytest.mark.parametrize("case", KEPT["bad"], ids=lambda case: case["name"])
def test_nothing_is_written_that_would_be_refused(case: dict[str, str]) -> None:
    """A bad spelling of good fields cannot be written at all; bad fields are refused by the same
    code, or have no canonical form.
    """
    try:
        fields = json.loads(case["record"])
    except ValueError:
        return
    if case["code"] == "record-not-canonical" or not isinstance(fields, dict):
        return
    if case["code"] == "record-version-unknown":
        return  # the version after this one: written since
    with pytest.raises((RecordRefused, CanonicalError)) as caught:
        write_record(fields)
    if isinstance(caught.value, RecordRefused):
        assert caught.value.code == case["code"]


def test_commitments_are_what_anyone_computes_from_the_page() -> None:
    content, part = KEPT["content"], KEPT["sealed_part"]
    assert content["dc"] == blinded(0x51, content["salt"], content["content"])
    assert part["ps"] == blinded(0x50, part["salt"], part["plaintext"])


def test_the_domains_keep_the_three_hashes_apart() -> None:
    salt = bytes(32)
    assert (
        len(
            {
                record_hash(salt, b"x"),
                content_commitment(salt, b"x"),
                blinded(0x50, unpadded(salt), "x"),
            }
        )
        == 3
    )


@pytest.mark.parametrize("case", KEPT["bad"], ids=lambda case: case["name"])
def test_a_bad_record_is_refused_by_code_and_never_quoted(case: dict[str, str]) -> None:
    with pytest.raises(RecordRefused) as caught:
        check_record(case["record"].encode(), known={1})
    assert (caught.value.code, str(caught.value)) == (case["code"], case["code"])
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("case", KEPT["bad_leaves"], ids=lambda case: case["name"])
def test_a_bad_leaf_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(RecordRefused) as caught:
        Leaf.decode(case["leaf"].encode())
    assert caught.value.code == case["code"]


@pytest.mark.parametrize("data", [b"", b"\xff", b"null", b"[" * 500])
def test_bytes_that_are_nothing_are_refused(data: bytes) -> None:
    with pytest.raises(RecordRefused):
        check_record(data)
    with pytest.raises(RecordRefused):
        Leaf.decode(data)


def test_the_largest_text_record_is_within_the_limit_and_one_byte_more_is_not() -> None:
    fields = FULL | {"sub": ["A" * 22] * 64}
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
    assert len(text) < RECORD_LIMIT
    check_record(text)
    with pytest.raises(RecordRefused, match="record-too-large"):
        check_record(b" " * (RECORD_LIMIT + 1))


def test_salts_are_fresh() -> None:
    assert len({new_salt() for _ in range(100)}) == 100
    assert len(new_salt()) == 32


@pytest.mark.parametrize(
    "value",
    [
        'a"b',
        "a\\b",
        "tab\tin it",
        "\x7f",
        "é",
        "\u2028",
        "😀",
        "",
        "x" * 201,
        7,
        True,
        None,
        [],
        {},
    ],
)
@pytest.mark.parametrize("name", ["org", "rcp", "why"])
def test_no_spelling_smuggles_in_a_text_that_is_not_short_printable_ascii(
    name: str, value: object
) -> None:
    good = {
        "v": 1,
        "id": "01932000-0000-7000-8000-000000000001",
        "te": 1,
        "op": "denied",
        "out": "refused",
        "svc": "referral",
    }
    escaped = json.dumps({**good, name: value}, sort_keys=True, separators=(",", ":")).encode()
    with contextlib.suppress(RecordRefused):
        assert check_record(write_record({**good, name: value}))[name] == value
    for data in (canonical({**good, name: value}), escaped):
        if value in ('a"b', "a\\b"):
            assert check_record(data)[name] == value
        else:
            with pytest.raises(RecordRefused, match="record-type-wrong"):
                check_record(data)


@pytest.mark.parametrize(
    "digest",
    [
        "A" * 42,
        "A" * 44,
        "A" * 42 + "B",
        "A" * 42 + "=",
        "A" * 42 + "+",
        "A" * 43 + "=",
        " " + "A" * 42,
        "A" * 42 + "é",
    ],
)
def test_a_digest_has_one_spelling(digest: str) -> None:
    good = {
        "v": 1,
        "id": "01932000-0000-7000-8000-000000000001",
        "te": 1,
        "op": "denied",
        "out": "refused",
        "svc": "referral",
    }
    assert check_record(canonical({**good, "dc": b64u(bytes(range(32)))}))
    with pytest.raises(RecordRefused, match="record-type-wrong"):
        check_record(canonical({**good, "dc": digest}))


@pytest.mark.parametrize("src", ["plain", 'quote"d', "back\\slash", "é", "\u2028", "a\x01b"])
@pytest.mark.parametrize("number", [0, 2**53 - 1])
def test_a_leaf_is_canonical_whatever_its_source_is_called(src: str, number: int) -> None:
    leaf = Leaf(src, number, number, number, "h")
    assert leaf.encode() == canonical(
        {"v": 1, "src": src, "ep": number, "seq": number, "tr": number, "h": "h"}
    )
    with pytest.raises(CanonicalError):
        Leaf(src, 1, 1, 2**53, "h").encode()
