"""What was sent and not kept: nobody reads that a veto holds which was never set."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from portal.shell.model import IDLE, CallRefused, NoAnswer, TokenRefused, form_token, is_token_of
from portal.vetoes.model import Veto
from tests.support.portal_harness import COOKIE, PortalHarness, portal_harness
from tests.support.portal_packages import DELIVERY, envelope, package
from tests.unit.portal.test_vetoes import CASE, LOOKING, OWEN, SETTLING, SHOWN, TOM, WORDS, at

NOT_KEPT = "What you just sent was not kept. No veto was set, and nothing was accepted"
UNKNOWN = "It is not known whether it was kept. Look again before you rely on it."
TYPED = {"answer": "conflict/declared", "agency": "northmoor-housing", "reason": WORDS}
AWAY = NoAnswer("ReadTimeout", reading=True)
OURS = {"Sec-Fetch-Site": "same-origin"}
BACK = "/sign-in/callback?state=s&iss=http://identity.example.org&code=c"


@pytest.fixture
async def tom(tmp_path: Path) -> AsyncIterator[PortalHarness]:
    async with at(tmp_path, TOM) as harness:
        harness.session = replace(harness.session, csrf=form_token("p-1"))
        await harness.sessions.put(COOKIE, harness.session)
        harness.authorization.grants = harness.session.grantings
        yield harness


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in found}


async def signed_in_again(harness: PortalHarness, kept: dict[str, str]) -> httpx2.Response:
    """Begin a sign-in with what the page kept, and come back from it; where that leads."""
    harness.client.cookies.clear()
    began = await harness.client.post("/sign-in", data=kept, headers=OURS)
    assert began.status_code == 303
    ((cookie, pending),) = harness.sessions.begun.items()
    harness.sessions.begun = {cookie: replace(pending, began=harness.clock.now())}
    return await harness.client.get(BACK)


async def test_a_veto_sent_after_the_visit_ended_is_said_not_to_be_set(tom: PortalHarness) -> None:
    tom.clock.advance(IDLE * 1.1)
    answer = await tom.post(CASE, **TYPED)
    assert (answer.status_code, tom.done) == (401, [])
    for words in (NOT_KEPT, "Sign in and do it again", "01632 960000", "call 999"):
        assert words in unescape(answer.text)
    assert "is lost" not in answer.text


async def test_what_was_written_stands_in_the_form_after_signing_in(tom: PortalHarness) -> None:
    tom.clock.advance(IDLE * 1.1)
    kept = fields((await tom.post(CASE, **TYPED)).text)
    assert kept["kept.reason"] == WORDS
    back = await signed_in_again(tom, kept)
    assert (back.status_code, back.headers["location"]) == (303, CASE)
    page = (await tom.get(CASE)).text
    assert SHOWN in page
    assert "selected" in re.findall(r'<option value="northmoor-housing"[^>]*>', page)[0]
    (tom.session,) = tom.sessions.open.values()
    assert (await tom.post(CASE, **TYPED)).status_code == 303
    assert SHOWN not in (await tom.get(CASE)).text, "it would look as if it was not sent"


async def test_another_person_at_the_same_browser_does_not_get_it(tom: PortalHarness) -> None:
    tom.clock.advance(IDLE * 1.1)
    kept = fields((await tom.post(CASE, **TYPED)).text)
    forged = {**kept, "writer": form_token("p-2")}
    back = await signed_in_again(tom, forged)
    assert back.headers["location"] == "/work"
    assert SHOWN not in (await tom.get(CASE)).text


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"/deliveries/{DELIVERY}/accept", f"/deliveries/{DELIVERY}"),
        (f"{LOOKING}/owner", LOOKING),
        ("/vetoes/../leave", ""),
        ("/audit-log", ""),
    ],
)
async def test_one_comes_back_to_a_page_of_ours_or_to_the_first(
    tom: PortalHarness, path: str, place: str
) -> None:
    tom.clock.advance(IDLE * 1.1)
    kept = fields((await tom.post(path)).text)
    assert kept.get("place", "") == place


async def test_another_sites_form_leaves_nothing_behind(tom: PortalHarness) -> None:
    tom.clock.advance(IDLE * 1.1)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    answer = await tom.client.post(CASE, data=TYPED, headers=foreign)
    assert (answer.status_code, "kept.reason" in answer.text) == (401, False)
    for sent in ({"place": "/leave"}, {"place": CASE, "kept.reason": "x" * 9_000}, {}):
        await tom.client.post("/sign-in", data=sent, headers=OURS)
        assert tom.authorization.asked[-1][1] is None


@pytest.mark.parametrize(
    ("against", "said"),
    [
        (CallRefused(503, "unavailable"), "no veto was set or lifted"),
        (NoAnswer("ReadTimeout"), "not known whether it was kept. Look again before"),
    ],
)
async def test_a_veto_that_referral_did_not_take_says_so_on_the_form(
    tom: PortalHarness, against: Exception, said: str
) -> None:
    tom.vetoes.against = against
    answer = await tom.post(CASE, **TYPED)
    assert (answer.status_code, said in answer.text, SHOWN in answer.text) == (503, True, True)


def fail_reading(harness: PortalHarness, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def fail(*_: Any) -> Any:
        raise AWAY

    monkeypatch.setattr(harness.vetoes, name, fail)


async def test_when_referral_is_away_nothing_is_said_to_be_kept_and_the_text_stands_there(
    tom: PortalHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_reading(tom, monkeypatch, "reasons")
    answer = await tom.post(CASE, **TYPED)
    assert (answer.status_code, NOT_KEPT in answer.text, SHOWN in answer.text) == (503, True, True)
    monkeypatch.undo()
    again = fields(answer.text)
    assert (await tom.client.post(CASE, data=again, headers=OURS)).status_code == 303
    assert tom.done == ["set conflict/declared on northmoor-housing"]


async def test_an_act_without_an_answer_is_never_said_not_to_be_kept(
    tom: PortalHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that would be shown again cannot be read either."""
    tom.vetoes.against = NoAnswer("ReadTimeout")
    fail_reading(tom, monkeypatch, "of_referral")
    answer = await tom.post(CASE, **TYPED)
    assert (answer.status_code, UNKNOWN in answer.text, SHOWN in answer.text) == (503, True, True)
    assert NOT_KEPT not in answer.text
    assert "Send it again" not in answer.text


@pytest.mark.parametrize(
    ("against", "status"),
    [
        (CallRefused(503, "unavailable"), 503),
        (CallRefused(502, "none"), 502),
        (TokenRefused("unreachable"), 503),
        (NoAnswer("ReadTimeout"), 503),
    ],
)
async def test_an_acceptance_may_be_half_done_so_it_is_not_known(
    tmp_path: Path, against: Exception, status: int
) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.against = against
        answer = await harness.post(f"/deliveries/{DELIVERY}/accept")
    assert (answer.status_code, UNKNOWN in answer.text) == (status, True)
    assert f'href="/deliveries/{DELIVERY}"' in answer.text


async def test_a_second_look_that_sharing_did_not_take_is_not_kept(tmp_path: Path) -> None:
    async with at(tmp_path, OWEN) as harness:
        harness.looks.against = CallRefused(503, "unavailable")
        answer = await harness.post(LOOKING, answer="reasonable/needed", reason=WORDS)
        assert (answer.status_code, NOT_KEPT in answer.text) == (503, True)
        assert SHOWN in answer.text
        assert (await harness.get(SETTLING)).status_code == 200


async def test_a_page_that_cannot_be_read_names_the_support(tom: PortalHarness) -> None:
    tom.deliveries.against = CallRefused(503, "unavailable")
    answer = await tom.get("/work")
    assert (answer.status_code, "01632 960000, any hour." in answer.text) == (503, True)
    assert "Nothing was lost" not in answer.text


def test_a_forms_token_tells_whose_it_is() -> None:
    token = form_token("p-1")
    assert token != form_token("p-1")
    assert [is_token_of(token, each) for each in ("p-1", "p-2", "")] == [True, False, False]
    assert not is_token_of("csrf-of-an-older-hub", "p-1")


async def test_who_is_barred_is_told_to_stop_and_the_setter_knows(tom: PortalHarness) -> None:
    tom.vetoes.in_force = [Veto("v", "conflict", "northmoor-housing", "*", "")]
    page = (await tom.get(CASE)).text
    assert "it is told to stop using it and must answer" in page
    assert "speak to your safeguarding lead first" in page
    assert "It is not told<" not in page
