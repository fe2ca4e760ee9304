"""What a program reads of `hubctl`: answers and failures as JSON, wherever --json stands."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.packages import DELIVERY
from tests.support.partner_shell import Shell

PROBLEM: dict[str, Any] = {
    "type": "https://example.org/problems/validation-failed",
    "title": "No",
    "status": 422,
    "code": "validation-failed",
    "detail": "Look at errors.",
    "correlationId": "c",
    "errors": [{"in": "body", "pointer": "/area", "detail": "is required"}],
}
PLACES = (
    ("--json", "inbox", "show", str(DELIVERY)),
    ("inbox", "--json", "show", str(DELIVERY)),
    ("inbox", "show", "--json", str(DELIVERY)),
    ("inbox", "show", str(DELIVERY), "--json"),
)


@pytest.mark.parametrize("arguments", PLACES)
def test_a_refusal_is_the_hubs_own_problem_wherever_json_stands(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    shell.hub.problem = (422, PROBLEM)
    code, out, err = shell.run(*arguments)
    assert (code, out) == (1, "")
    assert json.loads(err) == PROBLEM


@pytest.mark.parametrize("arguments", PLACES)
def test_an_answer_is_json_wherever_json_stands(shell: Shell, arguments: tuple[str, ...]) -> None:
    code, out, err = shell.run(*arguments)
    assert (code, err) == (0, "")
    assert json.loads(out)["content"]["caseReference"] == "NM-7F3K-9QXA-2C4T"


def test_every_other_failure_is_a_problem_too(shell: Shell, tmp_path: Path) -> None:
    failures = (
        (2, "used-wrongly", ("inbox", "show", "--json")),
        (2, "used-wrongly", ("--json", "inbox", "nothing")),
        (2, "file-unreadable", ("referral", "--json", "submit", str(tmp_path / "none.json"))),
        (1, "agency-unknown", ("--json", "agency", "restore", "northmor-school")),
    )
    for exit_code, name, arguments in failures:
        if name == "agency-unknown":
            shell.hub.problem = (404, {"code": "not-found", "status": 404})
        code, out, err = shell.run(*arguments)
        told = json.loads(err)
        assert (code, out, told["code"]) == (exit_code, "", name), err
        assert told["type"] == "about:blank"
        assert told["detail"]
    shell.hub.down, shell.hub.problem = True, None
    code, _, err = shell.run("--json", "inbox")
    assert (code, json.loads(err)["code"]) == (3, "unreachable")


def test_what_was_done_is_told_as_json(shell: Shell) -> None:
    again = ("--json", "service", "replay", "sharing", "hub.case.v1", "B" * 43)
    assert json.loads(shell.run(*again)[1])["applied"] == 2
    assert shell.hub.orders[-1]["digests"] == ["B" * 43], "--json is no digest"
    saved = json.loads(shell.run("inbox", "--json", "save", str(DELIVERY))[1])
    assert saved == {
        "deliveryId": str(DELIVERY),
        "file": f"{DELIVERY}.package.json",
        "state": "saved",
    }


def test_a_person_reads_words_and_london_time(shell: Shell) -> None:
    out = shell.run("inbox", "show", str(DELIVERY))[1]
    assert "Purpose: Protect the victim; basis: Safeguarding vulnerable individuals" in out
    assert "protect_victim" not in out
    assert "21 November 2026 at 3am" in shell.run("referral", "list")[1]
