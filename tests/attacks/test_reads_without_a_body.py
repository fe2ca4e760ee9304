"""A read that sends no body is a read all the same: HEAD and 304 stand in the log like their GET."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hubformats.ids import opaque
from tests.support.inner_hub import FULL, POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def reads(hub: InnerHub) -> int:
    """How many reads of the police stand in the log."""
    query = "SELECT count(DISTINCT idx) FROM lookup WHERE org = ? AND op = 'consultation'"
    found: int = hub.rows("audit", query, POLICE)[0][0]
    return found


async def test_a_head_and_a_304_are_recorded_as_the_read_they_are(hub: InnerHub) -> None:
    body = {**FULL, "externalReference": f"T-{opaque(9)}"}
    path = f"/v1/referrals/{(await hub.submit(body)).json()['referralId']}"
    await hub.outcomes(path.rpartition("/")[2])
    first = await hub.call(POLICE, "GET", "referral", path, scope="referral.read")
    tag = first.headers["etag"]
    again = {"If-None-Match": tag}
    for method, headers, status in (
        ("GET", {}, 200),
        ("HEAD", {}, 200),
        ("GET", again, 304),
        ("HEAD", again, 304),
    ):
        await asyncio.sleep(1.0)
        known = reads(hub)
        answer = await hub.call(
            POLICE, method, "referral", path, scope="referral.read", headers=headers
        )
        assert (answer.status_code, answer.headers["etag"]) == (status, tag)
        assert (answer.content == b"") == (method == "HEAD" or status == 304)
        for _ in range(200):
            if reads(hub) > known:
                break
            await asyncio.sleep(0.05)
        assert reads(hub) == known + 1, (method, status)


async def test_the_tag_of_a_referral_changes_with_what_became_of_it(hub: InnerHub) -> None:
    body = {**FULL, "externalReference": f"T-{opaque(9)}"}
    path = f"/v1/referrals/{(await hub.submit(body)).json()['referralId']}"
    seen: dict[str, str] = {}
    for _ in range(200):
        answer = await hub.call(POLICE, "GET", "referral", path, scope="referral.read")
        assert seen.setdefault(answer.headers["etag"], answer.text) == answer.text
        states = {outcome["state"] for outcome in answer.json()["outcomes"]}
        if states == {"released"}:
            break
        await asyncio.sleep(0.05)
    assert len(seen) > 1, "a 304 would have hidden that it was released"
