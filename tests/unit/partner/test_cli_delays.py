"""What `hubctl` says of what has not left or took no effect, and who can act."""

import json
from typing import Any

from tests.support.packages import DELIVERY
from tests.support.partner_harness import BASE
from tests.support.partner_shell import Shell

DELAYED, NOTICES = "/sharing/v1/disclosures/delayed", "/sharing/v1/notices"
SINCE = "2026-11-21T02:40:00Z"
NONE = {"urgent": 0, "others": 0, "since": None}
BACKLOG = {"code": "audit-backlog", "detail": "Try again later.", "correlationId": "c"}


def referral(**outcome: Any) -> dict[str, Any]:
    """An urgent referral with one outcome."""
    told = {"recipient": "northmoor-idva", "proof": None, "changedAt": SINCE, **outcome}
    return {
        "referralId": str(DELIVERY),
        "caseReference": "NM-1",
        "version": 1,
        "provisional": True,
        "risk": {"level": "high"},
        "outcomes": [told],
    }


def test_a_sender_is_told_in_words_that_an_urgent_referral_waits(shell: Shell) -> None:
    shell.hub.problem = (200, referral(state="decided", waitingSince=SINCE))
    code, out, _ = shell.run("referral", "show", str(DELIVERY))
    assert code == 0
    assert "may know; waits for its entry in the audit log (21 November 2026 at 2:40am)" in out
    assert "URGENT: not everybody was told yet. If somebody is in danger now, call 999" in out
    assert f"{BASE}/emergency" in out
    shell.hub.problem = (200, referral(state="released", waitingSince=None))
    assert "not everybody" not in shell.run("referral", "show", str(DELIVERY))[1]


def test_an_inbox_says_what_is_on_its_way(shell: Shell) -> None:
    assert "WAITING" not in shell.run("inbox")[1]
    shell.hub.answers[DELAYED] = (
        200,
        {"received": {"urgent": 1, "others": 0, "since": SINCE}, "sent": NONE},
    )
    code, out, _ = shell.run("inbox")
    assert code == 0
    assert (
        "WAITING: 1 urgent delivery to your agency has not left, since 21 November 2026 at 2:40am"
        in out
    )
    assert "01632 960000" in out
    assert "call 999" in out
    assert json.loads(shell.run("inbox", "--json")[1])["delayed"]["received"]["urgent"] == 1


def test_what_waits_is_said_though_the_list_is_refused(shell: Shell) -> None:
    waits = {"received": NONE, "sent": {"urgent": 2, "others": 1, "since": SINCE}}
    for path, words in (
        ("/sharing/v1/inbox", ("inbox",)),
        (f"/referral/v1/referrals/{DELIVERY}", ("referral", "show", str(DELIVERY))),
    ):
        shell.hub.answers = {path: (503, BACKLOG), DELAYED: (200, waits)}
        code, out, err = shell.run(*words)
        assert code == 3, "the hub is there and says to try later"
        assert "2 urgent deliveries and 1 other delivery of your agency's referrals" in out
        assert f"release in an emergency: {BASE}/emergency" in out
        assert "audit-backlog" in err


def test_a_hub_that_does_not_know_the_question_is_no_error(shell: Shell) -> None:
    shell.hub.answers[DELAYED] = (404, {"code": "not-found"})
    code, out, err = shell.run("inbox")
    assert (code, "WAITING" in out, err) == (0, False, "")


USED: dict[str, Any] = {
    "keyId": "k" * 43,
    "compromisedSince": SINCE,
    "messages": 2,
    "older": 1,
    "cases": 1,
    "items": [
        {
            "kind": "hub.saved-receipt",
            "certain": True,
            "takenInAt": SINCE,
            "eventId": None,
            "deliveryId": str(DELIVERY),
            "caseReference": "NM-1",
        },
        {
            "kind": None,
            "certain": False,
            "takenInAt": SINCE,
            "eventId": str(DELIVERY),
            "deliveryId": None,
            "caseReference": None,
        },
    ],
}


def test_what_a_stolen_key_had_signed_is_told_in_words(shell: Shell) -> None:
    notice = {"receivedAt": SINCE, "used": USED}
    shell.hub.answers[NOTICES] = (200, {"items": [notice], "nextCursor": None})
    code, out, _ = shell.run("inbox", "notices")
    at = "21 November 2026 at 2:40am"
    assert code == 0
    assert f"2 messages of yours that your key {'k' * 43} signed, or that came, since {at}" in out
    assert "1 message more may be: only their ids were kept then." in out
    assert "1 case of yours had a new version since, whoever sent it." in out
    assert f"{at}  saved receipt, delivery {DELIVERY}, case NM-1" in out
    assert f"{at}  may be: message of before the hub kept which key signed, event {DELIVERY}" in out
    assert "2 more are not listed here: ask the hub's desk." in out
    assert "Nothing is undone by itself." in out
    assert f"referral list --changed-since {SINCE}" in out
    none = {**USED, "messages": 0, "older": 0, "cases": 0, "items": []}
    shell.hub.answers[NOTICES] = (200, {"items": [{**notice, "used": none}], "nextCursor": None})
    assert "Nothing that your key" in shell.run("inbox", "notices")[1]


def test_an_operator_reads_what_stolen_keys_had_signed(shell: Shell) -> None:
    path, more = "/sharing/v1/compromised-key-uses", {"agency": "northmoor-housing", "keyId": "k"}
    rows = [{**item, **more, "compromisedSince": SINCE} for item in USED["items"]]
    shell.hub.answers[path] = (200, {"items": rows, "nextCursor": None})
    code, out, _ = shell.run("service", "key-uses")
    assert code == 0
    assert "sharing had used 1 message that the key k of northmoor-housing signed" in out
    assert "1 more may rest on it." in out
    assert f"saved receipt, delivery {DELIVERY}, case NM-1" in out
    assert json.loads(shell.run("service", "key-uses", "--json")[1]) == {"sharing": rows}
    shell.hub.answers[path] = (200, {"items": [], "nextCursor": None})
    assert "nothing that a compromised key signed" in shell.run("service", "key-uses")[1]


def test_what_was_set_aside_is_told_in_words(shell: Shell) -> None:
    shell.hub.answers[NOTICES] = (200, {"items": [], "nextCursor": None})
    assert shell.run("inbox", "notices")[1] == "Nothing of yours was set aside.\n"
    one = {
        "noticeId": str(DELIVERY),
        "eventId": str(DELIVERY),
        "reasonCode": "receipt-malformed",
        "whatToDo": "Correct it and send it anew, as a new event; this one is not tried again.",
        "receivedAt": SINCE,
    }
    shell.hub.answers[NOTICES] = (200, {"items": [one], "nextCursor": None})
    code, out, _ = shell.run("inbox", "notices")
    assert code == 0
    assert out == (
        f"21 November 2026 at 2:40am  {DELIVERY} was set aside and took no effect: the receipt "
        f"cannot be read. {one['whatToDo']}\n"
    )
    assert json.loads(shell.run("inbox", "notices", "--json")[1]) == [one]


def test_an_inbox_that_cannot_be_checked_says_so_and_lists_withdrawals(shell: Shell) -> None:
    shell.hub.unchecked = True
    code, out, err = shell.run("inbox")
    assert code == 3
    for words in (
        "NOT SHOWN",
        "Nothing is lost",
        "Whether something new or urgent has come for you is not known",
        "01632 960000, any hour",
        "call 999",
        "shown all the same: 1.",
        str(DELIVERY),
    ):
        assert words in out
    assert "deliveries-unchecked" in err
    code, out, err = shell.run("inbox", "--json")
    assert (code, out) == (3, "")
    assert json.loads(err)["code"] == "deliveries-unchecked"


def test_what_was_taken_back_says_so_instead_of_not_found(shell: Shell) -> None:
    one, back = f"/sharing/v1/inbox/{DELIVERY}", "01932000-0000-7000-8000-0000000000b1"
    gone = {"stands": False, "takenBackAt": SINCE, "replaced": False, "saidBy": back}
    for found, words in (
        (gone, "Taken back, 21 November 2026 at 2:40am: do not act on it"),
        (gone, f"hubctl inbox show {back}"),
        ({**gone, "replaced": True, "saidBy": None}, "The correction has not come yet"),
        ({**gone, "takenBackAt": None}, "deciding whether your agency may still see it"),
    ):
        shell.hub.answers = {
            one: (404, {"code": "not-found", "correlationId": "c"}),
            f"{one}/standing": (200, found),
        }
        for command in ("show", "save"):
            code, _, err = shell.run("inbox", command, str(DELIVERY))
            assert code != 0
            assert words in err
    shell.hub.answers[f"{one}/standing"] = (404, {"code": "not-found", "correlationId": "c"})
    assert "Taken back" not in shell.run("inbox", "show", str(DELIVERY))[2]
