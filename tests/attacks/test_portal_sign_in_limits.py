"""One visitor of the portal cannot use up the sign-ins that identity allows it for all.

One mode is enough: the counts stand in the portal's memory.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

import portal.sign_in.routes
from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import envelope, package
from tests.support.rate_windows import stand_still

QUOTA = 5
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PortalHarness]:
    """The portal with small quotas."""
    stand_still(monkeypatch)
    for name in portal.sign_in.routes.QUOTAS:
        monkeypatch.setitem(portal.sign_in.routes.QUOTAS, name, QUOTA)
    async with portal_harness(envelope(package()), tmp_path) as made:
        yield made


def visitor(harness: PortalHarness, address: str) -> httpx2.AsyncClient:
    """Somebody's browser at an address, who has no cookie."""
    ours = harness.client._transport
    assert isinstance(ours, httpx2.ASGITransport)
    transport = httpx2.ASGITransport(app=ours.app, client=(address, 4000))
    return httpx2.AsyncClient(base_url=harness.client.base_url, transport=transport)


async def pressed(browser: httpx2.AsyncClient, times: int = 1) -> list[int]:
    """Press the button of the start page; what came of it each time."""
    return [(await browser.post("/sign-in", headers=OURS)).status_code for _ in range(times)]


async def test_an_address_that_signs_in_without_end_is_told_to_wait_and_others_are_not(
    harness: PortalHarness,
) -> None:
    async with visitor(harness, "192.0.2.1") as flood, visitor(harness, "192.0.2.2") as worker:
        assert await pressed(flood, QUOTA) == [303] * QUOTA
        last = await flood.post("/sign-in", headers=OURS)
        assert last.status_code == 429
        assert 1 <= int(last.headers["retry-after"]) <= 120
        assert "Wait a minute" in last.text
        assert await pressed(worker) == [303]


async def test_another_sites_page_spends_nothing_of_its_visitors_share(
    harness: PortalHarness,
) -> None:
    async with visitor(harness, "192.0.2.1") as worker:
        for _ in range(QUOTA + 1):
            said = await worker.post("/sign-in", headers={"Sec-Fetch-Site": "cross-site"})
            assert said.status_code == 403
        assert await pressed(worker) == [303]


async def test_one_person_signs_in_again_so_often_and_others_may(harness: PortalHarness) -> None:
    for expected in (*[403] * QUOTA, 429):
        answer = await harness.post("/sign-in/again", action="no_such_act")
        assert answer.status_code == expected
    async with visitor(harness, "127.0.0.1") as colleague:
        assert await pressed(colleague) == [303]
