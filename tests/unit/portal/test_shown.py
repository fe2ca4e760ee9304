"""What a delivery's page says, in the order and words people rely on."""

from datetime import date
from typing import Any

import pytest

from hubformats import dates, wording
from hubformats.categories import CATEGORIES
from hubformats.field_sets import KINDS, written
from portal.auditing.rules import records
from portal.work.rules.shown import (
    Strip,
    held_back,
    names_referrer,
    outdated,
    risk_level,
    sections,
    strip,
)


def item(label: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"label": label, "value": value, "quality": "fact", **more}


def means(value: str, safe: str | None) -> list[dict[str, Any]]:
    told = [item("Channel", "phone"), item("Number or address of this channel", value)]
    return told if safe is None else [*told, item("Safe to use", safe)]


TODAY = date(2026, 11, 21)
SAFE: dict[str, Any] = {
    "status": "safe",
    "doNotContact": False,
    "lastVerified": "2026-11-20",
    "safeUntil": "2026-12-20",
    "advocate": True,
    "items": [
        item("Safe contact", "known"),
        item("Code word", "Bluebell order"),
        item("Last verified", "2026-11-20"),
    ],
    "means": [
        means("07700 900461", "no"),
        means("07700 900462", None),
        means("01632 960283", "yes"),
    ],
}


def box(safe: dict[str, Any] | None, day: date = TODAY) -> Strip:
    return strip({"safeContact": safe, "sections": []}, day)


def test_usable_means_come_first_and_silence_is_not_safety() -> None:
    shown = box(SAFE)
    assert shown.heading == "Contact only as follows"
    assert [(one.value, one.usable) for one in shown.means] == [
        ("01632 960283", True),
        ("07700 900461", False),
        ("07700 900462", False),
    ]
    assert [one.verdict for one in shown.means] == [
        "Safe to use",
        "Do not use",
        "Not known to be safe: do not use",
    ]
    assert shown.facts == (("Code word", "Bluebell order"),)
    assert (shown.checked_on, shown.until) == ("20 November 2026", "20 December 2026")


def test_a_number_that_is_safe_at_times_is_not_called_safe_before_them() -> None:
    timed = [*means("01632 960283", "yes"), item("Safe days and times", "weekdays 10am to 2pm")]
    (shown,) = box({**SAFE, "means": [timed]}).means
    assert (shown.verdict, shown.times) == (
        "Safe only at these times",
        "Weekdays 10am to 2pm",
    )
    assert (shown.usable, shown.rules) == (True, ())
    (over,) = box({**SAFE, "means": [timed]}, date(2027, 6, 1)).means
    assert (over.usable, over.times) == (False, "")
    assert over.rules == (("Safe days and times", "Weekdays 10am to 2pm"),)


def test_an_account_that_names_a_bad_number_is_not_itself_called_unusable() -> None:
    told = [
        item("The danger", "Her mobile is 07700 900461, he answers it."),
        item("Other", "07700 900461 (his mother's)"),
    ]
    section = {"category": "danger_summary", "label": "Danger", "items": told}
    shown = sections({"safeContact": SAFE, "sections": [section]}, TODAY)[0].items
    assert [one.warned for one in shown] == [
        "Names a number or address that must not be used",
        "Do not use",
    ]


@pytest.mark.parametrize(
    ("today", "stop"),
    [(date(2026, 12, 20), False), (date(2026, 12, 21), True), (date(2027, 6, 1), True)],
)
def test_what_was_safe_when_it_was_sent_is_judged_on_the_day_it_is_shown(
    today: date, stop: bool
) -> None:
    advocates, others = box(SAFE, today), box({**SAFE, "advocate": False}, today)
    assert (advocates.stop, others.stop) == (stop, stop)
    assert len(advocates.means) == 3, "the advocate still sees last-known means"
    if stop:
        assert advocates.heading == "Do not contact: unverified since 20 November 2026"
        assert {one.usable for one in advocates.means} == {False}
        assert (others.heading, others.means) == (
            "Do not contact: what was safe is no longer verified. Ask the area's IDVA service",
            (),
        )


def test_nobody_is_sent_to_an_idva_service_that_is_kept_out() -> None:
    kept_out = {"obligations": [{"code": "ask-referrer-first", "text": "Ask the referrer."}]}
    safe = {**SAFE, "advocate": False}
    shown = strip({"safeContact": safe, "sections": [], **kept_out}, date(2027, 6, 1))
    assert shown.heading.endswith("no longer verified. Ask the agency that referred")


@pytest.mark.parametrize("until", [None, "", "soon"])
def test_a_rule_without_an_end_vouches_for_nothing(until: str | None) -> None:
    assert box({**SAFE, "safeUntil": until}).stop
    assert box({name: value for name, value in SAFE.items() if name != "safeUntil"}).stop


@pytest.mark.parametrize(
    "rule",
    [
        None,
        {**SAFE, "status": "unsafe", "doNotContact": True, "means": []},
        {**SAFE, "safeUntil": "2026-11-20"},
        {**SAFE, "means": []},
    ],
    ids=["not-shared", "do-not-contact", "expired", "none-named-safe"],
)
def test_a_number_on_record_is_marked_unless_the_rule_names_it_safe(
    rule: dict[str, Any] | None,
) -> None:
    phone = {
        "category": "victim_phone",
        "label": "Victim's phone",
        "items": [item("Phone on record", "01632 960283", about="Victim")],
    }
    his = {
        "category": "perpetrator_phone",
        "label": "His phone",
        "items": [item("Phone on record", "01632 960283")],
    }
    first, second = sections({"safeContact": rule, "sections": [phone, his]}, TODAY)
    assert first.items[0].warned
    assert bool(second.items[0].warned) == (rule is not None and bool(rule["means"])), (
        "another's number is marked where the rule names it"
    )
    assert not sections({"safeContact": SAFE, "sections": [phone]}, TODAY)[0].items[0].warned


@pytest.mark.parametrize(
    ("status", "verified", "heading"),
    [
        ("unsafe", "2026-11-20", "Do not contact"),
        ("unknown", None, "Do not contact: nobody knows yet what is safe"),
        ("unverified", "2026-09-20", "Do not contact: unverified since 20 September 2026"),
        ("unverified", None, "Do not contact: never verified"),
        ("a word of tomorrow", None, "Do not contact: nobody knows yet what is safe"),
    ],
)
def test_when_contact_is_off_no_means_is_called_safe(
    status: str, verified: str | None, heading: str
) -> None:
    shown = box({**SAFE, "status": status, "doNotContact": True, "lastVerified": verified})
    assert (shown.heading, shown.stop) == (heading, True)
    assert not [one for one in shown.means if one.usable or one.verdict == "Safe to use"]
    assert len(shown.means) == 3, "the advocate still sees last-known means"


UNKNOWN: dict[str, Any] = {
    "status": "unknown",
    "doNotContact": True,
    "lastVerified": None,
    "advocate": True,
    "items": [],
    "means": [],
}


def called_back(safe: dict[str, Any] | None, *said: str) -> dict[str, Any]:
    told = [item(label, one) for label, one in zip(("Call back on", "When"), said, strict=False)]
    section = {"category": "callback", "label": "Call back", "items": told}
    return {"safeContact": safe, "sections": [section]}


def test_the_call_back_that_the_caller_gave_is_the_one_exception() -> None:
    content = called_back(UNKNOWN, "07700 900555", "Text first")
    shown = strip(content, TODAY)
    assert shown.stop
    assert shown.heading == ("Do not contact, except by the call back below, exactly as it says")
    assert not any(one.warned for one in sections(content, TODAY)[0].items)


@pytest.mark.parametrize(
    ("content", "marked"),
    [
        (called_back(UNKNOWN, "Unknown: do not call"), [False]),
        (called_back(UNKNOWN, "07700 900555", "Do not call, he answers"), [True, False]),
        (called_back(UNKNOWN, "Ask the neighbour"), [True]),
        (called_back(None, "07700 900555"), [True]),
        (called_back({**UNKNOWN, "means": [means("07700 900462", "no")]}, "07700 900555"), [True]),
    ],
    ids=["unknown", "says-not-to-call", "no-number", "rule-not-shared", "a-form-named-means"],
)
def test_what_says_not_to_call_or_is_no_call_back_excepts_nothing(
    content: dict[str, Any], marked: list[bool]
) -> None:
    assert "except" not in strip(content, TODAY).heading
    assert [bool(one.warned) for one in sections(content, TODAY)[0].items] == marked


@pytest.mark.parametrize("safe", [UNKNOWN, SAFE], ids=["unknown", "safe"])
def test_nobody_is_contacted_by_a_page_that_a_newer_delivery_replaces(
    safe: dict[str, Any],
) -> None:
    content = outdated(called_back(safe, "01632 960283"))
    shown = strip(content, TODAY)
    assert (shown.heading, shown.stop) == ("Do not contact anybody by this page", True)
    assert (shown.means, shown.facts, shown.checked_on, shown.until) == ((), (), "", "")
    assert sections(content, TODAY)[0].items[0].warned


def test_no_rule_is_a_rule_not_to_contact() -> None:
    assert box(None).stop


def test_an_unsafe_number_is_marked_wherever_it_stands_and_nothing_is_dropped() -> None:
    content = {
        "safeContact": SAFE,
        "sections": [
            {
                "category": "risk_answers",
                "label": "Answers",
                "items": [
                    item("A", "Yes", quality="self_report"),
                    item("B", "No", quality="self_report"),
                ],
            },
            {
                "category": "victim_phone",
                "label": "Victim's phone",
                "items": [item("Phone", "07700 900461", about="Victim")],
            },
            {
                "category": "relationship",
                "label": "Relationship",
                "items": [item("To the victim", "former_partner", about="Perpetrator")],
            },
        ],
    }
    phone, relationship, answers = sections(content, TODAY)
    assert phone.contact
    assert [(one.text, one.warned, one.about) for one in phone.items] == [
        ("07700 900461", "Do not use", "")
    ]
    assert [(one.text, one.about) for one in relationship.items] == [
        ("Former partner", "Perpetrator")
    ]
    assert answers.quality == "as the person told it", "said once, because it holds for all"
    assert [one.quality for one in answers.items] == ["", ""]


def test_codes_are_put_in_words_and_own_words_stay_as_said() -> None:
    told = [
        item("Lawful basis", "P3_necessary"),
        item("What she wants", "not to be found"),
        item("NHS number", "9990000018"),
    ]
    (shown,) = sections(
        {"sections": [{"category": "consent", "label": "Consent", "items": told}]}, TODAY
    )
    assert [one.text for one in shown.items] == [
        "Necessary for a law-enforcement task (DPA 2018 s.35(2)(b))",
        "not to be found",
        "999 000 0018",
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("VHR: 14 or more yes", "Visible high risk: 14 or more yes"),
        ("PJ: professional judgement raises", "Professional judgement raised it"),
        ("fewer than 10 yes", "fewer than 10 yes"),
    ],
)
def test_the_rule_that_gave_the_level_is_in_words(rule: str, words: str) -> None:
    told = {
        "category": "risk_summary",
        "label": "Risk",
        "items": [item("Rule that gave the level", rule)],
    }
    ((shown,),) = (one.items for one in sections({"sections": [told]}, TODAY))
    assert (shown.label, shown.text) == ("Why this level", words)


def _content(clause: str, value: str, *also: str) -> dict[str, Any]:
    told = [
        {"category": code, "label": code, "items": [item("x", value)]}
        for code in ("concern", *also)
    ]
    return {"clause": {"text": clause}, "otherClauses": [], "sections": told}


def test_what_a_shield_holds_back_is_said_where_the_content_says_there_is_one() -> None:
    assert held_back(_content("Danger is told at once.", "Domestic abuse")) == ""
    sure = held_back(_content("Danger is told at once.", "seen at [removed] twice", "referrer"))
    assert sure.startswith("An address on this case is shielded.")
    assert "ask whoever sent it" in sure
    by_clause = _content("All of it apart from what is shielded.", "Domestic abuse")
    assert held_back(by_clause).startswith("When an address on a case is shielded")
    assert "01632 960000" in held_back(by_clause), "somebody to ask though the sender is not named"
    richer = {
        **by_clause,
        "sections": [
            *by_clause["sections"],
            {"category": "incident_narrative", "label": "n", "items": [item("x", "y")]},
        ],
    }
    assert held_back(by_clause) == held_back(richer), (
        "it tells nothing of whether anything was held back"
    )


def test_the_level_of_risk_is_found_or_not_claimed() -> None:
    assert (
        risk_level(
            {"sections": [{"category": "risk_summary", "items": [item("Risk level", "high")]}]}
        )
        == "high"
    )
    assert risk_level({"sections": []}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("former_partner", "former partner"),
        ("2026-11-20T21:40:00Z", "20 November 2026 at 9:40pm"),
        ("2026-07-01T12:00:00+00:00", "1 July 2026 at 1pm"),
        ("2026-02-31", "2026-02-31"),
        ("2026-99-99T99:99Z", "2026-99-99T99:99Z"),
        (["1991-08-23", "1991-08-24"], "23 August 1991, 24 August 1991"),
        (True, "yes"),
        ("She said: never_again", "She said: never_again"),
    ],
)
def test_facts_read_as_people_write_them(value: Any, text: str) -> None:
    assert wording.fact(value) == text


@pytest.mark.parametrize(
    ("utc", "text"),
    [
        ("2026-10-25T00:30:00Z", "25 October 2026 at 1:30am"),
        ("2026-10-25T01:30:00Z", "25 October 2026 at 1:30am"),
        ("2026-10-25T02:30:00Z", "25 October 2026 at 2:30am"),
        ("2026-06-30T23:30:00Z", "1 July 2026 at 12:30am"),
        ("2026-11-20T12:00:00Z", "20 November 2026 at 12pm"),
    ],
)
def test_moments_are_london_moments(utc: str, text: str) -> None:
    assert dates.moment(utc) == text


def test_a_record_reads_in_plain_words_with_its_codes() -> None:
    record = {
        "op": "disclosure",
        "out": "permit",
        "te": 1_795_230_336_703_182,
        "svc": "sharing",
        "lb": "6ea_emergency",
        "cond": "9c",
        "gw": "common_law",
        "org": "svc:sharing",
        "rcp": "northmoor-idva",
        "fs": "danger_place,victim_identity,made_up_tomorrow+5",
        "act": "handle",
        "sub": ["handle"],
        "rv": 3,
    }
    rows = {
        label: (text, code)
        for label, text, code in records.record_rows(
            record, {"northmoor-idva": "Northmoor IDVA Service"}
        )
    }
    assert rows["What happened"] == ("Sent to an agency", "disclosure")
    assert rows["Lawful basis"] == (
        "Responding to an emergency (UK GDPR Article 6(1)(ea))",
        "6ea_emergency",
    )
    assert rows["When, by the producer's clock"] == ("2026-11-21T03:05:36.703Z", "")
    assert rows["Kinds of information"] == (
        (
            "Where the danger is; Victim; Made up tomorrow; and 5 more kinds, which the record counts "
            "but does not name"
        ),
        "",
    )
    assert rows["Agency that acted"] == ("The hub (sharing)", "svc:sharing")
    assert rows["Recipient agency"] == ("Northmoor IDVA Service", "northmoor-idva")
    assert "handle" not in str(rows)


def test_an_entry_names_every_kind_of_information_that_was_sent_however_many() -> None:
    rows = {
        label: text
        for label, text, _ in records.record_rows({"op": "disclosure", "fs": written(KINDS)}, {})
    }
    assert rows["Kinds of information"].split("; ")[:2] == [
        CATEGORIES["callback"].label,
        CATEGORIES["child_address"].label,
    ]
    assert sorted(rows["Kinds of information"].split("; ")) == sorted(
        CATEGORIES[kind].label for kind in KINDS
    )


def test_a_withheld_disclosure_was_not_sent_and_says_why() -> None:
    record = {
        "op": "disclosure",
        "out": "withhold",
        "why": "own-facts",
        "role": "idva,marac_coordinator",
        "aal": "urn:hub:acr:demo",
        "fs": "referral.full",
    }
    rows = {label: (text, code) for label, text, code in records.record_rows(record, {})}
    assert rows["What happened"] == ("Not sent to an agency", "disclosure")
    assert rows["Reason"] == (
        "This agency made the referral; it is not told its own facts",
        "own-facts",
    )
    assert rows["Role"][0] == "Independent domestic violence adviser (IDVA); MARAC coordinator"
    assert rows["Strength of sign-in"] == (
        "Demonstration sign-in, without a second factor",
        "urn:hub:acr:demo",
    )
    assert rows["Kinds of information"] == ("The full referral form", "")


def test_a_relationship_says_whose_it_is_also_where_that_is_the_same_word() -> None:
    told = [
        item("Relationship to the victim", "child", about="Child"),
        item("Relationship to the victim", "son", about="Child"),
    ]
    (shown,) = sections(
        {"sections": [{"category": "relationship", "label": "Relationship", "items": told}]}, TODAY
    )
    assert [(one.about, one.text) for one in shown.items] == [
        ("Child", "Child"),
        ("Child", "Son"),
    ]


def test_an_urgent_delivery_tells_the_danger_and_the_call_back_first() -> None:
    told = [
        {"category": code, "label": code, "items": [item("x", "y")]}
        for code in (
            "risk_answers",
            "victim_identity",
            "referrer",
            "callback",
            "danger_place",
            "danger_summary",
        )
    ]
    urgent = [
        "danger_summary",
        "danger_place",
        "callback",
        "referrer",
        "victim_identity",
        "risk_answers",
    ]
    assert [one.label for one in sections({"urgent": True, "sections": told}, TODAY)] == urgent
    shown = sections({"urgent": True, "sections": told}, TODAY)
    assert [one.first for one in shown] == [True] * 4 + [False] * 2
    calm = sections({"urgent": False, "sections": told}, TODAY)
    assert calm[0].label == "victim_identity"
    assert not any(one.first for one in calm)
    assert names_referrer({"sections": told})
    assert not names_referrer({"sections": told[:1]})
