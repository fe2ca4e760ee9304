"""The auditor's pages: a search says what is wrong with it, and an entry is verified by the portal
itself."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hubformats.audit_record import Leaf, record_hash
from hubformats.canonical import b64u, canonical
from portal.auditing.rules.records import reason
from portal.auditing.rules.search import problems, wanted
from portal.shell.model import CallRefused, NoAnswer, TokenRefused
from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import envelope, package, prove

SOUND = {
    "caseReference": "NM-7F3K-9QXA-2C4T",
    "purpose": "verify_lawfulness",
    "justification": "Routine sample",
}
RECORD = canonical(
    {
        "v": 1,
        "id": "01932000-0000-7000-8000-000000000041",
        "te": 1_795_000_000_000_000,
        "op": "disclosure",
        "out": "permit",
        "svc": "sharing",
    }
)
SALT = b"s" * 32


def served(**changes: Any) -> dict[str, Any]:
    """An entry as the audit service serves it."""
    leaf = Leaf("kq3Xh2", 4, 7, 1_795_000_000_000_000, record_hash(SALT, RECORD)).encode()
    sound = {
        "index": 1,
        "recordBytes": b64u(RECORD),
        "salt": b64u(SALT),
        "leaf": b64u(leaf),
        "proof": prove(leaf),
        "record": {"op": "erasure"},
    }
    return {**sound, **changes}


@pytest.fixture
async def auditor(tmp_path: Path) -> AsyncIterator[PortalHarness]:
    """An auditor, signed in."""
    async with portal_harness(
        envelope(package()), tmp_path, agency="northmoor", roles=("auditor",), scope="audit.read"
    ) as made:
        yield made


async def test_an_entry_is_verified_from_its_bytes(auditor: PortalHarness) -> None:
    auditor.log.entries[1] = served()
    text = (await auditor.get("/audit-log/entries/1")).text
    assert "<b>Verified.</b>" in text
    assert "Sent to an agency" in text
    assert "Erased" not in text, "what the service says beside the bytes counts for nothing"
    assert "kq3Xh2" in text


async def test_an_entry_leads_back_to_the_results_it_was_found_in(auditor: PortalHarness) -> None:
    auditor.log.entries[1] = served()
    results = (await auditor.post("/audit-log", **SOUND, recipient="")).headers["location"]
    back = f'<a href="{results}" class="govuk-back-link">Results of your search</a>'
    entry = (await auditor.get("/audit-log/entries/1")).text
    assert back in entry
    assert ">New search</a>" in entry
    asked = len(auditor.done)
    assert "NM-7F3K-9QXA-2C4T" in (await auditor.get(results)).text
    assert len(auditor.done) == asked, "going back states no purpose anew"


async def test_an_entry_without_a_search_of_this_visit_leads_to_a_new_one(
    auditor: PortalHarness,
) -> None:
    auditor.log.entries[1] = served()
    assert (
        '<a href="/audit-log" class="govuk-back-link">New search</a>'
        in (await auditor.get("/audit-log/entries/1")).text
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recordBytes": b64u(RECORD.replace(b"permit", b"refuse"))}, "record-word-unknown"),
        ({"recordBytes": b64u(RECORD.replace(b"permit", b"failed"))}, "record-not-committed"),
        ({"salt": b64u(b"x" * 32)}, "record-not-committed"),
        ({"salt": "not base64!"}, "malformed"),
        ({"leaf": b64u(b"{}")}, "leaf-malformed"),
        ({"proof": "nothing"}, ""),
        ({"index": 0}, "index-differs"),
    ],
)
async def test_a_tampered_entry_is_never_called_verified(
    auditor: PortalHarness, changes: Mapping[str, Any], code: str
) -> None:
    auditor.log.entries[1] = served(**changes)
    answer = await auditor.get("/audit-log/entries/1")
    assert answer.status_code == 200
    assert "Not verified" in answer.text
    assert code in answer.text
    assert "<b>Verified.</b>" not in answer.text


@pytest.mark.parametrize(
    ("changes", "faulty"),
    [
        ({}, []),
        ({"caseReference": ""}, ["caseReference"]),
        ({"caseReference": "", "delivery": "01932000-0000-7000-8000-000000000021"}, []),
        ({"caseReference": "", "recipient": "northmoor-idva"}, []),
        ({"recipient": "elsewhere"}, ["recipient"]),
        ({"delivery": "12"}, ["delivery"]),
        ({"caseReference": "x" * 41}, ["caseReference"]),
        ({"caseReference": "NM-7F3K-9QXA-2C4"}, ["caseReference"]),
        ({"caseReference": "NM-7F3K-9QXA-2C4U"}, ["caseReference"]),
        ({"caseReference": "nm 7f3k 9qxa 2c4l"}, []),
        ({"purpose": ""}, ["purpose"]),
        ({"purpose": "curiosity"}, ["purpose"]),
        ({"justification": " a "}, ["justification"]),
        ({"justification": "a" * 1001}, ["justification"]),
    ],
)
async def test_a_search_says_what_is_wrong_and_asks_nothing(
    auditor: PortalHarness, changes: dict[str, str], faulty: list[str]
) -> None:
    typed = {**SOUND, **changes}
    assert list(problems(typed, {"northmoor-idva"})) == faulty
    answer = await auditor.post("/audit-log", **{**typed, "recipient": typed.get("recipient", "")})
    assert answer.status_code == (422 if faulty else 303)
    assert ("<title>Error: " in answer.text) == bool(faulty)
    assert bool(auditor.done) != bool(faulty)


async def test_what_was_typed_stays_and_is_escaped(auditor: PortalHarness) -> None:
    answer = await auditor.post(
        "/audit-log", caseReference='"><script>alert(1)</script>', justification="<b>bold</b>"
    )
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "&lt;b&gt;bold" in answer.text


def test_a_search_asks_for_what_was_given_only() -> None:
    assert wanted({**SOUND, "caseReference": " nm-7f3k-9qxa-2c4t "}) == {
        "caseReference": "NM-7F3K-9QXA-2C4T"
    }
    assert wanted({"delivery": "01932000-0000-7000-8000-000000000021", "recipient": "a"}) == {
        "delivery": "01932000-0000-7000-8000-000000000021",
        "recipient": "a",
    }


@pytest.mark.parametrize(
    "against",
    [
        NoAnswer("ReadTimeout"),
        CallRefused(503, "unavailable"),
        TokenRefused("unreachable"),
    ],
)
async def test_a_log_that_does_not_answer_costs_nothing_typed(
    auditor: PortalHarness, against: Exception
) -> None:
    auditor.log.against = against
    answer = await auditor.post("/audit-log", **SOUND)
    assert answer.status_code == 503
    assert "What you typed is kept" in answer.text
    assert 'value="NM-7F3K-9QXA-2C4T"' in answer.text
    assert "Routine sample" in answer.text


async def test_results_say_what_was_asked_and_how_many_to_who_asked(auditor: PortalHarness) -> None:
    auditor.log.found = [
        {
            "index": 7,
            "loggedAt": "2026-11-21T02:05:00Z",
            "service": "sharing",
            "operation": "disclosure",
            "outcome": "withhold",
            "record": {"rcp": "northmoor-idva", "why": "own-facts"},
        },
    ]
    made = await auditor.post("/audit-log", **SOUND)
    assert "7F3K" not in made.headers["location"]
    text = (await auditor.get(made.headers["location"])).text
    assert "NM-7F3K-9QXA-2C4T" in text
    assert "Check that processing was lawful" in text
    assert "1 entry." in text
    assert "Not sent to an agency" in text
    assert "This agency made the referral; it is not told its own facts" in text
    assert "7F3K" not in text.partition("</title>")[0]
    other = (await auditor.get("/audit-log/queries/01932000-0000-7000-8000-000000000032")).text
    assert "NM-7F3K" not in other


@pytest.mark.parametrize("place", ["query", "/audit-log/entries/1", "/audit-log/entries/1/proof"])
async def test_a_purpose_that_has_run_out_is_asked_for_again_with_everything_typed_kept(
    auditor: PortalHarness, place: str
) -> None:
    where = (
        (await auditor.post("/audit-log", **SOUND)).headers["location"]
        if place == "query"
        else place
    )
    if place != "query":
        auditor.log.unread = CallRefused(403, "purpose-required")
        first = await auditor.get(where)
        assert (first.status_code, "Say first why you need to look" in first.text) == (403, True)
        auditor.log.unread = None
        await auditor.post("/audit-log", **SOUND)
    auditor.log.unread = CallRefused(403, "purpose-required")
    answer = await auditor.get(where)
    assert answer.status_code == 403
    assert "Say again why you need to look" in answer.text
    assert "Your role does not include this" not in answer.text
    assert 'value="NM-7F3K-9QXA-2C4T"' in answer.text
    assert "Routine sample" in answer.text
    assert 'value="verify_lawfulness" checked' in answer.text
    auditor.log.unread = CallRefused(403, "forbidden")
    assert "Your role does not include this" in (await auditor.get(where)).text, (
        "another refusal is another page"
    )


async def test_a_record_whose_reason_is_held_back_says_who_can_check_it(
    auditor: PortalHarness,
) -> None:
    """Its bytes are not served, so nothing of it counts as verified or as forged."""
    told = {"op": "disclosure", "out": "withhold", "rcp": "northmoor-idva"}
    auditor.log.entries[1] = served(recordBytes=None, salt=None, record=told)
    text = (await auditor.get("/audit-log/entries/1")).text
    assert "<b>Not checked here.</b>" in text
    assert "The reason for withholding is held back from your agency" in text
    assert "A cross-agency auditor can check it." in text
    assert "Not sent to an agency" in text
    for claim in ("<b>Verified.</b>", "<b>Not verified</b>", "Where it stands", "Logged "):
        assert claim not in text, claim


async def test_what_is_held_back_is_not_shown_though_it_were_served_beside(
    auditor: PortalHarness,
) -> None:
    """Only a reason that the record commits to is a reason."""
    told = {"op": "disclosure", "out": "withhold"}
    auditor.log.entries[1] = served(recordBytes=None, record=told, reason="conflict")
    text = (await auditor.get("/audit-log/entries/1")).text
    assert "Not checked here." in text
    assert reason("conflict") == "A conflict of interest is recorded for this agency"
    assert reason("conflict") not in text


async def test_two_services_that_say_of_one_click_are_told_apart(auditor: PortalHarness) -> None:
    """One Accept is an entry of sharing and one of the portal; equal rows would look like two."""
    accepted = {
        "loggedAt": "2026-11-21T02:05:00Z",
        "operation": "acknowledged",
        "outcome": "done",
        "record": {"org": "northmoor", "rcp": "northmoor", "role": "idva"},
    }
    auditor.log.found = [
        {"index": 8, "service": "portal", **accepted},
        {"index": 7, "service": "sharing", **accepted},
        {"index": 6, "service": "sharing", **accepted, "record": {"org": "svc:sharing"}},
    ]
    made = await auditor.post("/audit-log", **SOUND)
    text = (await auditor.get(made.headers["location"])).text
    assert text.count("</bdi>, in portal") == 1
    assert text.count("</bdi>, in sharing") == 1, "the hub's own service is named already"
