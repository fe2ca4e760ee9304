"""Audit record v2 against its golden file, recomputed here with nothing but hashlib, and what it
refuses."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hubformats.audit_record import (
    OPERATIONS,
    RECORD_LIMIT,
    Leaf,
    RecordRefused,
    check_record,
    record_hash,
    write_record,
)
from hubformats.canonical import CanonicalError, canonical
from tests.vectors.audit_record import cases
from tests.vectors.audit_record.cases_v2 import FULL, GOOD, SMALLEST, WITHHELD, file

PATH = Path(__file__).parents[2] / "vectors" / "audit_record" / "record_v2.json"
KEPT: dict[str, Any] = json.loads(PATH.read_text())
LAW = (
    "notice_sent alert_sent alert_failed request answer nil_return refusal not_shared correction "
    "withdrawal lapse release review restrict hold_set hold_lifted triage_decision risk_raised link "
    "split allocate hand_over escalate complaint rights_request agreement_published roster_changed"
)


def sha(*parts: bytes) -> str:
    digest = hashlib.sha256(b"".join(parts)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def padded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def named(case: dict[str, str]) -> str:
    return case["name"]


def test_the_maker_still_makes_exactly_this_file() -> None:
    assert file() == PATH.read_bytes()


@pytest.mark.parametrize("case", KEPT["good"], ids=named)
def test_hash_and_leaf_are_what_anyone_computes_from_the_page(case: dict[str, str]) -> None:
    assert case["h"] == sha(b"\x52", padded(case["salt"]), case["record"].encode())
    leaf = Leaf.decode(case["leaf"].encode())
    assert (leaf.h, json.loads(case["leaf"])["v"]) == (case["h"], 1)
    assert leaf.h == record_hash(padded(case["salt"]), case["record"].encode())


@pytest.mark.parametrize("case", KEPT["good"], ids=named)
def test_a_good_record_is_accepted_and_written_as_it_is(case: dict[str, str]) -> None:
    assert check_record(case["record"].encode()) == GOOD[case["name"]]
    assert write_record(json.loads(case["record"])) == case["record"].encode()


@pytest.mark.parametrize("case", KEPT["bad"], ids=named)
def test_a_bad_record_is_refused_by_code_and_neither_quoted_nor_written(
    case: dict[str, str],
) -> None:
    with pytest.raises(RecordRefused) as caught:
        check_record(case["record"].encode())
    assert (caught.value.code, str(caught.value)) == (case["code"], case["code"])
    assert caught.value.__cause__ is None
    if case["code"] in {"record-not-canonical", "record-malformed"}:
        return
    with pytest.raises((RecordRefused, CanonicalError)):
        write_record(json.loads(case["record"]))


@pytest.mark.parametrize("case", KEPT["commitments"], ids=lambda case: case["field"])
def test_commitments_are_what_anyone_computes_from_the_page(case: dict[str, Any]) -> None:
    assert case["is"] == sha(bytes([case["byte"]]), padded(case["salt"]), case["of"].encode())


def test_a_related_record_is_named_as_the_page_says() -> None:
    case = KEPT["related"]
    assert case["is"] == sha(b"\x56", UUID(case["record"]).bytes, UUID(case["other"]).bytes)


def test_each_use_of_a_hash_has_a_first_byte_of_its_own() -> None:
    used = [*(case["byte"] for case in KEPT["commitments"]), KEPT["related"]["byte"]]
    assert len({*used, 0x50, 0x51, 0x52, 0x00, 0x01}) == len(used) + 5


def test_every_operation_word_of_the_law_page_is_known_and_none_of_before_is_lost() -> None:
    assert {*LAW.split(), "listing", "cover"} <= OPERATIONS
    assert {cases.SMALLEST["op"], cases.FULL["op"]} <= OPERATIONS
    for word in LAW.split():
        check_record(canonical(SMALLEST | {"op": word}))
        with pytest.raises(RecordRefused, match="record-word-unknown"):
            check_record(canonical(cases.SMALLEST | {"op": word}))


def test_everything_a_record_of_version_1_could_say_can_be_said() -> None:
    assert cases.FULL.keys() <= FULL.keys()


@pytest.mark.parametrize("name", ["why", "sub", "subn", "fs", "rv"])
def test_what_was_withheld_can_be_said_of_nothing_else(name: str) -> None:
    told = {"why": "conflict", "sub": FULL["sub"], "subn": 2, "fs": "danger_place", "rv": 3}
    check_record(canonical(SMALLEST | {name: told[name]}))
    with pytest.raises(RecordRefused, match="record-says-too-much"):
        write_record(WITHHELD | {name: told[name]})


def test_the_largest_record_is_far_within_the_limit() -> None:
    assert len(canonical(FULL | {"sub": ["A" * 22] * 64, "rel": FULL["rel"] * 8})) < RECORD_LIMIT
