"""Some kills -9 while referrals come in: nothing acknowledged is lost, nothing is disclosed twice,
the log stays whole. The proof is `make bench NAME=kills`, with 300; this is that it still runs."""

import os
import random
import secrets
from collections.abc import Iterator

import pytest

from tests.support.fresh_hub import MODES, fresh_hub
from tests.support.hubs import RunningHub
from tests.support.kills import SERVERS, short_plan
from tests.support.oracle import Heads, Oracle
from tests.support.stress import stress

pytestmark = [pytest.mark.xdist_group("hubs-over-time"), pytest.mark.timeout(900)]


@pytest.fixture(params=MODES)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """A fresh hub for this test alone: the oracle knows every referral it ever had."""
    with fresh_hub(request.param, tmp_path_factory.mktemp(f"kills-{request.param}")) as made:
        yield made


async def test_kills_lose_nothing_and_repeat_nothing(hub: RunningHub) -> None:
    """Run again with HUB_KILL_SEED=<the seed shown> for the same schedule."""
    seed = int(os.environ.get("HUB_KILL_SEED") or secrets.randbelow(10**9))
    plan = short_plan(hub.mode, random.Random(seed))
    result = await stress(hub, plan, seed=seed, rate=1.0)
    assert len(result.deaths) == len(plan)
    assert any(each.kill.point and each.reached for each in result.deaths), result.told()
    assert any(not each.kill.point for each in result.deaths)
    servers = {each.kill.victim for each in result.deaths} & {*SERVERS}
    assert len(servers) == (hub.mode == "stack")
    assert result.verdict.figures["referrals"] >= len(plan), (
        "too little was sent for the deaths to matter"
    )
    assert not result.verdict.wrong, result.told()
    # One referral less was acknowledged than the hub has: the judge must say so.
    judged = await Oracle(hub, result.acknowledged[1:], Heads(hub)).judge()
    assert judged.wrong, "the oracle finds nothing wrong whatever it is told"
