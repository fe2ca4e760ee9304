"""A veto set after a release bites: what nobody opened is listed and served to nobody any more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from common.web.frame import Frame
from hubpartner.answers import ProblemAnswer
from tests.support.road import Road, example, road, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Road]:
    """One hub for the whole module."""
    async with road(tmp_path_factory.mktemp("taken-back")) as made:
        yield made


def frame(hub: Road, service: str) -> Frame:
    """What consumes and relays for a service."""
    found = hub.services[service].app.frame
    assert found is not None
    return found


async def referred(hub: Road, reference: str) -> dict[str, Any]:
    """A referral whose three disclosures have left."""
    made = await hub.refer(example("referral-full", externalReference=reference))

    async def told() -> bool:
        read = await hub.partner(POLICE).read_referral(made["referralId"])
        return [one["state"] for one in read["outcomes"]] == ["released"] * 3

    await until(told)
    return made


async def forbid(hub: Road, referral: dict[str, Any], agency: str, category: str = "*") -> None:
    """A must-not-disclose; when it returns, the 201 has been given."""
    await hub.partner(POLICE).forbid_disclosure(
        referral["referralId"], agency=agency, category=category, reason="She asked for it."
    )


async def listed(hub: Road, agency: str, cursor: str | None = None) -> list[str]:
    """Deliveries an agency sees behind a place."""
    page = await hub.partner(agency).inbox(cursor=cursor, limit=100)
    return [item.delivery_id for item in page.items]


async def test_a_veto_bites_from_its_201_on_before_sharing_has_heard_of_it(hub: Road) -> None:
    """Sharing takes in no event, so that only the question at the moment of reading can bite."""
    start = (await hub.partner(IDVA).inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-1")
    (delivery,) = await listed(hub, IDVA, start)
    frame(hub, "sharing").inbox.pause()
    try:
        waits = asyncio.create_task(hub.partner(CARE).inbox(wait=1))
        await forbid(hub, referral, IDVA)
        assert await listed(hub, IDVA, start) == []
        with pytest.raises(ProblemAnswer) as refused:
            await hub.partner(IDVA).delivery(delivery)
        assert (refused.value.status, refused.value.code) == (404, "not-found")
        held = await hub.partner(IDVA).inbox(cursor=start, wait=1)
        assert (held.items, held.cursor) == ((), start), "no long poll wakes for it"
        assert (await waits).items, "another agency's is as it was"
    finally:
        frame(hub, "sharing").inbox.resume()


async def test_without_an_answer_about_vetoes_nothing_is_shown(hub: Road) -> None:
    start = (await hub.partner(CARE).inbox(limit=100)).cursor
    await referred(hub, "NP-2026-bite-2")
    (delivery,) = await listed(hub, CARE, start)
    await hub.services["referral"].pause()
    try:
        for look in (
            lambda: hub.partner(CARE).inbox(cursor=start),
            lambda: hub.partner(CARE).delivery(delivery),
        ):
            with pytest.raises(ProblemAnswer) as refused:
                await look()
            assert (refused.value.status, refused.value.code) == (503, "unavailable")
            assert "Nothing is lost" in refused.value.detail
        assert (await hub.partner("northmoor-housing").inbox()).items == ()
    finally:
        await hub.services["referral"].resume()
    assert await listed(hub, CARE, start) == [delivery]


async def test_a_veto_that_touches_nothing_of_hers_shows_it_again(hub: Road) -> None:
    """What the next decision lets stand is listed where it was: no cursor has jumped over it."""
    start = (await hub.partner(SUPPORT).inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-3")
    (delivery,) = await listed(hub, SUPPORT, start)
    frame(hub, "sharing").inbox.pause()
    try:
        await forbid(hub, referral, SUPPORT, "child_school")
        held = await hub.partner(SUPPORT).inbox(cursor=start)
        assert held.items == ()
    finally:
        frame(hub, "sharing").inbox.resume()

    async def again() -> bool:
        return await listed(hub, SUPPORT, held.cursor) == [delivery]

    await until(again)
