"""Opening and accepting a delivery: recorded first, verified before anything is shown, safe contact
on top."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from common.web.client import ProblemAnswer, TokenRefused
from hubformats.canonical import b64u, canonical
from hubformats.keys import generate_signing
from portal.domain.visit import ABSOLUTE, IDLE
from tests.support.portal_bed import (
    CONTENT,
    DELIVERY,
    ME,
    SECRET_NAME,
    PortalBed,
    envelope,
    package,
    portal_bed,
    promised,
)

PAGE = f"/deliveries/{DELIVERY}"


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[PortalBed]:
    """A portal with one sound delivery."""
    async with portal_bed(envelope(package()), tmp_path) as made:
        yield made


async def test_a_sound_delivery_is_recorded_then_shown(bed: PortalBed) -> None:
    answer = await bed.get(PAGE)
    assert answer.status_code == 200
    assert SECRET_NAME in answer.text
    assert "entry 1 of 2" in answer.text
    assert "not part of what was shared with you" in answer.text, (
        "who sent it is said only where the content holds it"
    )
    assert "the safe-contact rule was not shared with you" in answer.text, (
        "no rule means do not contact"
    )
    assert bed.hub.done == ["fetched", "recorded consultation"]
    entry = bed.recorder.entries[0]
    assert (entry.delivery, entry.actor.agency, entry.actor.role, entry.channel) == (
        str(DELIVERY),
        ME,
        "idva",
        "portal",
    )
    assert entry.case_references == ("NM-7F3K-9QXA-2C4T",), "who looked can be found by the case"


async def test_nothing_is_shown_when_the_look_cannot_be_recorded(bed: PortalBed) -> None:
    bed.recorder.fails = True
    answer = await bed.get(PAGE)
    assert answer.status_code == 500
    assert SECRET_NAME not in answer.text
    assert not bed.shelf.kept


async def test_an_audit_backlog_shows_a_plain_page_and_fetches_nothing(bed: PortalBed) -> None:
    bed.recorder.is_ready = False
    answer = await bed.get(PAGE)
    assert answer.status_code == 503
    assert "The service is not available now" in answer.text
    assert bed.hub.done == []


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
        package(proof=package().proof.replace("example.org/northmoor-log", "example.org/other-log"))
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
    async with portal_bed(SPOILED[how](), tmp_path) as bed:
        answer = await bed.get(PAGE)
        assert "This delivery does not verify" in answer.text
        assert SECRET_NAME not in answer.text
        assert "NM-7F3K" not in answer.text
        assert bed.hub.done == ["fetched", "recorded consultation"]
        assert bed.recorder.entries[0].outcome == "failed"
        assert bed.recorder.entries[0].reason_code
        assert not bed.shelf.kept
        accepted = await bed.post(f"{PAGE}/accept")
        assert "This delivery does not verify" in accepted.text
        assert "receipt" not in bed.hub.done
        assert "recorded acknowledged" not in bed.hub.done


async def test_a_promise_is_not_called_a_proof(tmp_path: Path) -> None:
    async with portal_bed(envelope(promised()), tmp_path) as bed:
        text = (await bed.get(PAGE)).text
        assert "Promised." in text
        assert "It is not proven yet" in text
        assert "Proven." not in text


async def test_accepting_signs_then_acknowledges_once(bed: PortalBed) -> None:
    answer = await bed.post(f"{PAGE}/accept")
    assert answer.status_code == 303
    assert bed.hub.done == [
        "fetched",
        "recorded consultation",
        "receipt",
        "acknowledged as idva",
        "recorded acknowledged",
    ]
    assert bed.recorder.entries[-1].case_references == ("NM-7F3K-9QXA-2C4T",)


async def test_accepting_again_after_a_crash_sends_only_what_is_missing(bed: PortalBed) -> None:
    bed.hub.state, bed.hub.saved_at = "saved", "2026-11-21T02:06:00Z"
    assert "Accept this delivery" in (await bed.get(PAGE)).text
    await bed.post(f"{PAGE}/accept")
    assert "receipt" not in bed.hub.done
    assert "acknowledged as idva" in bed.hub.done


async def test_acknowledged_alone_is_still_to_be_signed_for(bed: PortalBed) -> None:
    bed.hub.state = "acknowledged"
    shown = (await bed.get(PAGE)).text
    assert "Acknowledged, still to be signed for" in shown
    assert "Accept this delivery" in shown
    assert "Your agency has signed for it" not in shown
    listed = (await bed.get("/work")).text
    assert "Acknowledged, still to be signed for" in listed
    assert "Nothing accepted yet." in listed
    bed.hub.done.clear()
    await bed.post(f"{PAGE}/accept")
    assert "receipt" in bed.hub.done
    assert "acknowledged as idva" not in bed.hub.done, "only what is missing is sent"
    bed.hub.state = "acknowledged"
    assert "Your agency has signed for it" in (await bed.get(PAGE)).text
    assert "Nothing is waiting for you." in (await bed.get("/work")).text


async def test_the_list_names_the_case_only_once_it_was_opened(bed: PortalBed) -> None:
    before = (await bed.get("/work")).text
    assert "Not opened yet" in before
    assert "NM-7F3K" not in before
    await bed.get(PAGE)
    after = (await bed.get("/work")).text
    assert "NM-7F3K-9QXA-2C4T" in after
    assert "Opened" in after
    assert SECRET_NAME not in after


async def test_an_agency_without_custody_is_told_so(tmp_path: Path) -> None:
    async with portal_bed(envelope(package()), tmp_path, agency="northmoor-police") as bed:
        assert "Your agency keeps its own keys" in (await bed.get("/work")).text
        assert "Open this in your own system" in (await bed.get(PAGE)).text
        assert "Open this in your own system" in (await bed.post(f"{PAGE}/accept")).text
        assert bed.hub.done == [], "nothing is fetched that cannot be opened"


async def test_a_scope_that_was_not_granted_opens_nothing(tmp_path: Path) -> None:
    async with portal_bed(envelope(package()), tmp_path, scope="disclosure.read") as bed:
        shown = (await bed.get(PAGE)).text
        assert "Accept this delivery" not in shown
        assert "A colleague whose role includes it" in shown
        assert (await bed.post(f"{PAGE}/accept")).status_code == 403
        assert "receipt" not in bed.hub.done
    async with portal_bed(envelope(package()), tmp_path, scope="directory.read") as bed:
        assert [
            (await bed.get(path)).status_code
            for path in ("/work", PAGE, "/audit-log", "/audit-log/entries/3")
        ] == [403] * 4
        assert bed.hub.done == []


@pytest.mark.parametrize(("step", "limit"), [(IDLE, IDLE), (IDLE - timedelta(minutes=1), ABSOLUTE)])
async def test_a_visit_ends_by_idleness_and_by_age(
    bed: PortalBed, step: timedelta, limit: timedelta
) -> None:
    """The second case is busy all the time, and still ends after one shift."""
    spent = timedelta(0)
    while spent + step <= limit:
        assert (await bed.get("/work")).status_code == 200
        bed.clock.advance(step)
        spent += step
    bed.clock.advance(timedelta(seconds=1) if step == limit else step)
    answer = await bed.get("/work")
    assert answer.status_code == 401
    assert "Sign in again" in answer.text
    assert not bed.sessions.open


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
    bed: PortalBed, headers: dict[str, str], token: str
) -> None:
    for path in (f"{PAGE}/accept", "/audit-log", "/sign-out", "/stay"):
        answer = await bed.client.post(path, data={"csrf": token}, headers=headers)
        assert answer.status_code == 403
    assert bed.hub.done == []
    assert bed.sessions.open


async def test_origin_is_enough_for_a_browser_without_fetch_metadata(bed: PortalBed) -> None:
    form = {"csrf": bed.session.csrf}
    answer = await bed.client.post(
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
    bed: PortalBed, way: str, against: str, refused: bool
) -> None:
    bed.authorization.against = against
    await bed.client.post("/sign-in", headers={"Sec-Fetch-Site": "same-origin"})
    answer = await bed.client.get(way)
    assert answer.status_code == (403 if refused else 400)
    assert ("Sign-in was refused" in answer.text) == refused
    assert ("support on 01632 960000" in answer.text) == refused
    assert ("Start again" in answer.text) != refused, "no loop"
    assert ("Go to the start" in answer.text) != refused


@pytest.mark.parametrize(
    "failure",
    [TokenRefused("unauthorized_client"), ProblemAnswer(403, {"code": "agency-suspended"})],
)
async def test_an_agency_suspended_during_a_visit_is_told_whom_to_ring(
    bed: PortalBed, failure: Exception
) -> None:
    bed.hub.unlisted = failure
    answer = await bed.get("/work")
    assert answer.status_code == 403
    assert "Sign-in was refused" in answer.text
    assert "01632 960000" in answer.text


async def test_hiding_ends_the_visit_and_clears_the_browser(bed: PortalBed) -> None:
    answer = await bed.get("/leave")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/hidden"
    assert answer.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert re.search(r'hub="";.*Max-Age=0', answer.headers["set-cookie"])
    assert not bed.sessions.open
