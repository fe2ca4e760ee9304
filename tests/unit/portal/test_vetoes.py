"""Vetoes and second looks on screen: who sees what, who asked first, and nothing typed is lost."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.second_look.model import Look
from portal.shell.model import CallRefused, NoAnswer
from portal.vetoes.model import Lifting, Sent, Veto
from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import envelope, package

REFERRAL, VETO, LIFTING, LOOK = (f"01932000-0000-7000-8000-0000000000{n}" for n in range(11, 15))
CASE = f"/vetoes/{REFERRAL}"
ASKING, SETTLING, LOOKING = f"{CASE}/{VETO}", f"/liftings/{LIFTING}", f"/second-looks/{LOOK}"
WORDS = "Her sister has left & the desk is <new>."
SHOWN = "Her sister has left &amp; the desk is &lt;new&gt;."
TOM = {"agency": "northmoor-police", "roles": ("police_officer",), "name": "Tom Hallam"}
JESS = {"agency": "northmoor-police", "roles": ("marac_coordinator",), "name": "Jess Marlow"}
OWEN = {"agency": "northmoor", "roles": ("privacy_officer",), "name": "Owen Bright"}
SCOPES = "referral.read referral.write case.read case.write disclosure.read"
ASKED = Lifting(
    LIFTING,
    VETO,
    "conflict",
    "NM-7F3K-9QXA-2C4T",
    "northmoor-police",
    "police_officer",
    you=False,
    reason_code="no_longer_so",
    asked_at="2026-11-21T01:05:00Z",
    lapses_at="2026-11-24T01:05:00Z",
    veto=Veto(
        VETO,
        "conflict",
        "northmoor-housing",
        "*",
        "",
        set_by="northmoor-idva",
        set_at="2026-11-20T09:13:00Z",
        reason_code="declared",
    ),
    reason="She moved to another team.",
    you_may_settle=True,
    you_may_confirm=True,
    number="L-7F3K-9QXA",
)
ITEM = Look(
    LOOK,
    "veto_lifted",
    "no_longer_so",
    "NM-7F3K-9QXA-2C4T",
    (("northmoor-police", "police_officer"), ("northmoor", "privacy_officer")),
    "2026-11-21T00:05:00Z",
    "2026-11-21T01:05:00Z",
    overdue=True,
    state="open",
    owner="nobody",
    outcome_code="",
    next=("reasonable", "ask_the_person", "escalate"),
)


@asynccontextmanager
async def at(folder: Path, who: dict[str, Any], **more: Any) -> AsyncIterator[PortalHarness]:
    """Somebody freshly signed in, with a veto, a lifting and a second look."""
    given = {"scope": SCOPES, **who, **more}
    async with portal_harness(envelope(package()), folder, **given) as harness:
        harness.vetoes.referrals = [
            Sent(REFERRAL, "NM-7F3K-9QXA-2C4T", "stalking", "2026-11-21T01:00:00Z", "NP-2026-41")
        ]
        harness.vetoes.in_force = [Veto(VETO, "conflict", "northmoor-housing", "*", "")]
        harness.vetoes.liftings = [ASKED]
        harness.looks.items = [ITEM]
        yield harness


async def test_a_veto_is_set_from_ones_own_referral(tmp_path: Path) -> None:
    async with at(tmp_path, TOM) as harness:
        assert "NM-7F3K-9QXA-2C4T" in (await harness.get("/vetoes")).text
        page = (await harness.get(CASE)).text
        assert "Conflict of interest" in page
        assert "It holds until a second person has confirmed" in page
        typed = {"answer": "conflict/declared", "agency": "northmoor-housing", "reason": WORDS}
        answer = await harness.post(CASE, **typed)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{CASE}?holds={VETO}")
        assert harness.done[-1] == "set conflict/declared on northmoor-housing"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"answer": ""}, "answer"),
        ({"agency": "*"}, "agency"),
        ({"agency": "", "answer": "legal_hold/review"}, "agency"),
        ({"reason": "short"}, "reason"),
    ],
)
async def test_a_form_with_a_gap_sets_nothing_and_loses_nothing(
    tmp_path: Path, changed: dict[str, str], field: str
) -> None:
    typed = {"answer": "conflict/declared", "agency": "northmoor-housing", "reason": WORDS}
    async with at(tmp_path, TOM) as harness:
        answer = await harness.post(CASE, **{**typed, **changed})
        assert (answer.status_code, f'href="#{field}"' in answer.text) == (422, True)
        assert harness.done == []
        assert field == "reason" or SHOWN in answer.text


async def test_asking_wants_a_fresh_sign_in_and_comes_back_with_what_was_written(
    tmp_path: Path,
) -> None:
    async with at(tmp_path, TOM, signed_in_for=13 * 60) as harness:
        assert "Sign in again first" in (await harness.get(ASKING)).text
        refused = await harness.post(ASKING, answer="no_longer_so", reason=WORDS)
        assert (refused.status_code, SHOWN in refused.text) == (401, True)
        assert harness.done == []
        again = {"action": "ask_lifting", "place": ASKING, "kept.reason": WORDS}
        assert (await harness.post("/sign-in/again", **again)).status_code == 303
        ((asked, draft),) = harness.authorization.asked
        assert (asked["scope"], asked["max_age"]) == ("referral.write", "720")
        assert draft is not None
        back = replace(harness.session, draft=draft, grantings=_fresh(harness))
        for cookie in list(harness.client.cookies.jar):
            await harness.sessions.put(cookie.value or "", back)
        assert SHOWN in (await harness.get(ASKING)).text


def _fresh(harness: PortalHarness) -> Any:
    now = int(harness.clock.now().timestamp())
    return replace(harness.session.grantings, auth_time=now)


async def test_asking_says_that_a_second_person_must_confirm(tmp_path: Path) -> None:
    async with at(tmp_path, TOM) as harness:
        assert "Nothing is lifted until a second person" in (await harness.get(ASKING)).text
        answer = await harness.post(ASKING, answer="no_longer_so", reason=WORDS)
        assert (answer.status_code, harness.done) == (303, ["asked no_longer_so"])


@pytest.mark.parametrize("who", [JESS, OWEN], ids=["coordinator", "officer"])
async def test_the_second_person_reads_who_asked_first_and_decides(
    tmp_path: Path, who: dict[str, Any]
) -> None:
    async with at(tmp_path, who) as harness:
        assert SETTLING in (await harness.get("/liftings")).text
        page = (await harness.get(SETTLING)).text
        for words in ("Who asked first", "Police officer, Northmoor Police", ASKED.reason):
            assert words in page
        gap = await harness.post(SETTLING, reason=WORDS)
        assert (gap.status_code, SHOWN in gap.text, harness.done) == (422, True, [])
        answer = await harness.post(SETTLING, answer="confirm/no_longer_so", reason=WORDS)
        assert (answer.status_code, answer.headers["location"]) == (303, "/liftings")
        assert harness.done == ["settled confirm/no_longer_so"]


@pytest.mark.parametrize(
    ("who", "page"), [(TOM, "/vetoes"), (OWEN, "/liftings")], ids=["asker", "officer"]
)
async def test_who_asked_reads_that_it_lapsed(
    tmp_path: Path, who: dict[str, Any], page: str
) -> None:
    said = "not confirmed in time"
    async with at(tmp_path, who) as harness:
        assert said not in (await harness.get(page)).text
        harness.vetoes.liftings = [replace(ASKED, state="lapsed")]
        shown = (await harness.get(page)).text
        assert (said in shown, ", lapsed " in shown) == (True, True)


@pytest.mark.parametrize(
    ("against", "status", "said"),
    [
        (CallRefused(403, "second-person-needed"), 403, "A second person must confirm"),
        (CallRefused(409, "conflict"), 409, "Somebody was there before you"),
        (CallRefused(401, "step-up-required"), 401, "You signed in too long ago"),
        (NoAnswer("ReadTimeout"), 503, "not known whether it was kept"),
        (CallRefused(403, "forbidden"), 403, "You cannot do this"),
    ],
)
async def test_whatever_stands_against_it_is_said(
    tmp_path: Path, against: Exception, status: int, said: str
) -> None:
    async with at(tmp_path, JESS) as harness:
        harness.vetoes.against = against
        answer = await harness.post(SETTLING, answer="confirm/no_longer_so", reason=WORDS)
        assert (answer.status_code, said in answer.text) == (status, True)
        assert WORDS[:10] not in str(answer.url)


@pytest.mark.parametrize("who", [JESS, OWEN], ids=["coordinator", "officer"])
async def test_the_second_person_does_not_lift_blind(tmp_path: Path, who: dict[str, Any]) -> None:
    async with at(tmp_path, who) as harness:
        page = (await harness.get(SETTLING)).text
        for label, words in (
            ("Lifting number", "L-7F3K-9QXA"),
            ("About", "The whole case"),
            ("Set on", "20 November 2026"),
            ("Set by", "IDVA"),
            ("Why it was set", "A worker there has declared a link"),
        ):
            assert words in shown_beside(page, label), label
        assert "L-7F3K-9QXA" in (await harness.get("/liftings")).text
        shield = Veto(VETO, "location_shield", "*", "*", "victim")
        harness.vetoes.liftings = [replace(ASKED, kind="location_shield", veto=shield)]
        page = (await harness.get(SETTLING)).text
        assert "Victim" in shown_beside(page, "About")
        assert "before the hub kept it" in shown_beside(page, "Why it was set")


def shown_beside(page: str, label: str) -> str:
    """What stands in a page's row of this label."""
    (found,) = re.findall(f">{label}</dt><dd[^>]*>(.*?)</dd>", page)
    return str(found)


async def test_who_asked_sees_what_it_is_about_and_the_number_on_the_case(tmp_path: Path) -> None:
    async with at(tmp_path, TOM) as harness:
        harness.vetoes.in_force = [ASKED.veto] if ASKED.veto else []
        page = (await harness.get(ASKING)).text
        assert "A worker there has declared a link" in shown_beside(page, "Why it was set")
        assert "Lifting number L-7F3K-9QXA" in (await harness.get(CASE)).text


@pytest.mark.parametrize("you", [True, False], ids=["asker", "colleague"])
async def test_who_may_not_confirm_is_not_offered_it(tmp_path: Path, you: bool) -> None:
    """The asker takes it back; a colleague of theirs can leave it in force."""
    async with at(tmp_path, JESS) as harness:
        harness.vetoes.liftings = [replace(ASKED, you=you, you_may_confirm=False)]
        page = (await harness.get(SETTLING)).text
        assert "confirm/" not in page
        assert ("Take back my request" in page) is you
        assert ("refuse/still_so" in page) is not you
        tried = await harness.post(SETTLING, answer="confirm/no_longer_so", reason=WORDS)
        assert (tried.status_code, harness.done) == (422, [])
        code = "taken_back" if you else "still_so"
        assert (await harness.post(SETTLING, answer=f"refuse/{code}", reason=WORDS)).is_redirect


async def test_who_may_not_settle_is_told_who_does(tmp_path: Path) -> None:
    async with at(tmp_path, JESS) as harness:
        harness.vetoes.liftings = [replace(ASKED, you_may_settle=False)]
        page = (await harness.get(SETTLING)).text
        assert "somebody of another agency must decide" in page
        assert "Decide in my own name" not in page


@pytest.mark.parametrize(
    ("who", "paths"),
    [
        (TOM, ("/liftings", SETTLING, "/second-looks", LOOKING)),
        (JESS, ("/second-looks", LOOKING)),
        ({**OWEN, "scope": "case.read case.write"}, ("/vetoes", CASE, "/emergency")),
    ],
    ids=["police-officer", "coordinator", "officer"],
)
async def test_nobody_gets_near_anothers_screens(
    tmp_path: Path, who: dict[str, Any], paths: tuple[str, ...]
) -> None:
    async with at(tmp_path, who) as harness:
        assert {(await harness.get(path)).status_code for path in paths} == {403}


async def test_the_officer_begins_at_the_queue_and_what_is_overdue_is_said(tmp_path: Path) -> None:
    async with at(tmp_path, OWEN) as harness:
        start = await harness.get("/")
        assert start.headers["location"] == "/second-looks"
        page = (await harness.get("/second-looks")).text
        for words in ("1 is overdue", "Veto lifted", "NM-7F3K-9QXA-2C4T", "21 November 2026"):
            assert words in page
        assert "Work list" not in page


async def test_an_outcome_is_given_with_a_reason_and_the_item_taken_first(tmp_path: Path) -> None:
    async with at(tmp_path, OWEN) as harness:
        page = (await harness.get(LOOKING)).text
        assert "Police officer, Northmoor Police" in page
        assert (await harness.post(f"{LOOKING}/owner")).headers["location"] == LOOKING
        assert "I will look at it" not in (await harness.get(LOOKING)).text
        gap = await harness.post(LOOKING, reason=WORDS)
        assert (gap.status_code, SHOWN in gap.text) == (422, True)
        answer = await harness.post(LOOKING, answer="reasonable/needed", reason=WORDS)
        assert answer.headers["location"] == "/second-looks"
        assert harness.done == ["answered reasonable/needed"]
        assert "Nothing waits" in (await harness.get("/second-looks")).text
        assert LOOKING in (await harness.get("/second-looks?closed=yes")).text
        again = await harness.post(LOOKING, answer="escalate/harm", reason=WORDS)
        assert again.status_code == 422, "what is closed has no further outcome"


async def test_an_outcome_that_came_second_is_said_and_kept_on_the_page(tmp_path: Path) -> None:
    async with at(tmp_path, OWEN) as harness:
        harness.looks.against = CallRefused(409, "conflict")
        answer = await harness.post(LOOKING, answer="reasonable/needed", reason=WORDS)
        assert (answer.status_code, SHOWN in answer.text) == (409, True)
        assert "there before you" in answer.text
