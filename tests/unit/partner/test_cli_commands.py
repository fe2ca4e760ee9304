"""What `hubctl` asks for and what it says was done: nothing wider than was meant, and every next
command as it must be typed."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from hubformats.bootstrap import sign_key_set
from hubformats.canonical import b64u, canonical
from hubformats.keys import generate_signing, signing_from_jwk
from hubpartner import cli
from hubpartner.profile import read_profile
from tests.support.packages import DELIVERY, ME, draft
from tests.support.partner_shell import Shell

ROOT = Path(__file__).parents[3]
VETO = "/referral/v1/referrals/r/must-not-disclose"
SETS = "/identity/v1/directory/keys"
RETIRED = f"/identity/v1/agencies/{ME}/key-retirements"


def test_forbidding_names_the_agency_it_is_meant_for(shell: Shell) -> None:
    """Without one it would be everybody, and every package of the case would be taken back."""
    shell.hub.answers[VETO] = (201, {"version": 2})
    code, out, err = shell.run("referral", "forbid", "r", "--reason", "why")
    assert (code, out, "--agency" in err) == (2, "", True)
    assert not [one for one in shell.hub.asked if one.startswith("POST /referral")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ("--agency", "northmoor-social-care"),
            "Marked: northmoor-social-care must not know anything of this case. Case version 2.",
        ),
        (
            ("--agency", "northmoor-social-care", "--category", "child_school"),
            "Marked: northmoor-social-care must not know child_school of this case. Case",
        ),
        (
            ("--agency", "*"),
            "Marked: no agency may know anything of this case. Case version 2.",
        ),
    ],
)
def test_forbidding_says_what_was_done(shell: Shell, given: tuple[str, ...], said: str) -> None:
    shell.hub.answers[VETO] = (201, {"version": 2})
    code, out, _ = shell.run("referral", "forbid", "r", "--reason", "why", *given)
    assert (code, out.startswith(said)) == (0, True), out


def test_help_says_what_is_taken_when_nothing_is_given(shell: Shell) -> None:
    out = shell.run("referral", "forbid", "--help", profile=False)[1]
    assert "[required]" in out
    assert "[default: *]" in out


def test_the_short_letter_asks_for_help_and_is_no_digest(shell: Shell) -> None:
    assert "Usage: hubctl" in shell.run("-h", profile=False)[1]
    assert "Usage: hubctl inbox show" in shell.run("inbox", "show", "-h", profile=False)[1]
    digest = "-h" + "A" * 41
    code, out, _ = shell.run("service", "replay", "sharing", "hub.case.v1", digest)
    assert (code, "Usage" in out) == (0, False)
    assert shell.hub.orders[-1]["digests"] == [digest]


def _leaves(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, found in group.commands.items():
        if isinstance(found, click.Group):
            yield from _leaves(found, f"{path}{name} ")
        else:
            yield f"{path}{name}", found


def test_every_command_answers_programs_but_three_that_write_files_or_text() -> None:
    without = {
        name
        for name, found in _leaves(cli.app)
        if not any("--json" in one.opts for one in found.params)
    }
    assert without == {"proof export", "headers", "completion"}, "docs/partners.md names them"


def test_code_lists_are_json_with_the_option_and_without(shell: Shell) -> None:
    shell.hub.answers["/referral/v1/code-lists"] = (200, {"areaCodes": ["NM"]})
    plain, asked = (shell.run("referral", "code-lists", *more) for more in ((), ("--json",)))
    assert plain == asked
    assert json.loads(asked[1]) == {"areaCodes": ["NM"]}


def _withdrawal(shell: Shell) -> None:
    made = draft()
    made.content |= {
        "kind": "withdrawal",
        "sections": [],
        "withdraws": ["0193-b1"],
        "answerBy": "2026-11-23T10:00:00Z",
    }
    package = made.commit().package().model_copy(update={"kind": "withdrawal"})
    shell.hub.envelope, shell.hub.kind = shell.parties.envelope(package), "withdrawal"


def test_a_withdrawal_says_the_command_that_answers_it(shell: Shell) -> None:
    _withdrawal(shell)
    out = shell.run("inbox", "show", str(DELIVERY))[1]
    answering = f"hubctl --profile {shell.profile} inbox answer {DELIVERY} --answer"
    assert f"{answering} stopped-and-deleted\n" in out
    assert f"{answering} kept-under-duty --duty DUTY\n" in out
    assert "DUTY is one of criminal_investigation, court_order, " in out
    shell.hub.answered_at = "2026-11-22T09:15:00Z"
    out = shell.run("inbox", "show", str(DELIVERY))[1]
    assert ("inbox answer" in out, "Answered 22 November 2026 at 9:15am." in out) == (False, True)


def test_what_was_answered_waits_for_nobody(shell: Shell) -> None:
    _withdrawal(shell)
    assert "1 neither saved nor acknowledged" in shell.run("inbox")[1]
    shell.hub.answered_at = "2026-11-22T09:15:00Z"
    assert "0 neither saved nor acknowledged" in shell.run("inbox")[1]


def test_an_exhibit_holds_what_a_stranger_needs_for_every_step(shell: Shell) -> None:
    """The content and its salt too, so that the record's commitment can be computed again."""
    made = draft().package()
    shell.hub.envelope = shell.parties.envelope(made)
    shell.run("inbox", "save", str(DELIVERY))
    code, out, _ = shell.run("proof", "export", f"{DELIVERY}.package.json", "exhibit")
    assert (code, "personal data" in out) == (0, True)
    folder = shell.folder / "exhibit"
    names = "content.json content.salt leaf.json leaf.tlog-proof record.json record.salt vkey.txt"
    assert sorted(one.name for one in folder.iterdir()) == names.split()
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}
    assert b64u((folder / "content.json").read_bytes()) == made.content
    assert b64u((folder / "content.salt").read_bytes()) == made.content_salt
    record = json.loads((folder / "record.json").read_bytes())
    wanted = {"h": json.loads((folder / "leaf.json").read_bytes())["h"], "dc": record["dc"]}
    page = (ROOT / "docs" / "audit-format.md").read_text("utf-8")
    commands = re.findall(r"(?m)^    (\{ printf .*) # (\w+)$", page)
    assert [name for _, name in commands] == list(wanted), "steps 1 and 4, as printed there"
    for line, name in commands:
        shell_line = line.replace("FOLDER", "exhibit")
        told = subprocess.run(  # noqa: S602 - lines of our own page
            shell_line, shell=True, cwd=shell.folder, capture_output=True, text=True, check=True
        )
        assert told.stdout.strip() == wanted[name]


def _served(shell: Shell, root: Any) -> None:
    mine = read_profile(shell.profile).signing
    signed = sign_key_set(ME, (mine.jwk(),), root, 1_795_000_000)
    shell.hub.answers[SETS] = (200, {"keySets": {ME: signed}})


def test_a_wrong_root_leaves_nothing_behind(shell: Shell) -> None:
    """It says that nothing was changed, and nothing is: no key beside the profile either."""
    _served(shell, generate_signing(ME))
    wrong = generate_signing(ME)
    (shell.folder / "root.json").write_bytes(canonical(wrong.jwk(private=True)))
    before = sorted(shell.folder.iterdir())
    code, _, err = shell.run("key", "retire", "--root", "root.json")
    assert (code, "Nothing was changed" in err) == (1, True), err
    assert sorted(shell.folder.iterdir()) == before


def test_the_next_key_is_kept_before_the_hub_hears_of_it(shell: Shell) -> None:
    root = generate_signing(ME)
    _served(shell, root)
    (shell.folder / "root.json").write_bytes(canonical({"root": root.jwk(private=True)}))
    shell.hub.answers[RETIRED] = (409, {"code": "key-set-older", "correlationId": "c"})
    assert shell.run("key", "retire", "--root", "root.json")[0] == 1
    (kept,) = shell.folder.glob("*.next-key")
    key = signing_from_jwk(json.loads(kept.read_bytes()), ME)
    shell.hub.answers[RETIRED] = (200, {})
    code, out, err = shell.run("key", "retire", "--root", "root.json")
    assert (code, "signs with a new key" in out) == (0, True), err
    assert read_profile(shell.profile).signing.kid == key.kid, "the next try uses the same"
    assert not kept.exists()
