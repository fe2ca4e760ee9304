"""Emergency release: for two roles, after a fresh sign-in, in one's own name; whatever goes wrong,
nothing typed is lost."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from portal.emergency.model import Unproven, problems
from portal.permissions import ACTIONS
from portal.shell.model import LONGEST, CallRefused, Draft, NoAnswer, TokenRefused
from portal.sign_in.client import SCOPES
from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import envelope, package

ONE = "01932000-0000-7000-8000-0000000000e1"
PAGE = f"/emergency/{ONE}"
SOUND = {
    "code": "imminent_danger_to_life",
    "reason": "He is at her door & the log is <silent>.",
    "confirm": "yes",
}
WRITTEN = {"code": SOUND["code"], "reason": SOUND["reason"]}
AGAIN = {
    "action": "read_unproven",
    "place": PAGE,
    **{f"kept.{name}": text for name, text in WRITTEN.items()},
}
SHOWN = "He is at her door &amp; the log is &lt;silent&gt;."
WAITING = Unproven(
    ONE,
    "NM-7F3K-9QXA-2C4T",
    "northmoor-idva",
    "NM-2",
    "disclosure",
    promised=False,
    decided_at="2026-11-21T02:05:00Z",
    released_at="2026-11-21T02:06:00Z",
    proof_due="2026-11-21T03:06:00Z",
)


@asynccontextmanager
async def at(folder: Path, **who: Any) -> AsyncIterator[PortalHarness]:
    """A coordinator who has just signed in for this, unless told otherwise, with one disclosure
    waiting.
    """
    given: dict[str, Any] = {
        "agency": "northmoor-police",
        "roles": ("marac_coordinator",),
        "scope": "disclosure.read sharing.request",
        "name": "Jess Marlow",
        **who,
    }
    async with portal_harness(envelope(package()), folder, **given) as harness:
        harness.releases.without_proof = [WAITING]
        yield harness


def problem(status: int, code: str) -> CallRefused:
    """What sharing answers."""
    return CallRefused(status, code)


async def test_what_waits_is_listed_and_let_go_and_then_called_promised(tmp_path: Path) -> None:
    async with at(tmp_path) as harness:
        listed = (await harness.get("/emergency")).text
        assert "NM-7F3K-9QXA-2C4T" in listed
        assert "Northmoor IDVA Service" in listed
        assert (
            "I am <bdi>Jess Marlow</bdi>. I release this in my own name"
            in (await harness.get(PAGE)).text
        )
        answer = await harness.post(PAGE, **SOUND)
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        assert harness.done[-1] == "released imminent_danger_to_life"
        after = (await harness.get(PAGE)).text
        assert "Promised, not proven." in after
        assert "due by 21 November 2026 at 3:06am" in after
        assert "Release now" not in after


async def test_a_list_that_shows_not_all_says_so_and_the_rest_can_be_released(
    tmp_path: Path,
) -> None:
    async with at(tmp_path) as harness:
        assert "There is more than this page shows" not in (await harness.get("/emergency")).text
        harness.releases.without_proof.insert(
            0,
            replace(
                WAITING,
                delivery_id="01932000-0000-7000-8000-0000000000e2",
                case_reference="NM-0000",
            ),
        )
        harness.releases.room = 1
        listed = (await harness.get("/emergency")).text
        assert ("There is more than this page shows" in listed, ONE in listed) == (True, False)
        assert "Release now" in (await harness.get(PAGE)).text
        assert (await harness.post(PAGE, **SOUND)).status_code == 303


@pytest.mark.parametrize(
    "roles", [("idva",), ("police_officer",), ("social_worker",), ("auditor",), ("operator",)]
)
async def test_nobody_else_gets_near_it(tmp_path: Path, roles: tuple[str, ...]) -> None:
    async with at(tmp_path, roles=roles) as harness:
        assert [(await harness.get(path)).status_code for path in ("/emergency", PAGE)] == [
            403,
            403,
        ]
        assert [
            (await harness.post(path, **SOUND, **AGAIN)).status_code
            for path in (PAGE, "/sign-in/again")
        ] == [403, 403]
        assert "Emergency release" not in (await harness.get("/accessibility")).text
        assert (harness.done, harness.authorization.asked) == ([], [])


async def test_the_right_is_asked_for_at_a_second_sign_in_only(tmp_path: Path) -> None:
    assert ACTIONS["release_in_emergency"].scope not in SCOPES.split()
    async with at(tmp_path, scope="disclosure.read") as harness:
        for path in ("/emergency", PAGE):
            assert "Sign in again first" in (await harness.get(path)).text
        refused = await harness.post(PAGE, **SOUND)
        assert (refused.status_code, SHOWN in refused.text) == (401, True)
        assert harness.done == []
        answer = await harness.post("/sign-in/again", **AGAIN)
        assert answer.status_code == 303
        ((asked, draft),) = harness.authorization.asked
        assert (asked["scope"], asked["max_age"], asked["prompt"]) == (
            "sharing.request",
            "720",
            "login",
        )
        assert "urn:hub:acr:passkey" in asked["acr_values"].split()
        assert draft == Draft("p-1", PAGE, WRITTEN)
        assert harness.sessions.open == {}, "the visit that could not is over"
        assert SOUND["reason"] not in unquote(answer.headers["location"])
        (pending,) = harness.sessions.begun.values()
        assert pending.draft is not None
        assert pending.draft.place == PAGE


@pytest.mark.parametrize(
    "place",
    ["", "//evil.example.org", "https://evil.example.org/", "/a/../b", "/a?b", "/\\evil", "/a//b"],
)
async def test_one_returns_to_a_page_of_ours_only(tmp_path: Path, place: str) -> None:
    async with at(tmp_path, scope="disclosure.read") as harness:
        await harness.post("/sign-in/again", **{**AGAIN, "place": place})
        draft = harness.authorization.asked[0][1]
        assert draft is not None
        assert draft.place == "/work"


@pytest.mark.parametrize("action", ["", "search_log", "no_such_action"])
async def test_one_signs_in_again_for_an_act_of_ones_own_only(tmp_path: Path, action: str) -> None:
    async with at(tmp_path, roles=("auditor",) if action == "" else ("idva",)) as harness:
        wanted = {**AGAIN, "action": action or "read_unproven"}
        status = (await harness.post("/sign-in/again", **wanted)).status_code
        assert status == (303 if action == "search_log" else 403)


async def test_a_sign_in_that_is_about_to_be_too_old_is_renewed_before_anybody_writes(
    tmp_path: Path,
) -> None:
    async with at(tmp_path, signed_in_for=12.5 * 60) as harness:
        assert "Sign in again first" in (await harness.get(PAGE)).text
        assert (await harness.post(PAGE, **SOUND)).status_code == 303, (
            "what was sent in time is sharing's to judge"
        )


async def test_what_was_written_is_there_after_signing_in_again(tmp_path: Path) -> None:
    async with at(tmp_path) as harness:
        draft = Draft("p-1", PAGE, {**WRITTEN, "code": "child_in_immediate_danger"})
        await harness.sessions.put("visit", replace(harness.session, draft=draft))
        text = (await harness.get(PAGE)).text
        assert SHOWN in text
        assert 'value="child_in_immediate_danger" checked' in text
        assert 'value="yes" checked' not in text, "confirming is done afresh"


@pytest.mark.parametrize(
    ("against", "status", "said"),
    [
        (problem(409, "conflict"), 409, "Nothing was released. It has left already"),
        (problem(503, "unavailable"), 503, "cannot see now who must not be told"),
        (problem(502, "upstream-failed"), 503, "Nothing was released"),
        (problem(422, "validation-failed"), 422, "Say in a sentence why it cannot wait"),
        (problem(401, "step-up-required"), 401, "You signed in too long ago for this"),
        (NoAnswer("ReadTimeout"), 503, "it cannot leave twice"),
        (TokenRefused("unreachable"), 503, "Nothing was released"),
        (TokenRefused("invalid_grant"), 401, "sign in again, and what you wrote is kept"),
    ],
)
async def test_whatever_stands_against_it_is_said_and_nothing_typed_is_lost(
    tmp_path: Path, against: Exception, status: int, said: str
) -> None:
    async with at(tmp_path) as harness:
        harness.releases.against = against
        answer = await harness.post(PAGE, **SOUND)
        assert answer.status_code == status
        assert said in answer.text
        assert SHOWN in answer.text
        assert 'value="imminent_danger_to_life"' in answer.text
        assert "<title>\nError: " in answer.text or "<title>Error: " in answer.text
        assert SOUND["reason"][:10] not in str(answer.url)


@pytest.mark.parametrize(
    ("status", "heading"), [(403, "You cannot do this"), (404, "Page not found")]
)
async def test_what_is_not_theirs_is_a_plain_page(
    tmp_path: Path, status: int, heading: str
) -> None:
    async with at(tmp_path) as harness:
        harness.releases.against = problem(status, "forbidden")
        answer = await harness.post(PAGE, **SOUND)
        assert (answer.status_code, heading in answer.text) == (status, True)


async def test_what_does_not_wait_is_not_there(tmp_path: Path) -> None:
    async with at(tmp_path) as harness:
        answer = await harness.get("/emergency/01932000-0000-7000-8000-0000000000e2")
        assert (answer.status_code, "Nothing waits here" in answer.text) == (404, True)


async def test_once_the_proof_came_its_page_says_when_it_left_and_that_it_is_proven(
    tmp_path: Path,
) -> None:
    async with at(tmp_path) as harness:
        await harness.post(PAGE, **SOUND)
        assert "Promised, not proven." in (await harness.get(PAGE)).text
        harness.releases.without_proof = []
        assert (await harness.get(PAGE)).status_code == 404, (
            "stopped, or never left: nothing is claimed"
        )
        harness.releases.sent = [replace(WAITING, proven=True)]
        text = (await harness.get(PAGE)).text
        assert "Released, and proven now" in text
        assert "21 November 2026 at 2:06am" in text
        assert "Release now" not in text
        assert harness.done[-1] == "asked what became of NM-7F3K-9QXA-2C4T"


async def test_urgent_ones_are_marked_and_stand_first_and_the_clause_is_a_sentence(
    tmp_path: Path,
) -> None:
    async with at(tmp_path) as harness:
        urgent = replace(
            WAITING,
            delivery_id=ONE.replace("e1", "e3"),
            case_reference="NM-2222-2222-2222",
            urgent=True,
        )
        harness.releases.without_proof = [WAITING, urgent]
        text = (await harness.get("/emergency")).text
        assert text.index("NM-2222-2222-2222") < text.index("NM-7F3K-9QXA-2C4T")
        assert len(re.findall(r"^ *Urgent$|>Urgent<", text, re.MULTILINE)) == 1
        shown = (await harness.get(PAGE)).text
        assert "When a victim is at high risk, the IDVA service is told." in shown
        assert "NM-2" in shown


async def test_too_many_words_about_danger_all_stay_on_the_form(tmp_path: Path) -> None:
    """Whoever wrote them decides what goes; what fits exactly is released as it stands."""
    lines = "He is at her door.\r\n" * 120
    assert len(lines.strip()) > LONGEST
    async with at(tmp_path) as harness:
        answer = await harness.post(PAGE, **{**SOUND, "reason": lines})
        assert answer.status_code == 422
        assert "Shorten this to 2,000 characters: it has 2,279." in answer.text
        assert answer.text.count("He is at her door.") == 120, "every word is still there"
        assert 'value="imminent_danger_to_life" checked' in answer.text
        assert not [done for done in harness.done if done.startswith("released")]
        fits = "He is at her door.\r\n" * 105
        assert len(fits.strip()) > LONGEST
        assert problems({**SOUND, "reason": fits}) == {}, "a line end is one character"
        huge = await harness.post(PAGE, **{**SOUND, "reason": "x" * 300_000})
        assert huge.status_code == 413
        assert "Go back: what you wrote may still stand there" in huge.text


@pytest.mark.parametrize("missing", ["code", "reason", "confirm"])
async def test_a_form_with_a_gap_releases_nothing(tmp_path: Path, missing: str) -> None:
    typed = {**SOUND, missing: ""}
    assert list(problems(typed)) == [missing]
    async with at(tmp_path) as harness:
        answer = await harness.post(PAGE, **typed)
        assert answer.status_code == 422
        assert f'href="#{missing}"' in answer.text
        assert not [done for done in harness.done if done.startswith("released")]
        if missing != "reason":
            assert SHOWN in answer.text


@pytest.mark.parametrize(("site", "own_token"), [("cross-site", True), ("same-origin", False)])
@pytest.mark.parametrize("path", [PAGE, "/sign-in/again"])
async def test_only_our_own_form_releases(
    tmp_path: Path, path: str, site: str, own_token: bool
) -> None:
    async with at(tmp_path) as harness:
        token = harness.session.csrf if own_token else "another"
        answer = await harness.client.post(
            path, data={**SOUND, "csrf": token}, headers={"Sec-Fetch-Site": site}
        )
        assert answer.status_code == 403
        assert (harness.done, harness.authorization.asked) == ([], [])
