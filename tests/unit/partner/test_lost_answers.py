"""A creating command whose answer was lost: what may be done already is never called undone, and
its key makes the repeat harmless."""

import json
from collections.abc import Callable

import httpx2
import pytest

from hubpartner.answers import ProblemAnswer
from tests.support.packages import DELIVERY
from tests.support.partner_shell import Shell

FORM = {"form": "urgent", "externalReference": "NP 1"}
KEY = "k" * 16
CREATING = (
    ("referral", "submit", "form.json"),
    ("referral", "forbid", "r", "--agency", "northmoor-housing", "--reason", "why"),
    ("inbox", "acknowledge", str(DELIVERY), "--role", "idva"),
    ("agency", "suspend", "northmoor-housing", "--reason-code", "exercise"),
)


@pytest.fixture
def keys(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that the hub saw, try by try."""
    (shell.folder / "form.json").write_text(json.dumps(FORM))
    seen: list[str] = []
    answered: Callable[[httpx2.Request], httpx2.Response] = type(shell.hub).__call__.__get__(
        shell.hub
    )

    def answer(_hub: object, request: httpx2.Request) -> httpx2.Response:
        if "idempotency-key" not in request.headers:
            return answered(request)
        seen.append(request.headers["idempotency-key"])
        if shell.hub.problem is not None:
            return answered(request)
        raise httpx2.ReadError("lost")

    monkeypatch.setattr(type(shell.hub), "__call__", answer)
    return seen


@pytest.mark.parametrize("arguments", CREATING, ids=lambda words: "-".join(words[:2]))
def test_a_lost_answer_says_the_key_of_the_repeat(
    shell: Shell, keys: list[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = shell.run(*arguments)
    assert (code, out, len(set(keys))) == (3, "", 1)
    assert "It may have been taken in." in err
    assert f"with --idempotency-key {keys[0]}, which sends nothing twice." in err
    assert "call it again" not in err
    assert shell.run(*arguments, "--idempotency-key", KEY)[0] == 3
    assert keys[-1] == KEY


def test_a_lost_referral_is_looked_for_by_its_reference(shell: Shell, keys: list[str]) -> None:
    err = shell.run("referral", "submit", "form.json")[2]
    look = f"hubctl --profile {shell.profile} referral list --external-reference 'NP 1'"
    assert f"Look with {look}, or repeat with --idempotency-key {keys[0]}" in err


@pytest.mark.parametrize("arguments", CREATING, ids=lambda words: "-".join(words[:2]))
def test_a_program_finds_the_key_in_a_member(
    shell: Shell, keys: list[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = shell.run("--json", *arguments)
    told = json.loads(err)
    assert (code, out) == (3, "")
    assert (told["code"], told["mayBeDone"]) == ("no-answer", True)
    assert told["idempotencyKey"] == keys[0]


@pytest.mark.parametrize("json_too", [True, False])
def test_who_stops_the_command_is_told_the_key(
    shell: Shell, keys: list[str], monkeypatch: pytest.MonkeyPatch, json_too: bool
) -> None:
    def stopped(_work: object) -> None:
        _work.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr("hubpartner.cli.session.asyncio.run", stopped)
    words = ["--json"] if json_too else []
    code, _, err = shell.run("referral", "submit", "form.json", "--idempotency-key", KEY, *words)
    assert (code, keys) == (3, [])
    assert "Stopped. It may have been taken in." in err
    assert KEY in err


@pytest.mark.parametrize(("status", "exit_code"), [(500, 3), (422, 1)])
def test_a_fault_of_the_hub_leaves_it_open_and_a_refusal_does_not(
    shell: Shell, keys: list[str], status: int, exit_code: int
) -> None:
    shell.hub.problem = (status, {"code": "c", "detail": "No."})
    code, _, err = shell.run("referral", "submit", "form.json")
    assert (code, "It may have been taken in" in err) == (exit_code, exit_code == 3)
    assert keys


@pytest.mark.parametrize("key", ["short", "k" * 65, "k" * 15 + " ", "k" * 15 + "é"])
def test_a_malformed_key_is_refused_here(shell: Shell, keys: list[str], key: str) -> None:
    code, _, err = shell.run("referral", "submit", "form.json", "--idempotency-key", key)
    assert (code, keys, shell.hub.asked) == (2, [], [])
    assert "16 to 64 characters" in err
    assert "letters A-Z a-z, digits, - and _" in err


def test_a_dry_run_that_is_lost_made_nothing(shell: Shell, keys: list[str]) -> None:
    code, _, err = shell.run("referral", "submit", "form.json", "--dry-run")
    assert (code, "taken in" in err) == (3, False)
    assert keys


def test_a_refusal_carries_what_the_hub_added() -> None:
    refused = ProblemAnswer(409, {"code": "external-reference-exists", "referralId": "r"})
    assert (refused.referral_id, refused.extensions) == ("r", {"referralId": "r"})
    assert ProblemAnswer(409, {"code": "x", "detail": "d"}).extensions == {}
