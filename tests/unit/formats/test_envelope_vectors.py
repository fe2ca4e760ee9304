"""The golden files of hub-event+jwe v1: each is remade byte for byte, and each opens or is refused
as its listing says."""

import json
from pathlib import Path
from typing import Any

import pytest

from hubformats.envelope import EnvelopeRefused, Opened, open_envelope
from hubformats.keys import OpeningKey, StaticKeys, opening_from_jwk, verification_from_jwk
from tests.vectors.envelope.cases import CASES, files

FOLDER = Path(__file__).parents[2] / "vectors" / "envelope"
LISTING: list[dict[str, str]] = json.loads((FOLDER / "cases.json").read_text())
KEYS: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "keys.json").read_text())
KNOWN = StaticKeys(
    *(
        verification_from_jwk(entry["jwk"], entry["owner"], entry["status"])
        for entry in KEYS["verification"]
    )
)
OWN = [opening_from_jwk(entry["jwk"], entry["owner"]) for entry in KEYS["opening"]]


def opened(case: dict[str, str]) -> Opened:
    """Open a golden file as the listing's addressee, with that addressee's keys alone."""
    keys: dict[str, OpeningKey] = {key.kid: key for key in OWN if key.owner == case["me"]}
    return open_envelope(
        (FOLDER / case["file"]).read_bytes(), me=case["me"], opening=keys, keys=KNOWN
    )


def test_the_maker_still_makes_exactly_these_files() -> None:
    made = files()
    kept = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}
    assert sorted(made) == sorted(kept)
    assert [name for name in made if made[name] != kept[name]] == []


@pytest.mark.parametrize(
    "case", [case for case in LISTING if case["expect"] == "opened"], ids=lambda case: case["file"]
)
def test_opens(case: dict[str, str]) -> None:
    found = opened(case)
    assert (found.source, found.seq, found.type, found.version) == (
        "svc:sharing",
        7,
        "hub.disclosure.delivered",
        1,
    )
    assert found.digest
    assert case["me"] in found.to


def test_opens_to_the_recorded_claims() -> None:
    expected = json.loads((FOLDER / "opened.json").read_text())
    found = opened(LISTING[0])
    assert found.data == expected["data"]
    assert [str(found.id), found.issued_at.timestamp(), list(found.to), found.stream] == [
        expected["jti"],
        expected["iat"],
        expected["aud"],
        expected["stream"],
    ]


@pytest.mark.parametrize(
    "case", [case for case in LISTING if case["expect"] != "opened"], ids=lambda case: case["file"]
)
def test_is_refused_with_its_code(case: dict[str, str]) -> None:
    with pytest.raises(EnvelopeRefused) as refused:
        opened(case)
    assert refused.value.code == case["expect"]


def test_every_code_that_a_file_can_show_has_one() -> None:
    assert {case.expect for case in CASES} == {
        "opened",
        "malformed",
        "not-for-us",
        "unknown-key",
        "wrong-algorithm",
        "not-decryptable",
        "digest-mismatch",
        "bad-signature",
        "claims-mismatch",
        "wrong-recipient",
    }
