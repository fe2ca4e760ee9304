"""A page that is open learns within a minute that what it shows was taken back; a reload says so."""

from pathlib import Path

import pytest

from portal.work.model.delivery import Standing
from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import DELIVERY, SECRET_NAME, envelope, package
from tests.unit.portal.test_withdrawal import BACK

PATH = f"/deliveries/{DELIVERY}"
AT = "2026-11-21T02:40:00Z"
TAKEN = Standing(stands=False, taken_back_at=AT, said_by=str(BACK))


async def reloaded(harness: PortalHarness) -> str:
    """The page as a reload shows it."""
    answer = await harness.get(PATH)
    assert answer.status_code == 410
    assert "Page not found" not in answer.text
    assert SECRET_NAME not in answer.text
    return answer.text


async def test_an_open_page_asks_whether_it_stands_and_that_is_no_look(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        shown = (await harness.get(PATH)).text
        assert f'data-from="{PATH}/standing" data-told="stands"' in shown
        looks, seen = len(harness.recorder.entries), harness.sessions.open["visit"].seen
        harness.clock.advance(60)
        asked = await harness.get(f"{PATH}/standing")
        assert asked.status_code == 200
        assert 'data-told="stands"' in asked.text
        assert SECRET_NAME not in asked.text
        harness.deliveries.take_back(str(DELIVERY), TAKEN)
        asked = await harness.get(f"{PATH}/standing")
        assert asked.status_code == 200, "the script takes in what is no error"
        assert f'data-told="gone {AT} {BACK}"' in asked.text
        assert "do not act on it, and contact nobody because of it" in asked.text
        assert len(harness.recorder.entries) == looks
        assert harness.sessions.open["visit"].seen == seen, "the visit ends as if nobody had asked"


async def test_a_reload_says_when_it_was_taken_back_and_what_is_asked(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.take_back(str(DELIVERY), TAKEN)
        text = await reloaded(harness)
        assert "took back what it told your agency here on 21 November 2026 at 2:40am" in text
        assert "Stop using it, and delete it unless a duty makes you keep it" in text
        assert f'href="/deliveries/{BACK}">Read the withdrawal</a>' in text
        harness.deliveries.take_back(str(DELIVERY), Standing(stands=False, taken_back_at=AT))
        assert "The withdrawal itself has not come yet" in await reloaded(harness)


async def test_what_a_correction_replaces_leads_to_it(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        found = Standing(stands=False, taken_back_at=AT, replaced=True, said_by=str(BACK))
        harness.deliveries.take_back(str(DELIVERY), found)
        text = await reloaded(harness)
        assert f'href="/deliveries/{BACK}">Read the correction</a>' in text
        assert "Taken back" not in text


async def test_what_is_not_decided_yet_says_that(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.take_back(str(DELIVERY), Standing(stands=False))
        text = await reloaded(harness)
        assert "Not shown now: do not act on it" in text
        assert "deciding now whether your agency may still see it" in text
        assert "delete it" not in text


@pytest.mark.parametrize("path", [PATH[:-1] + "9", f"{PATH[:-1]}9/standing"])
async def test_what_was_never_there_is_still_not_found(tmp_path: Path, path: str) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        answer = await harness.get(path)
        assert answer.status_code == 404
        assert "Page not found" in answer.text


async def test_accepting_what_was_taken_back_meanwhile_says_so(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        await harness.get(PATH)
        harness.deliveries.take_back(str(DELIVERY), TAKEN)
        answer = await harness.post(f"{PATH}/accept")
        assert (answer.status_code, "Taken back" in answer.text) == (410, True)
        assert not harness.deliveries.receipts
