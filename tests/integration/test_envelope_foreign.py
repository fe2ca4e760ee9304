"""hub-event+jwe v1 in other hands: npm `jose` on Node and a plain JDK open what we seal, refuse
what we refuse, and seal to us."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.stack import parts
from hubformats.canonical import unb64u
from hubformats.envelope import open_envelope
from hubformats.keys import OpeningKey, StaticKeys, generate_opening, generate_signing

TESTS = Path(__file__).parents[1]
VECTORS = TESTS / "vectors" / "envelope"
CASES: list[dict[str, str]] = json.loads((VECTORS / "cases.json").read_text())
OPENED = {case["file"] for case in CASES if case["expect"] == "opened"}

# Where JavaScript's JSON and base64 readers, and RFC 7516 itself, are more generous than v1. In
# each the text, the
# signature and the audience are authentic, so a generous reader learns nothing false; a strict one
# alarms.
FORM_ONLY = {
    "duplicate_json_key.json",
    "unknown_member.json",
    "padded_base64url.json",
    "epk_protected_for_two.json",
}

Program = Callable[[list[str], str], str]


def run(command: list[str], stdin: str = "") -> str:
    """The program's standard output; its complaints when it fails."""
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def jose() -> Program:
    """The partner's side on npm jose."""
    command = [
        str(parts.node()),
        str(TESTS / "interop-node" / "envelope.mjs"),
        str(parts.node_modules()),
    ]
    return lambda arguments, stdin: run([*command, *arguments], stdin)


@pytest.fixture(scope="module")
def jdk(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The partner's side on a plain JDK, compiled now."""
    classes = tmp_path_factory.mktemp("classes")
    run(
        [
            str(parts.java()),
            "-jar",
            str(parts.java_compiler()),
            "-17",
            "-d",
            str(classes),
            str(TESTS / "interop-java" / "Envelope.java"),
        ]
    )
    return lambda arguments, stdin: run(
        [str(parts.java()), "-cp", str(classes), "Envelope", *arguments], stdin
    )


def sealed_abroad(
    program: Program, recipients: list[OpeningKey]
) -> tuple[bytes, dict[str, Any], StaticKeys]:
    """An event signed and sealed by the foreign program, its claims, and the keys to check it
    with.
    """
    police = generate_signing("northmoor-police")
    claims: dict[str, Any] = {
        "iss": "northmoor-police",
        "jti": "0192f0c1-7e2b-7cc3-9f10-2b7f6c1d0a52",
        "iat": 1795167000,
        "aud": sorted(key.owner for key in recipients),
        "type": "hub.referral.made",
        "version": 1,
        "stream": "northmoor-police/svc:sharing",
        "seq": 1,
        "data": {
            "text": 'Zoë says "ring", 名前, 🐝, \\ and \n',
            "score": 16,
            "urgent": True,
            "end": None,
            "items": [{"a": []}],
        },
    }
    asked = {
        "claims": claims,
        "signing": police.jwk(private=True),
        "recipients": [key.public().jwk() for key in recipients],
    }
    return program(["seal"], json.dumps(asked)).encode(), claims, StaticKeys(police)


@pytest.mark.node
def test_jose_opens_every_good_file_and_refuses_every_dangerous_one(jose: Program) -> None:
    answers = [json.loads(line) for line in jose(["open", str(VECTORS)], "").splitlines()]
    assert [answer["file"] for answer in answers] == [case["file"] for case in CASES]
    assert {answer["file"] for answer in answers if "claims" in answer} == OPENED | FORM_ONLY
    assert answers[0]["claims"] == json.loads((VECTORS / "opened.json").read_text())


def test_a_plain_jdk_opens_every_good_file_and_refuses_every_other(jdk: Program) -> None:
    answers = [line.split("\t") for line in jdk(["open", str(VECTORS)], "").splitlines()]
    assert [answer[0] for answer in answers] == [case["file"] for case in CASES]
    assert {file for file, verdict, _ in answers if verdict == "opened"} == OPENED
    claims = json.loads(unb64u(answers[0][2]))
    assert {name: claims[name] for name in claims if name not in {"pad", "salt"}} == json.loads(
        (VECTORS / "opened.json").read_text()
    )


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", [pytest.param("jose", marks=pytest.mark.node), "jdk"])
def test_we_open_what_they_seal(name: str, count: int, request: pytest.FixtureRequest) -> None:
    recipients = [generate_opening("svc:sharing"), generate_opening("svc:audit")][:count]
    value, claims, keys = sealed_abroad(request.getfixturevalue(name), recipients)
    for key in recipients:
        found = open_envelope(value, me=key.owner, opening={key.kid: key}, keys=keys)
        assert found.data == claims["data"]
        assert (found.source, found.type, found.to) == (
            claims["iss"],
            claims["type"],
            tuple(claims["aud"]),
        )
