"""What the pages of vetoes say before and after: who holds the case, and how a request ended."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.portal_packages import DELIVERY
from tests.unit.portal.test_vetoes import (
    ASKED,
    CASE,
    LOOKING,
    OWEN,
    REFERRAL,
    TOM,
    VETO,
    at,
)

HELD = {"northmoor-housing": "saved", "northmoor-idva": "withdrawn", "northmoor-csc": "blocked"}


async def test_no_agency_is_chosen_for_one_and_who_holds_it_is_said(tmp_path: Path) -> None:
    async with at(tmp_path, TOM) as harness:
        page = (await harness.get(CASE)).text
        assert re.search(r'<option value=""[^>]*>Choose an agency</option>\s*<option', page)
        assert "selected" not in page
        assert "No agency holds it now." in page
        harness.vetoes.outcomes = HELD
        (said,) = re.findall('id="holders">(.*?)</p>', (await harness.get(CASE)).text)
        assert "Now with: <bdi>Northmoor Housing</bdi>." in said
        assert "Taken back from: <bdi>" in said


async def test_what_was_set_is_said_to_hold_and_since_when(tmp_path: Path) -> None:
    async with at(tmp_path, TOM) as harness:
        assert ASKED.veto is not None
        harness.vetoes.in_force = [ASKED.veto]
        page = (await harness.get(f"{CASE}?holds={VETO}")).text
        assert "it holds since 20 November 2026" in page
        assert "takes some seconds" in page
        harness.vetoes.outcomes = HELD
        page = (await harness.get(f"{CASE}?holds={VETO}")).text
        assert page.count("Taken back from: <bdi>") == 2
        for plain in (CASE, f"{CASE}?holds={REFERRAL}"):
            assert "The veto holds" not in (await harness.get(plain)).text, "not in force"


async def test_the_agencys_own_reference_stands_beside_the_hubs(tmp_path: Path) -> None:
    async with at(tmp_path, TOM) as harness:
        for path in ("/vetoes", CASE, f"{CASE}/{VETO}"):
            assert "Your reference <bdi>NP-2026-41</bdi>" in (await harness.get(path)).text
        harness.vetoes.referrals = [replace(harness.vetoes.referrals[0], own_reference="")]
        assert "Your reference" not in (await harness.get(CASE)).text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"state": "refused", "settled_code": "still_so"},
            "left in force on 21 November 2026.* by a privacy officer: what it is for still stands",
        ),
        (
            {"state": "confirmed", "settled_code": "no_longer_so"},
            "lifted on 21 November 2026.* by a privacy officer: what it was for has ended",
        ),
        (
            {"state": "refused", "settled_code": "taken_back", "settled_by_you": True},
            "taken back on 21 November 2026.* by you<",
        ),
    ],
)
async def test_who_asked_reads_how_it_was_settled(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    at_what = {"settled_at": "2026-11-21T02:05:00Z", "settled_by": "privacy_officer"}
    async with at(tmp_path, TOM) as harness:
        assert 'id="settled"' not in (await harness.get(CASE)).text
        harness.vetoes.liftings = [replace(ASKED, **{**at_what, **changes})]
        page = (await harness.get(CASE)).text
        assert re.search(f"lifting number L-7F3K-9QXA: {said}", page)


async def test_who_was_sent_a_case_reads_how_it_is_stopped(tmp_path: Path) -> None:
    async with at(tmp_path, TOM) as harness:
        harness.vetoes.referrals = []
        page = (await harness.get("/vetoes")).text
        assert "call the agency that referred, or support on 01632 960000" in page


async def test_a_second_look_says_what_is_judged_and_how_to_reach_who_took_part(
    tmp_path: Path,
) -> None:
    async with at(tmp_path, OWEN) as harness:
        page = (await harness.get(LOOKING)).text
        assert "You judge the reason code only" in page
        assert "01632 960000 and name the case" in page
        assert "cannot be changed afterwards" in page


async def test_an_address_that_only_takes_a_form_leads_to_its_page(tmp_path: Path) -> None:
    async with at(tmp_path, TOM) as harness:
        answer = await harness.get(f"/deliveries/{DELIVERY}/accept")
        assert answer.status_code in {404, 405}
        assert "Tom Hallam" in answer.text, "still signed in, and it looks so"
        assert f'href="/deliveries/{DELIVERY}"' in answer.text
        harness.client.cookies.clear()
        assert "Tom Hallam" not in (await harness.get("/nowhere")).text
