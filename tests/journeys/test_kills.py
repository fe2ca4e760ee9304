"""Thirty times kill -9 while referrals come in: nothing acknowledged is lost, nothing is disclosed twice, the log stays whole."""

import os
import random
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.stack import processes
from tests.support.hubs import RunningHub, StackHub, StandaloneHub
from tests.support.kills import Kill, stack_plan, standalone_plan
from tests.support.ordeal import ordeal

pytestmark = [pytest.mark.xdist_group("hubs"), pytest.mark.timeout(900)]

PLANS: dict[str, tuple[int, Callable[[int, random.Random], list[Kill]]]] = {"standalone": (16, standalone_plan), "stack": (14, stack_plan)}


@pytest.fixture(params=["standalone", "stack"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A fresh hub; its deliveries are not spread in time, so that deaths fall between the steps and not into the pauses."""
    folder = tmp_path_factory.mktemp(f"kills-{request.param}")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)
    made = running(request.param, folder)
    made.start()
    yield made
    made.stop()


def running(mode: str, folder: Path) -> RunningHub:
    """A hub of that mode in that folder."""
    extra = {"HUB_DELIVERY_SPREAD_MS": "0"}
    if mode == "standalone":
        return StandaloneHub(folder, processes.free_port(), extra=extra)
    return StackHub(folder, free_base(), extra=extra)


def free_base() -> int:
    """A base port whose following ports are free too."""
    for base in range(21_000, 29_000, 200):
        if not any(processes.port_is_taken(base + step) for step in (*range(5), 32, 92, 93)):
            return base
    raise AssertionError("no free ports")


async def test_kills_lose_nothing_and_repeat_nothing(hub: RunningHub) -> None:
    """Run again with HUB_KILL_SEED=<the seed shown> for the same schedule."""
    seed = int(os.environ.get("HUB_KILL_SEED") or secrets.randbelow(10**9))
    kills, plan = PLANS[hub.mode]
    result = await ordeal(hub, plan(kills, random.Random(seed)), seed=seed)
    assert len(result.deaths) == kills
    assert result.verdict.figures["referrals"] >= kills, "too little was sent for the deaths to matter"
    assert not result.verdict.wrong, result.told()
