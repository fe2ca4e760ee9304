"""Opening and accepting a delivery: recorded first, verified before anything is shown, safe contact
on top."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from hubformats.canonical import b64u, canonical
from hubformats.keys import generate_signing
from identity.bootstrap.model.northmoor import LOG_ORIGIN
from portal.shell.model import ABSOLUTE, IDLE, CallRefused, TokenRefused
from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import (
    CONTENT,
    DELIVERY,
    ME,
    SECRET_NAME,
    envelope,
    package,
    promised,
)

PAGE = f"/deliveries/{DELIVERY}"


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[PortalHarness]:
    """A portal with one sound delivery."""
    async with portal_harness(envelope(package()), tmp_path) as made:
        yield made


async def test_a_sound_delivery_is_recorded_then_shown(harness: PortalHarness) -> None:
    answer = await harness.get(PAGE)
    assert answer.status_code == 200
    assert SECRET_NAME in answer.text
    assert "entry 1 of 2" in answer.text
    assert "not part of what was shared with you" in answer.text, (
        "who sent it is said only where the content holds it"
    )
    assert "the safe-contact rule was not shared with you" in answer.text, (
        "no rule means do not contact"
    )
    assert harness.done == ["fetched", "recorded consultation"]
    entry = harness.recorder.entries[0]
    assert (entry.delivery, entry.actor.agency, entry.actor.role, entry.channel) == (
        str(DELIVERY),
        ME,
        "idva",
        "portal",
    )
    assert entry.case_references == ("NM-7F3K-9QXA-2C4T",), "who looked can be found by the case"


async def test_nothing_is_shown_when_the_look_cannot_be_recorded(harness: PortalHarness) -> None:
    harness.recorder.fails = True
    answer = await harness.get(PAGE)
    assert answer.status_code == 500
    assert SECRET_NAME not in answer.text
    assert not harness.summaries.kept


async def test_an_audit_backlog_shows_a_plain_page_and_fetches_nothing(
    harness: PortalHarness,
) -> None:
    harness.recorder.is_ready = False
    answer = await harness.get(PAGE)
    assert answer.status_code == 503
    assert "The service is not available now" in answer.text
    assert harness.done == []


SPOILED: dict[str, Callable[[], bytes]] = {
    "content changed": lambda: envelope(
        package(content=b64u(canonical({**CONTENT, "urgent": False})))
    ),
    "another agency's content": lambda: envelope(
        package({**CONTENT, "recipient": "northmoor-housing"})
    ),
    "record of another delivery": lambda: envelope(
        package({**CONTENT, "deliveryId": "01932000-0000-7000-8000-000000000099"})
    ),
    "no proof": lambda: envelope(package(proof="")),
    "proof of another log": lambda: envelope(
        package(proof=package().proof.replace(LOG_ORIGIN, "example.org/other-log"))
    ),
    "wrong salt": lambda: envelope(package(record_salt=b64u(b"x" * 32))),
    "signed by nobody we know": lambda: envelope(package(), sender=generate_signing("svc:sharing")),
    "truncated": lambda: envelope(package())[:-40],
    "one byte flipped": lambda: envelope(package()).replace(b'"tag":"', b'"tag":"A', 1),
    "another delivery in its place": lambda: envelope(
        package(
            {**CONTENT, "deliveryId": "01932000-0000-7000-8000-000000000099"},
            delivery_id=UUID("01932000-0000-7000-8000-000000000099"),
        )
    ),
    "not an envelope": lambda: b"{}",
}


@pytest.mark.parametrize("how", SPOILED)
async def test_what_does_not_verify_is_not_shown(how: str, tmp_path: Path) -> None:
    async with portal_harness(SPOILED[how](), tmp_path) as harness:
        answer = await harness.get(PAGE)
        assert "This delivery does not verify" in answer.text
        assert SECRET_NAME not in answer.text
        assert "NM-7F3K" not in answer.text
        assert harness.done == ["fetched", "recorded consultation"]
        assert harness.recorder.entries[0].outcome == "failed"
        assert harness.recorder.entries[0].reason_code
        assert not harness.summaries.kept
        accepted = await harness.post(f"{PAGE}/accept")
        assert "This delivery does not verify" in accepted.text
        assert "receipt" not in harness.done
        assert "recorded acknowledged" not in harness.done


async def test_a_promise_is_not_called_a_proof(tmp_path: Path) -> None:
    async with portal_harness(envelope(promised()), tmp_path) as harness:
        text = (await harness.get(PAGE)).text
        assert "Promised." in text
        assert "It is not proven yet" in text
        assert "Proven." not in text


async def test_accepting_signs_then_acknowledges_once(harness: PortalHarness) -> None:
    answer = await harness.post(f"{PAGE}/accept")
    assert answer.status_code == 303
    assert harness.done == [
        "fetched",
        "recorded consultation",
        "receipt",
        "acknowledged as idva",
        "recorded acknowledged",
    ]
    assert harness.recorder.entries[-1].case_references == ("NM-7F3K-9QXA-2C4T",)


async def test_accepting_again_after_a_crash_sends_only_what_is_missing(
    harness: PortalHarness,
) -> None:
    harness.deliveries.stand(state="saved", saved_at="2026-11-21T02:06:00Z")
    assert "Accept this delivery" in (await harness.get(PAGE)).text
    await harness.post(f"{PAGE}/accept")
    assert "receipt" not in harness.done
    assert "acknowledged as idva" in harness.done


async def test_acknowledged_alone_is_still_to_be_signed_for(harness: PortalHarness) -> None:
    harness.deliveries.stand(state="acknowledged")
    shown = (await harness.get(PAGE)).text
    assert "Acknowledged, still to be signed for" in shown
    assert "Accept this delivery" in shown
    assert "Your agency has signed for it" not in shown
    listed = (await harness.get("/work")).text
    assert "Acknowledged, still to be signed for" in listed
    assert "Nothing accepted yet." in listed
    harness.done.clear()
    await harness.post(f"{PAGE}/accept")
    assert "receipt" in harness.done
    assert "acknowledged as idva" not in harness.done, "only what is missing is sent"
    harness.deliveries.stand(state="acknowledged")
    assert "Your agency has signed for it" in (await harness.get(PAGE)).text
    assert "Nothing is waiting for you." in (await harness.get("/work")).text


async def test_the_list_names_the_case_only_once_it_was_opened(harness: PortalHarness) -> None:
    before = (await harness.get("/work")).text
    assert "Not opened here yet" in before
    assert "NM-7F3K" not in before
    await harness.get(PAGE)
    after = (await harness.get("/work")).text
    assert "NM-7F3K-9QXA-2C4T" in after
    assert "Opened" in after
    assert SECRET_NAME not in after


async def test_an_agency_without_custody_is_told_so(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path, agency="northmoor-police") as harness:
        assert "Your agency keeps its own keys" in (await harness.get("/work")).text
        assert "Open this in your own system" in (await harness.get(PAGE)).text
        assert "Open this in your own system" in (await harness.post(f"{PAGE}/accept")).text
        assert harness.done == [], "nothing is fetched that cannot be opened"


async def test_a_scope_that_was_not_granted_opens_nothing(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path, scope="disclosure.read") as harness:
        shown = (await harness.get(PAGE)).text
        assert "Accept this delivery" not in shown
        assert "A colleague whose role includes it" in shown
        assert (await harness.post(f"{PAGE}/accept")).status_code == 403
        assert "receipt" not in harness.done
    async with portal_harness(envelope(package()), tmp_path, scope="directory.read") as harness:
        assert [
            (await harness.get(path)).status_code
            for path in ("/work", PAGE, "/audit-log", "/audit-log/entries/3")
        ] == [403] * 4
        assert harness.done == []


@pytest.mark.parametrize(("step", "limit"), [(IDLE, IDLE), (IDLE - timedelta(minutes=1), ABSOLUTE)])
async def test_a_visit_ends_by_idleness_and_by_age(
    harness: PortalHarness, step: timedelta, limit: timedelta
) -> None:
    """The second case is busy all the time, and still ends after one shift."""
    spent = timedelta(0)
    while spent + step <= limit:
        assert (await harness.get("/work")).status_code == 200
        harness.clock.advance(step)
        spent += step
    harness.clock.advance(timedelta(seconds=1) if step == limit else step)
    answer = await harness.get("/work")
    assert answer.status_code == 401
    assert "Sign in again" in answer.text
    assert not harness.sessions.open


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, "csrf-of-this-visit"),
        ({"Sec-Fetch-Site": "none"}, "csrf-of-this-visit"),
        ({"Origin": "http://portal.example.org.evil.example.org"}, "csrf-of-this-visit"),
        ({}, "csrf-of-this-visit"),
        ({"Sec-Fetch-Site": "same-origin"}, "csrf-of-another-visit"),
        ({"Sec-Fetch-Site": "same-origin"}, ""),
    ],
)
async def test_a_post_from_elsewhere_does_nothing(
    harness: PortalHarness, headers: dict[str, str], token: str
) -> None:
    for path in (f"{PAGE}/accept", "/audit-log", "/sign-out", "/stay"):
        answer = await harness.client.post(path, data={"csrf": token}, headers=headers)
        assert answer.status_code == 403
    assert harness.done == []
    assert harness.sessions.open


async def test_origin_is_enough_for_a_browser_without_fetch_metadata(
    harness: PortalHarness,
) -> None:
    form = {"csrf": harness.session.csrf}
    answer = await harness.client.post(
        f"{PAGE}/accept", data=form, headers={"Origin": "http://portal.example.org"}
    )
    assert answer.status_code == 303


BACK = "/sign-in/callback?state=s&iss=http://identity.example.org"


@pytest.mark.parametrize(
    ("way", "against", "refused"),
    [
        (f"{BACK}&error=access_denied", "", True),
        (f"{BACK}&code=c", "unauthorized_client", True),
        (f"{BACK}&code=c", "invalid_grant", False),
        (f"{BACK}&error=server_error", "", False),
    ],
)
async def test_a_refused_sign_in_says_so_and_whom_to_ring(
    harness: PortalHarness, way: str, against: str, refused: bool
) -> None:
    harness.authorization.against = against
    await harness.client.post("/sign-in", headers={"Sec-Fetch-Site": "same-origin"})
    answer = await harness.client.get(way)
    assert answer.status_code == (403 if refused else 400)
    assert ("Sign-in was refused" in answer.text) == refused
    assert ("support on 01632 960000" in answer.text) == refused
    assert ("Start again" in answer.text) != refused, "no loop"
    assert ("Go to the start" in answer.text) != refused


@pytest.mark.parametrize(
    "failure",
    [TokenRefused("unauthorized_client"), CallRefused(403, "agency-suspended")],
)
async def test_an_agency_suspended_during_a_visit_is_told_whom_to_ring(
    harness: PortalHarness, failure: Exception
) -> None:
    harness.deliveries.against = failure
    answer = await harness.get("/work")
    assert answer.status_code == 403
    assert "Sign-in was refused" in answer.text
    assert "01632 960000" in answer.text


async def test_hiding_ends_the_visit_and_clears_the_browser(harness: PortalHarness) -> None:
    answer = await harness.get("/leave")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/hidden"
    assert answer.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert re.search(r'hub="";.*Max-Age=0', answer.headers["set-cookie"])
    assert not harness.sessions.open


async def test_a_withdrawal_for_an_agency_with_its_own_keys_says_to_stop(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path, agency="northmoor-police") as harness:
        harness.deliveries.stand(kind="withdrawal", answer_due="2026-11-23T02:10:00Z")
        page = (await harness.get(PAGE)).text
        assert "This takes back what your agency was told" in page
        assert "contact nobody because of it until you have read it." in page
        assert "Answer by 23 November 2026 at 2:10am." in page
        assert "fetched" not in harness.deliveries.done[1:], "it was not looked at"
        harness.deliveries.stand(kind="disclosure")
        page = (await harness.get(PAGE)).text
        assert "takes back" not in page
        assert "by when to accept it, shows only there" in page


async def test_urgent_danger_stands_right_under_the_box_and_says_whom_to_call(
    tmp_path: Path,
) -> None:
    danger = {
        "category": "danger_summary",
        "label": "Immediate danger",
        "clause": "NM-1",
        "items": [{"label": "The danger", "value": "At the door", "quality": "fact"}],
    }
    content = {**CONTENT, "sections": [*CONTENT["sections"], danger]}
    async with portal_harness(envelope(package(content)), tmp_path) as harness:
        page = (await harness.get(PAGE)).text
        places = [page.index(one) for one in ('id="safe-contact"', "At the door", "hub-proof")]
        assert places == sorted(places)
        assert page.count("At the door") == 1
        assert "Do not assume that police are there" in page
        assert "To reach whoever sent it, call support on 01632 960000." in page
    async with portal_harness(envelope(package({**content, "urgent": False})), tmp_path) as harness:
        page = (await harness.get(PAGE)).text
        assert page.index("hub-proof") < page.index("At the door")
        assert "Do not assume" not in page


async def test_who_accepted_it_is_told_to_each_without_a_name(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        await harness.post(f"{PAGE}/accept")
        assert "Accepted by you, 21 November 2026 at 2:06am." in (await harness.get(PAGE)).text
        (key,) = harness.summaries.kept
        kept = harness.summaries.kept[key]
        harness.summaries.kept[key] = replace(kept, accepted_by="another")
        page = (await harness.get(PAGE)).text
        assert "Accepted by a colleague, 21 November 2026 at 2:06am." in page
        harness.summaries.kept[key] = replace(kept, accepted_by=None)
        assert "Accepted 21 November 2026 at 2:06am." in (await harness.get(PAGE)).text
