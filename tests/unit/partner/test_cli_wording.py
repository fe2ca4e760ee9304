"""What `hubctl` says when it could not do what was asked: the true cause, and never more than is
known."""

from importlib.metadata import version
from pathlib import Path

import pytest

from hubformats.tlog import EMPTY_ROOT
from hubformats.tlog.checkpoint import Checkpoint
from hubpartner.cli.session import profile_first
from tests.support.packages import DELIVERY, LOG, ME, ORIGIN
from tests.support.partner_harness import BASE
from tests.support.partner_shell import Shell

URL = "http://hub.example.org/audit/log"
PAUSED = (503, {"code": "paused", "detail": "Try again later.", "correlationId": "c"})


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "asks-for-the-key"])
def test_a_paused_log_is_not_called_unverified(shell: Shell, pinned: bool) -> None:
    shell.hub.problem = PAUSED
    code, out, err = shell.run("audit", "verify", URL, profile=pinned)
    assert (code, out) == (3, "")
    assert "Nothing was verified: the log cannot be reached now" in err
    assert "NOT VERIFIED" not in err


def test_a_log_paused_half_way_is_not_called_unverified(shell: Shell) -> None:
    head = Checkpoint(ORIGIN, 5, EMPTY_ROOT)
    shell.hub.log_files = {"/audit/log/checkpoint": LOG.sign(head.text())}
    assert shell.run("audit", "verify", URL)[0] == 1, "a tile that is missing is another matter"
    shell.hub.unavailable = "/audit/log/tile/"
    code, _, err = shell.run("audit", "verify", URL)
    assert (code, "Nothing was verified" in err) == (3, True)


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://hub.example.org/log", "http://", "http://hub.example.org:99999/log"]
)
def test_what_is_no_url(shell: Shell, url: str) -> None:
    code, _, err = shell.run("audit", "verify", url)
    assert (code, "not a URL" in err) == (2, True)
    assert not shell.hub.asked


@pytest.mark.parametrize(
    ("code", "said"),
    [("invalid_scope", "operator's profile"), ("unauthorized_client", "agency is suspended")],
)
def test_a_profile_that_may_not_is_told_so(shell: Shell, code: str, said: str) -> None:
    shell.hub.token_error = code
    left, _, err = shell.run("service", "stuck")
    assert (left, said in err, "?." in err) == (1, True, False)


def test_a_restore_of_an_agency_that_is_not_suspended_says_so(shell: Shell) -> None:
    code, out, _ = shell.run("agency", "restore", "northmoor-housing")
    assert (code, "is not suspended" in out, shell.hub.orders) == (0, True, [])
    shell.hub.suspended = True
    assert (
        shell.run("agency", "restore", "northmoor-housing")[1] == "northmoor-housing is restored.\n"
    )


def test_the_reasons_for_a_suspension_are_named_and_no_other_is_sent(shell: Shell) -> None:
    assert (
        shell.run("agency", "suspend", "northmoor-housing", "--reason-code", "key_compromised")[0]
        == 2
    )
    assert (
        "'data-breach'"
        in shell.run("agency", "suspend", "northmoor-housing", "--reason-code", "key_compromised")[
            2
        ]
    )
    assert shell.hub.orders == []
    assert (
        shell.run("agency", "suspend", "northmoor-housing", "--reason-code", "key-compromise")[0]
        == 0
    )
    assert shell.hub.orders == [{"reasonCode": "key-compromise"}]


def test_a_missing_file_is_named(shell: Shell) -> None:
    assert "there is no file gone.json" in shell.run("proof", "verify", "gone.json")[2]
    assert "gone.json cannot be read" in shell.run("referral", "submit", "gone.json")[2]


def test_a_follow_up_command_names_only_what_was_given(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUBCTL_PROFILE", str(shell.profile))
    assert "Next time: hubctl inbox --cursor c-1" in shell.run("inbox", profile=False)[1]
    moved = shell.profile.rename(tmp_path / "my agency.toml")
    shell.profile = moved
    assert f"hubctl --profile '{moved}' inbox" in shell.run("inbox")[1]


def test_a_role_the_hub_does_not_know_is_not_sent(shell: Shell) -> None:
    code, _, err = shell.run("inbox", "acknowledge", str(DELIVERY), "--role", "king")
    assert (code, "'idva'" in err) == (2, True)
    assert not shell.hub.asked


def test_a_promise_that_was_not_kept_is_told_in_words(shell: Shell) -> None:
    told = {"recipient": "northmoor-idva", "state": "released", "changedAt": "2026-11-21T02:00:05Z"}
    outcomes = [
        {**told, "proof": "broken", "earlierPromise": None},
        {**told, "proof": "proven", "earlierPromise": "overdue"},
    ]
    referral = {
        "referralId": str(DELIVERY),
        "caseReference": "NM-1",
        "version": 1,
        "risk": {"level": "high"},
        "outcomes": outcomes,
    }
    shell.hub.problem = (200, referral)
    code, out, _ = shell.run("referral", "show", str(DELIVERY))
    assert code == 0
    assert "inbox, promised in an emergency; there will be no proof (" in out
    assert (
        "inbox, proven; an earlier version was promised in an emergency; its proof is overdue ("
        in out
    )


@pytest.mark.parametrize(
    ("state", "answer", "said"),
    [
        ("withdrawn", "stopped_and_deleted", "unread; it answered: stopped and deleted ("),
        (
            "released",
            "stopped_and_deleted",
            "; about what it was told before, it answered: stopped and deleted (",
        ),
        ("saved", "awaited", "; about what it was told before, its answer is awaited ("),
        ("saved", "corrected", "; it answered: corrected ("),
    ],
)
def test_an_answer_about_what_was_told_before_is_not_said_of_what_stands(
    shell: Shell, state: str, answer: str, said: str
) -> None:
    told = {"recipient": "northmoor-idva", "changedAt": "2026-11-21T02:00:05Z", "proof": None}
    referral = {
        "referralId": str(DELIVERY),
        "caseReference": "NM-1",
        "version": 1,
        "risk": {"level": "high"},
        "outcomes": [{**told, "state": state, "answer": answer}],
    }
    shell.hub.problem = (200, referral)
    code, out, _ = shell.run("referral", "show", str(DELIVERY))
    assert code == 0
    assert said in out


@pytest.mark.parametrize(
    "arguments",
    [("suspend", "northmor-school", "--reason-code", "exercise"), ("restore", "northmor-school")],
)
def test_an_agency_that_nobody_knows_is_said_to_be_unknown(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    code, out, err = shell.run("agency", *arguments)
    assert (code, out, "no such agency: northmor-school" in err) == (1, "", True)


def test_a_profile_after_the_command_is_the_profile(shell: Shell) -> None:
    for given in (["--profile", str(shell.profile)], [f"--profile={shell.profile}"]):
        code, out, err = shell.run("inbox", *given, profile=False)
        assert (code, err, str(DELIVERY) in out) == (0, "", True)
    assert profile_first(["x", "--", "--profile", "f"]) == ["x", "--", "--profile", "f"]


@pytest.mark.parametrize("dry", [True, False])
def test_the_first_word_about_a_referral_is_who_sent_it(shell: Shell, dry: bool) -> None:
    (shell.folder / "r.json").write_text("{}")
    code, out, _ = shell.run("referral", "submit", "r.json", *(["--dry-run"] if dry else []))
    assert (code, out.splitlines()[0]) == (0, f"{'Checked' if dry else 'Sent'} as {ME}.")


def test_headers_for_the_wrong_scope_are_not_printed(shell: Shell) -> None:
    url = f"{BASE}/sharing/v1/inbox/{DELIVERY}"
    code, out, err = shell.run("headers", "GET", url, "--scope", "referral.read")
    assert (code, out, "needs the scope disclosure.read" in err) == (2, "", True)
    code, out, err = shell.run("headers", "GET", url, "--scope", "disclosure.read")
    assert (code, "DPoP: " in out, err) == (0, True, "")
    assert (
        shell.run("headers", "GET", f"{BASE}/audit/v1/entries", "--scope", "audit.read")[0] == 0
    ), "its document cannot be read"


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    assert shell.run("--version", profile=False) == (0, f"hubctl {version('hub-partner')}\n", "")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_learns_to_complete(shell: Shell, name: str) -> None:
    code, out, err = shell.run("completion", name, profile=False)
    assert (code, err, "_HUBCTL_COMPLETE" in out, "hubctl" in out) == (0, "", True, True)
    assert shell.run("completion", "csh", profile=False)[0] == 2


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("hubctl ref", {"referral"}),
        ("hubctl service pause ", {"referral", "sharing", "audit", "identity", "portal"}),
        ("hubctl inbox --w", {"--wait"}),
        ("hubctl --profile x.toml agency suspend a --reason-code data", {"data-breach"}),
    ],
)
def test_what_a_shell_offers(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, typed: str, offered: set[str]
) -> None:
    """As the printed bash script asks."""
    monkeypatch.setenv("_HUBCTL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
    _, out, _ = shell.run(profile=False)
    assert {line.partition(",")[2] for line in out.splitlines()} == offered
