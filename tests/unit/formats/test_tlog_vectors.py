"""The committed vectors mean what they say and are what their script makes; other implementations
may use the same file."""

import base64
import json
from typing import Any

import pytest

from hubformats.tlog import (
    ProofRefused,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
    verify_proof,
)
from tests.vectors.tlog.make_vectors import FILE, vectors

KEPT: dict[str, Any] = json.loads(FILE.read_text("utf-8"))


def bytes_of(texts: list[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in texts]


def verdict(check: Any, *arguments: Any) -> bool:
    try:
        check(*arguments)
    except ProofRefused:
        return False
    return True


def test_the_file_is_what_its_script_makes() -> None:
    assert FILE.read_text("utf-8") == vectors()


@pytest.mark.parametrize("case", KEPT["inclusion"], ids=lambda case: case["name"])
def test_inclusion(case: dict[str, Any]) -> None:
    leaf, root = leaf_hash(base64.b64decode(case["leaf"])), base64.b64decode(case["root"])
    assert (
        verdict(verify_inclusion, leaf, case["index"], case["size"], bytes_of(case["path"]), root)
        is case["ok"]
    )


@pytest.mark.parametrize("case", KEPT["consistency"], ids=lambda case: case["name"])
def test_consistency(case: dict[str, Any]) -> None:
    old, new = base64.b64decode(case["oldRoot"]), base64.b64decode(case["newRoot"])
    assert (
        verdict(
            verify_consistency, case["oldSize"], old, case["newSize"], new, bytes_of(case["path"])
        )
        is case["ok"]
    )


@pytest.mark.parametrize("case", KEPT["proofs"], ids=lambda case: case["name"])
def test_proofs(case: dict[str, Any]) -> None:
    assert (
        verdict(verify_proof, case["proof"], base64.b64decode(case["entry"]), KEPT["vkey"])
        is case["ok"]
    )
