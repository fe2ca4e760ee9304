"""Thirty times kill -9 while referrals come in: nothing acknowledged is lost, nothing is disclosed
twice, the log stays whole."""

import os
import random
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.support.fresh_hub import MODES, fresh_hub
from tests.support.hubs import RunningHub
from tests.support.kills import Kill, stack_plan, standalone_plan
from tests.support.stress import stress

pytestmark = [pytest.mark.xdist_group("hubs-over-time"), pytest.mark.timeout(900)]

PLANS: dict[str, tuple[int, Callable[[int, random.Random], list[Kill]]]] = {
    "standalone": (16, standalone_plan),
    "stack": (14, stack_plan),
}


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
    kills, plan = PLANS[hub.mode]
    result = await stress(hub, plan(kills, random.Random(seed)), seed=seed)
    assert len(result.deaths) == kills
    assert result.verdict.figures["referrals"] >= kills, (
        "too little was sent for the deaths to matter"
    )
    assert not result.verdict.wrong, result.told()
