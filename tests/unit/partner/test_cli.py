"""`hubctl` against a hub that answers from memory: what is said, what is signed, and the exit code
programs rely on."""

import json
from pathlib import Path

import pytest

from hubformats.canonical import unb64u
from hubformats.envelope import digest
from hubformats.keys import generate_signing
from hubpartner.package_file import read_package
from tests.support.packages import DELIVERY, draft
from tests.support.partner_shell import Shell
from tests.support.snapshots import urgent

PROVEN = "proven: entry 3 of a log of 7, not yet witnessed"


def test_the_inbox_says_what_each_proof_is_worth(shell: Shell) -> None:
    code, out, _ = shell.run("inbox")
    assert code == 0
    assert str(DELIVERY) in out
    assert PROVEN in out
    assert f"hubctl --profile {shell.profile} inbox --cursor c-1" in out, "runnable as printed"


@pytest.mark.parametrize("count", [62, 100, 250])
def test_the_inbox_is_listed_to_its_end(shell: Shell, count: int) -> None:
    shell.hub.deliveries = count
    code, out, _ = shell.run("inbox")
    assert (code, out.count(str(DELIVERY))) == (0, count)
    assert f"{count} listed" in out
    assert f"inbox --cursor c-{count}" in out
    assert len(json.loads(shell.run("inbox", "--json")[1])["items"]) == count
    code, out, _ = shell.run("inbox", "--cursor", f"c-{count}", "--wait", "30")
    assert (code, "Nothing new." in out) == (0, True)


def test_the_inbox_for_programs(shell: Shell) -> None:
    code, out, _ = shell.run("inbox", "--json")
    (row,) = json.loads(out)["items"]
    assert code == 0
    assert (row["verified"], row["verdict"], row["index"], row["clause"]) == (
        True,
        PROVEN,
        3,
        "NM-2",
    )


def test_the_list_says_what_takes_back_and_until_when_it_is_answered(shell: Shell) -> None:
    made = draft()
    made.content |= {"kind": "withdrawal", "sections": [], "answerBy": "2026-11-23T10:00:00Z"}
    package = made.commit().package().model_copy(update={"kind": "withdrawal"})
    shell.hub.envelope, shell.hub.kind = shell.parties.envelope(package), "withdrawal"
    asked = f"TAKES BACK what came before, answer by 23 November 2026 at 10am; {PROVEN}"
    assert asked in shell.run("inbox")[1]
    shell.hub.answered_at = "2026-11-22T09:15:00Z"
    assert "before, answered 22 November 2026 at 9:15am; proven" in shell.run("inbox")[1]
    shell.hub.kind = "correction"
    assert "corrects what came before" in shell.run("inbox")[1]


def test_danger_and_the_time_to_accept_stand_before_anything_else(shell: Shell) -> None:
    made = draft(urgent())
    made.content["obligations"] = [{"code": "acknowledge-one-hour", "text": "Within one hour."}]
    shell.hub.envelope = shell.parties.envelope(made.commit().package())
    by = "21 November 2026 at 3am"
    assert f"URGENT; accept by {by}; proven" in shell.run("inbox")[1]
    shown = shell.run("inbox", "show", str(DELIVERY))[1]
    assert shown.startswith(f"URGENT; accept by {by}.\nCase ")
    (row,) = json.loads(shell.run("inbox", "--json")[1])["items"]
    assert (row["urgent"], row["acceptBy"]) == (True, "2026-11-21T03:00:05+00:00")
    shell.hub.answered_at = "2026-11-21T02:30:00Z"
    assert "accept by" not in shell.run("inbox")[1]
    shell.hub.envelope = shell.parties.envelope(draft().promised())
    assert "URGENT; promised" in shell.run("inbox")[1], "what left on a promise is danger"
    shell.hub.envelope = shell.parties.envelope(draft().package())
    assert "URGENT" not in shell.run("inbox")[1]


def test_a_promise_is_not_verified_in_the_list(shell: Shell) -> None:
    shell.hub.envelope = shell.parties.envelope(draft().promised())
    (row,) = json.loads(shell.run("inbox", "--json")[1])["items"]
    assert row["verified"] is False
    assert row["verdict"].startswith("promised")


def test_what_proves_nothing_is_listed_as_such_and_shows_nothing(shell: Shell) -> None:
    shell.hub.envelope = shell.parties.envelope(draft().package(proof=""))
    code, out, _ = shell.run("inbox")
    assert code == 0
    assert "NOT VERIFIED (proof-malformed)" in out
    assert "NM-7F3K" not in out
    shell.hub.envelope = shell.parties.envelope(
        draft().package(), sender=generate_signing("svc:sharing")
    )
    assert "NOT OPENED (unknown-key)" in shell.run("inbox")[1]


def test_show(shell: Shell) -> None:
    code, out, _ = shell.run("inbox", "show", str(DELIVERY))
    assert code == 0
    assert out.index("SAFE CONTACT") < out.index("Shared under")


def test_show_of_a_package_that_proves_nothing_shows_none_of_it(shell: Shell) -> None:
    shell.hub.envelope = shell.parties.envelope(draft().package(proof=""))
    code, out, err = shell.run("inbox", "show", str(DELIVERY))
    assert (code, out) == (1, "")
    assert "check 5 failed" in err


def test_save_keeps_then_signs_for_exactly_that(shell: Shell) -> None:
    code, out, _ = shell.run("inbox", "save", str(DELIVERY), "--system", "case-system")
    kept = shell.folder / f"{DELIVERY}.package.json"
    assert code == 0
    assert "delivery is saved" in out
    assert read_package(kept) == shell.hub.envelope
    (receipt,) = shell.hub.receipts
    claims = json.loads(unb64u(receipt.split(".")[1]))
    assert (claims["ed"], claims["system"]) == (digest(shell.hub.envelope), "case-system")


def test_save_after_a_crash_between_file_and_receipt_signs(shell: Shell) -> None:
    shell.run("inbox", "save", str(DELIVERY))
    assert shell.run("inbox", "save", str(DELIVERY))[0] == 0
    assert len(shell.hub.receipts) == 2


def test_save_over_another_file_is_refused_and_nothing_is_signed(shell: Shell) -> None:
    kept = shell.folder / f"{DELIVERY}.package.json"
    kept.write_text("another's")
    code, _, err = shell.run("inbox", "save", str(DELIVERY))
    assert code == 2
    assert "nothing was signed" in err
    assert kept.read_text() == "another's"
    assert not shell.hub.receipts
    assert shell.run("inbox", "save", str(DELIVERY), "--to", "elsewhere.json")[0] == 0


def test_save_over_an_older_envelope_of_the_same_delivery_is_refused(shell: Shell) -> None:
    shell.run("inbox", "save", str(DELIVERY))
    shell.hub.envelope = shell.parties.envelope(draft().package())
    assert shell.run("inbox", "save", str(DELIVERY))[0] == 2
    assert len(shell.hub.receipts) == 1


def test_the_proof_of_a_promise_is_saved_beside_it(shell: Shell) -> None:
    shell.hub.envelope = shell.parties.envelope(draft().promised())
    assert shell.run("inbox", "save", str(DELIVERY))[0] == 0
    promised = shell.hub.envelope
    shell.hub.envelope = shell.parties.envelope(draft().package())
    for _ in range(2):
        code, out, _ = shell.run("inbox", "save", str(DELIVERY))
        assert (code, "the proof of what was promised" in out) == (0, True)
    assert read_package(shell.folder / f"{DELIVERY}.package.json") == promised
    assert read_package(shell.folder / f"{DELIVERY}.proven.package.json") == shell.hub.envelope


def test_what_proves_nothing_is_neither_kept_nor_signed_for(shell: Shell) -> None:
    shell.hub.envelope = shell.parties.envelope(draft().package(content_salt=""))
    assert shell.run("inbox", "save", str(DELIVERY))[0] == 1
    assert not shell.hub.receipts
    assert not (shell.folder / f"{DELIVERY}.package.json").exists()


def test_a_saved_package_is_checked_without_a_network(shell: Shell) -> None:
    shell.run("inbox", "save", str(DELIVERY), "--to", "p.json")
    shell.hub.down = True
    code, out, _ = shell.run("proof", "verify", "p.json")
    assert code == 0
    assert PROVEN in out


@pytest.mark.parametrize(
    "content", ["", '{"format":"hub-package/1","envelope":"eA"}'], ids=["no-package", "no-envelope"]
)
def test_a_file_that_proves_nothing(shell: Shell, content: str) -> None:
    (shell.folder / "p.json").write_text(content)
    code, out, err = shell.run("proof", "verify", "p.json")
    assert (code, out) == (2 if not content else 1, "")
    assert err


def test_one_changed_letter_in_a_saved_package(shell: Shell) -> None:
    shell.run("inbox", "save", str(DELIVERY), "--to", "p.json")
    kept = json.loads(Path("p.json").read_text())
    place = len(kept["envelope"]) // 2
    other = "A" if kept["envelope"][place] != "A" else "B"
    Path("p.json").write_text(
        json.dumps(
            {**kept, "envelope": kept["envelope"][:place] + other + kept["envelope"][place + 1 :]}
        )
    )
    code, _, err = shell.run("proof", "verify", "p.json")
    assert code == 1
    assert err.startswith("NOT OPENED")


def test_a_refusal_names_the_place_and_never_the_value(shell: Shell) -> None:
    fault = {"pointer": "/people/0/role", "detail": "must be a known role"}
    shell.hub.problem = (
        422,
        {
            "code": "validation-failed",
            "detail": "Look at errors.",
            "correlationId": "c-7",
            "errors": [fault],
        },
    )
    (shell.folder / "form.json").write_text('{"secret": "Marta Quillfeather"}')
    code, _, err = shell.run("referral", "submit", "form.json")
    assert code == 1
    assert "422 validation-failed" in err
    assert "/people/0/role: must be a known role" in err
    assert "c-7" in err
    assert "Marta" not in err


def test_nothing_of_another(shell: Shell) -> None:
    assert shell.run("inbox", "show", "01932000-0000-8000-8000-0000000000ff")[0] == 1


def test_a_client_the_hub_does_not_trust(shell: Shell) -> None:
    shell.hub.token_error = "invalid_client"
    code, _, err = shell.run("inbox")
    assert code == 1
    assert "invalid_client" in err


def test_a_hub_that_is_not_there(shell: Shell) -> None:
    shell.hub.down = True
    assert shell.run("inbox")[0] == 3
    assert shell.run("audit", "verify", "http://hub.example.org/audit/log")[0] == 3


def test_an_item_cut_on_the_way_is_no_answer(shell: Shell) -> None:
    shell.hub.wrong_digest = True
    assert shell.run("inbox")[0] == 3
    assert shell.run("inbox", "save", str(DELIVERY))[0] == 3
    assert not shell.hub.receipts


def test_the_profile_of_the_environment_pins_the_logs_key_too(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUBCTL_PROFILE", str(tmp_path / "not-there.toml"))
    code, _, err = shell.run("audit", "verify", "http://hub.example.org/audit/log", profile=False)
    assert (code, "profile" in err.lower()) == (2, True)
    assert not shell.hub.asked, "without the pinned key nothing is taken on the log's own word"


def test_a_url_that_is_no_log(shell: Shell) -> None:
    code, _, err = shell.run("audit", "verify", "http://hub.example.org/nothing", profile=False)
    assert code == 1
    assert "NOT VERIFIED" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("inbox",),
        ("proof", "verify", "x"),
        ("referral", "submit", "missing.json"),
        ("nonsense",),
        ("inbox", "--wait", "31"),
        ("service", "pause", "nobody"),
        ("audit", "verify", "http://hub.example.org/audit/log", "--vkey", "missing"),
    ],
    ids=" ".join,
)
def test_used_wrongly(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.run(*arguments, profile=False)[0] == 2
    assert not shell.hub.asked


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff"], ids=["list", "cut", "not-utf8"])
def test_a_form_that_is_no_form(shell: Shell, content: bytes) -> None:
    (shell.folder / "form.json").write_bytes(content)
    assert shell.run("referral", "submit", "form.json")[0] == 2
    assert not shell.hub.asked


def test_a_profile_others_may_read(shell: Shell) -> None:
    shell.profile.chmod(0o644)
    code, _, err = shell.run("inbox")
    assert code == 2
    assert "chmod 600" in err
    assert not shell.hub.asked


def test_the_profile_may_come_from_the_environment(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBCTL_PROFILE", str(shell.profile))
    assert shell.run("inbox", profile=False)[0] == 0


def test_an_operator_lists_what_was_set_aside_and_replays_it(shell: Shell) -> None:
    code, out, _ = shell.run("service", "quarantine", "sharing", "--reason", "agency-suspended")
    assert code == 0
    assert [line.split()[5:7] for line in out.splitlines()] == [
        ["agency-suspended", "hub.case.v1"],
        ["bad-signature", "hub.case.v1"],
    ]
    assert "holds its case" in out.splitlines()[0]
    assert "sender not proven  holds nothing" in out.splitlines()[1]
    assert "(the sending agency was suspended)" in out.splitlines()[0]
    assert "(its signature is wrong: a forgery, or damaged on the way)" in out.splitlines()[1]
    code, out, _ = shell.run(
        "service", "replay", "sharing", "hub.case.v1", "-" + "A" * 42, "B" * 43
    )
    assert (code, out) == (0, "2 applied, 0 known before, 1 still set aside, 0 no longer kept.\n")
    assert shell.hub.orders == [
        {"topic": "hub.case.v1", "reason": None, "digests": ["-" + "A" * 42, "B" * 43]}
    ]


def test_a_replay_of_everything_has_to_be_said(shell: Shell) -> None:
    assert shell.run("service", "replay", "sharing")[0] == 2
    assert shell.hub.orders == []


def test_an_operator_lets_go_of_what_can_never_be_applied_and_says_why(shell: Shell) -> None:
    code, out, _ = shell.run(
        "service", "discard", "sharing", "hub.case.v1", "-" + "A" * 42, "--why", "obsolete"
    )
    assert (code, out) == (0, "2 let go of, 1 of which held releases until now.\n")
    assert shell.hub.orders == [
        {"topic": "hub.case.v1", "why": "obsolete", "reason": None, "digests": ["-" + "A" * 42]}
    ]
    for arguments in (("hub.case.v1",), ("hub.case.v1", "--why", "because")):
        assert shell.run("service", "discard", "sharing", *arguments)[0] == 2


def test_an_operator_has_what_is_blocked_decided_on_again(shell: Shell) -> None:
    code, out, _ = shell.run("service", "stuck")
    held, withheld, overdue = (line.strip() for line in out.splitlines())
    assert held == (
        "3  held back: the audit log did not accept its entry (audit-rejected), since "
        "21 November 2026 at 2am"
    )
    assert withheld == (
        "2  withheld: northmoor-housing was suspended when it was decided, since "
        "21 November 2026 at 1am"
    )
    assert overdue == (
        "1  left on a promise: the proof that was promised has not come within the hour "
        "(promise-overdue)"
    )
    assert code == 0
    code, out, _ = shell.run("service", "decide-again", "--reason", "audit-rejected")
    assert code == 0
    assert out.startswith(
        "2 cases decided on again, 3 deliveries prepared, 0 cases with nothing to decide, 0 "
        "failed. More are blocked"
    )
    assert shell.hub.orders == [
        {"deliveryIds": [], "reason": "audit-rejected", "agency": None, "caseReference": None}
    ]


def test_what_stands_refused_is_listed_and_acknowledged_with_a_reason(shell: Shell) -> None:
    code, out, _ = shell.run("referral", "refused")
    refused_id = out.split()[0]
    assert (
        code,
        "malformed-json" in out,
        "referral refused acknowledge ID --reason sent-again|" in out,
    ) == (0, True, True)
    assert json.loads(shell.run("referral", "refused", "--json")[1])[0]["id"] == refused_id
    assert "rate-limited" in out, "what stands on the next page is on the list, too"
    code, out, _ = shell.run(
        "referral", "refused", "acknowledge", refused_id, "--reason", "told-otherwise"
    )
    assert (code, shell.hub.orders) == (0, [{"reason": "told-otherwise"}])
    assert "malformed-json" in out
    assert (
        shell.run("referral", "refused", "acknowledge", refused_id, "--reason", "whatever")[0] == 2
    )


def test_what_was_sent_is_found_by_its_reference(shell: Shell) -> None:
    code, out, _ = shell.run("referral", "list", "--external-reference", "INC-1")
    assert (code, shell.hub.asked[-1]) == (0, "GET /referral/v1/referrals")
    assert out.startswith("01932000-0000-7000-8000-0000000000f2  21 November 2026 at 3am  urgent,")
    assert "version 2, case NM-1, your reference INC-1" in out
    assert "\x1b" not in out, "a reference cannot steer the terminal"
    found = json.loads(shell.run("referral", "list", "--json")[1])
    assert found[0]["externalReference"] == "INC-1\x1b[2J"


def test_a_key_id_that_begins_with_a_hyphen_is_no_option(shell: Shell) -> None:
    (shell.folder / "root.json").write_text("{}")
    code, _, err = shell.run("key", "retire", "--root", "root.json", "--key", "-zX3_root")
    assert (code, "the root key cannot be read from that file" in err) == (1, True), err
