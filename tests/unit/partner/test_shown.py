"""What a person at a terminal reads: the standing of the proof, then safe contact, and never more
comfort than there is."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from hubformats.package_proof import Verdict, verify_package
from hubformats.wording import told
from hubpartner.safe_contact import Unsafe
from hubpartner.shown import shown, standing
from tests.support.packages import LOG, ME, Draft, draft
from tests.support.snapshots import urgent


def item(label: str, value: Any) -> dict[str, Any]:
    return {"label": label, "value": value, "quality": "fact"}


def means(number: str, safe: str | None) -> list[dict[str, Any]]:
    told = [item("Channel", "phone"), item("Number or address of this channel", number)]
    return told if safe is None else [*told, item("Safe to use", safe)]


TODAY = date(2026, 11, 21)


def text(made: Draft, day: date = TODAY) -> str:
    return shown(verify_package(made.package(), me=ME, log=LOG.verifier), day)


def contact(
    status: str, *ways: list[dict[str, Any]], day: date = TODAY, advocate: bool = True
) -> str:
    """The strip for this status and these means, safe until 20 December."""
    made = draft()
    made.content["safeContact"] = {
        "status": status,
        "doNotContact": status != "safe",
        "lastVerified": "2026-11-20",
        "items": [],
        "means": list(ways),
        "safeUntil": "2026-12-20",
        "advocate": advocate,
    }
    return text(made.commit(), day)


def test_proven_says_where_and_that_nobody_else_has_witnessed_it() -> None:
    assert (
        standing(verify_package(draft().package(), me=ME, log=LOG.verifier))
        == "proven: entry 3 of a log of 7, not yet witnessed"
    )


def test_witnessed_is_said_only_when_it_is_so() -> None:
    assert (
        standing(Verdict("proven", {}, {}, 3, 7, None, witnessed=True))
        == "proven: entry 3 of a log of 7"
    )


@pytest.mark.parametrize("due", [None, datetime(2026, 11, 21, 3, 0, tzinfo=UTC)])
def test_a_promise_is_never_called_proven(due: datetime | None) -> None:
    said = standing(Verdict("promised", {}, {}, None, None, due))
    assert said.startswith("promised: emergency release")
    assert "proven" not in said
    assert ("21 November 2026 at 3am" in said) == (due is not None)


def test_a_promised_package_is_never_called_proven_anywhere_in_its_text() -> None:
    whole = shown(verify_package(draft().promised(), me=ME, log=LOG.verifier), TODAY)
    assert "Proof: promised" in whole
    assert "proven" not in whole


def test_safe_contact_stands_before_every_fact() -> None:
    lines = text(draft()).splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == [lines[0], "Proof", "SAFE CONTACT"]
    assert lines[0].startswith("Case NM-7F3K-9QXA-2C4T")


@pytest.mark.parametrize("status", ["unsafe", "unknown", "unverified", "a word of tomorrow"])
def test_anything_but_safe_is_do_not_contact(status: str) -> None:
    said = contact(status, means("07700 900461", "yes"))
    since = " since 20 November 2026" if status == "unverified" else ""
    assert f"SAFE CONTACT: DO NOT CONTACT ({status}{since})" in said
    assert "may be used" not in said, (
        "no number is called usable on a case where contact is not safe"
    )
    assert "DO NOT USE: Channel: phone; Number or address of this channel: 07700 900461" in said


@pytest.mark.parametrize(
    ("safe", "verdict"),
    [("yes", "may be used"), ("no", "DO NOT USE"), ("unknown", "DO NOT USE"), (None, "DO NOT USE")],
)
def test_each_number_stands_with_its_own_verdict(safe: str | None, verdict: str) -> None:
    said = contact("safe", means("07700 900461", safe))
    assert "SAFE CONTACT: safe until 20 December 2026, only as follows" in said
    assert f"- {verdict}: Channel: phone; Number or address of this channel: 07700 900461" in said


def test_what_was_safe_is_said_to_have_been_and_times_stand_first() -> None:
    timed = [*means("07700 900461", "yes"), item("Safe days and times", "weekdays 10am to 2pm")]
    now = contact("safe", timed)
    assert "  - may be used ONLY AT THESE TIMES: Safe days and times: weekdays 10am to 2pm; " in now
    over = contact("safe", timed, day=date(2026, 12, 21))
    assert "; was: yes; Safe days and times: weekdays 10am to 2pm" in over
    assert "Safe to use: yes" not in over


@pytest.mark.parametrize(("advocate", "seen"), [(True, True), (False, False)])
def test_after_its_last_day_what_was_safe_is_not_and_only_the_advocate_sees_it(
    advocate: bool, seen: bool
) -> None:
    said = contact("safe", means("07700 900461", "yes"), day=date(2026, 12, 21), advocate=advocate)
    assert "SAFE CONTACT: DO NOT CONTACT (unverified since 20 November 2026)" in said
    assert (
        "DO NOT USE: Channel: phone; Number or address of this channel: 07700 900461" in said
    ) is seen
    assert ("07700 900461" in said) is seen
    assert "may be used" not in said


def test_a_correction_says_to_take_out_what_is_no_longer_in_it() -> None:
    made = draft()
    made.content["kind"] = "correction"
    package = made.commit().package().model_copy(update={"kind": "correction"})
    said = shown(verify_package(package, me=ME, log=LOG.verifier), TODAY)
    assert "CORRECTION: Compare everything you hold on this case with this page." in said
    assert "Take it out of your records." in said
    assert "CORRECTION" not in text(draft())


def test_no_rule_means_no_contact() -> None:
    made = draft(without=frozenset({"victim_safe_contact"}))
    assert "safeContact" not in made.content
    said = text(made)
    assert "SAFE CONTACT: not shared with you; do not contact" in said
    assert "only as follows" not in said


def test_an_urgent_referral_says_that_it_is_provisional() -> None:
    assert "URGENT, provisional" in text(draft(urgent())).splitlines()[0]
    assert "URGENT" not in text(draft())


def test_clause_basis_obligations_and_every_fact_are_there() -> None:
    made = draft()
    said = text(made)
    assert "Shared under NM-2 of northmoor 1.0: High risk goes to the IDVA service." in said
    assert (
        "Purpose: Protect the victim; basis: Safeguarding vulnerable individuals (UK GDPR Article "
        "6(1)(ea)); condition: Preventing or detecting unlawful acts (DPA 2018 Schedule 1 "
        "paragraph 10); gateway: Crime and Disorder Act 1998 section 115" in said
    )
    assert "You must: Contact only by the safe-contact rule." in said
    for section in made.content["sections"]:
        assert f"\n{section['label']}\n" in said
        for one in section["items"]:
            value = told(one["label"], one["value"])
            assert (
                f"{one['label']}{' (' + one['about'] + ')' if 'about' in one else ''}: {value}"
                in said
            )


def test_an_opinion_is_marked_as_one() -> None:
    made = draft()
    made.content["sections"] = [
        {
            "category": "x",
            "label": "X",
            "clause": "NM-2",
            "items": [{**item("Concern", "He will return"), "quality": "professional_opinion"}],
        }
    ]
    assert "Concern: He will return  [professional opinion]" in text(made.commit())


@pytest.mark.parametrize(
    "stored",
    [
        "07700 900461",
        "07700900461",
        "+44 7700 900461",
        "+44 (0)7700 900461",
        "0044 (0) 7700 900461",
        ["07700 900123", "07700-900461"],
        "07700 900461 (his mother's)",
    ],
)
def test_an_unsafe_number_is_marked_wherever_it_stands(stored: Any) -> None:
    made = draft()
    made.content["safeContact"] = {
        "status": "safe",
        "doNotContact": False,
        "lastVerified": "2026-11-20",
        "safeUntil": "2026-12-20",
        "items": [],
        "means": [means("07700 900461", "no"), means("07700 900999", "yes")],
    }
    told = [item("Phone on record", stored), item("Other phone", "07700 900999")]
    made.content["sections"] = [
        {"category": "victim_phone", "label": "Phone", "clause": "NM-2", "items": told}
    ]
    on_record, other = text(made.commit()).splitlines()[-2:]
    assert on_record.endswith("  DO NOT USE")
    assert "DO NOT USE" not in other


def test_a_number_on_record_is_not_for_use_where_nobody_said_that_it_is_safe() -> None:
    made = draft()
    made.content["safeContact"] = {
        "status": "unsafe",
        "doNotContact": True,
        "lastVerified": None,
        "safeUntil": None,
        "advocate": False,
        "items": [],
        "means": [],
    }
    made.content["sections"] = [
        {
            "category": "victim_phone",
            "label": "Phone",
            "clause": "NM-4",
            "items": [item("Phone on record", "07700 900461")],
        }
    ]
    assert text(made.commit()).endswith("Phone on record: 07700 900461  DO NOT USE")


@pytest.mark.parametrize(
    ("status", "warned"),
    [("unsafe", True), ("unverified", True), ("safe", True), ("unknown", False)],
)
def test_what_an_urgent_form_said_to_ring_is_for_use_only_until_there_is_a_rule(
    status: str, warned: bool
) -> None:
    """Danger first said "ring her on …"; the full form then said what is safe, and this number is
    not among it.
    """
    safe = {
        "status": status,
        "doNotContact": status != "safe",
        "lastVerified": "2026-11-20",
        "safeUntil": "2026-12-20",
        "advocate": True,
        "items": [],
        "means": [],
    }
    told = [item("Call back on", "07700 900461"), item("When and how", "Any time, she is alone")]
    called = {"category": "callback", "items": told}
    unsafe = Unsafe({"safeContact": safe, "sections": [called]}, TODAY)
    assert unsafe.warns("callback", "07700 900461") is warned
    assert unsafe.warns("callback", "Any time, she is alone") is warned


def test_the_first_line_on_contact_names_the_call_back_as_the_one_exception() -> None:
    made, refused = draft(urgent()), draft(urgent())
    safe = {"status": "unknown", "doNotContact": True, "lastVerified": None, "advocate": True}
    for one in (made, refused):
        one.content["safeContact"] = {**safe, "items": [], "means": []}
    (given,) = (one for one in made.content["sections"] if one["category"] == "callback")
    given["items"] = [item("Call back on", "07700 900555"), item("When and how", "Text first")]
    said = text(made.commit())
    assert (
        "SAFE CONTACT: DO NOT CONTACT (unknown), except by the call back below, exactly as it says"
        in said
    )
    assert "DO NOT USE" not in said
    assert "SAFE CONTACT: DO NOT CONTACT (unknown)\n" in text(refused.commit())


@pytest.mark.parametrize(
    ("said", "on_record"),
    [
        ("01632 960283", "+44 (0) 1632 960283"),
        ("+44 (0)1632 960283", "01632960283"),
        ("01632 960283 after six", "+441632960283"),
    ],
)
def test_a_number_that_is_safe_is_not_marked_however_it_is_written(
    said: str, on_record: str
) -> None:
    safe = {"status": "safe", "doNotContact": False, "safeUntil": "2026-12-20", "advocate": True}
    rule = {**safe, "items": [], "means": [means(said, "yes")]}
    unsafe = Unsafe({"safeContact": rule, "sections": []}, TODAY)
    assert not unsafe.warns("victim_phone", on_record)
    assert unsafe.warns("victim_phone", [on_record, "07700 900461"])


def test_one_number_that_is_safe_for_one_thing_only_is_marked() -> None:
    """He answers when it rings; her texts are her own."""
    ways = [means("+44 (0)7700 900461", "no"), means("07700 900461", "yes")]
    safe = {"status": "safe", "doNotContact": False, "safeUntil": "2026-12-20", "advocate": True}
    rule = {**safe, "items": [], "means": ways}
    unsafe = Unsafe({"safeContact": rule, "sections": []}, TODAY)
    assert unsafe.warns("victim_phone", "07700900461")


def test_a_withdrawal_says_what_was_taken_back_and_nothing_else() -> None:
    made = draft()
    made.content |= {"kind": "withdrawal", "sections": [], "withdraws": ["0193-b1"]}
    made.content["answerBy"] = "2026-11-23T10:00:00Z"
    said = shown(
        verify_package(
            made.commit().package().model_copy(update={"kind": "withdrawal"}),
            me=ME,
            log=LOG.verifier,
        ),
        TODAY,
    )
    assert "TAKEN BACK: do not act" in said
    assert "  - 0193-b1" in said
    assert "What was read cannot be unread." in said
    assert "Answer by 23 November 2026 at 10am" in said
    assert "Shared under" not in said
