"""Weeks pass in both modes: every service makes, uses, retires and destroys its opening keys, danger
travels on every day of them, and dying at any line in between loses nothing."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from common.keyring import FileKeyring
from hubformats import jws
from hubformats.bootstrap import SERVICE_KEY
from hubformats.ids import opaque
from hubpartner.answers import CallFailed, ProblemAnswer, TokenRefused
from tests.support.cases import called
from tests.support.fresh_hub import MODES, fresh_hub
from tests.support.hubs import SERVICES, RunningHub, StackHub, as_agency, hubctl, wait_for
from tests.support.moving_clock import MovingClock
from tests.support.road import example

pytestmark = [pytest.mark.xdist_group("hubs"), pytest.mark.timeout(1500)]
POLICE, IDVA = "northmoor-police", "northmoor-idva"
DAY: Final = timedelta(days=1)
HALF_WEEK: Final = timedelta(days=3, hours=12)
MADE, PUBLISHED = "keys.made", "keys.published"
RECORDED, DESTROYED = "keys.recorded", "keys.destroyed"


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MovingClock:
    """Begins now."""
    made = MovingClock(tmp_path)
    made.follow(monkeypatch)
    return made


def held(hub: RunningHub) -> dict[str, list[str]]:
    """The opening keys in each service's keyring, the oldest first."""
    home = hub.stack.folder if isinstance(hub, StackHub) else hub.folder / "hub"
    found = {}
    for name in SERVICES:
        ring = FileKeyring(home / "keyring" / name, passphrase=None, open_allowed=True)
        keys = ring.opening_keys(SERVICE_KEY).values()
        found[name] = [key.kid for key in sorted(keys, key=lambda key: key.begins)]
    return found


async def danger_travels(hub: RunningHub) -> None:
    """A referral of today reaches the IDVA service, proven, whatever the clock just did."""
    form = example("referral-urgent", externalReference=f"NP-{opaque()[:12]}")

    async def send() -> Any:
        try:
            return await as_agency(hub, POLICE, lambda client: client.submit_referral(form))
        except (ProblemAnswer, TokenRefused, CallFailed):
            return None  # for a moment after a jump every service denies: its news is old

    sent = await wait_for(send, bool)

    async def told() -> Any:
        try:
            return await as_agency(
                hub, POLICE, lambda client: client.read_referral(sent["referralId"])
            )
        except (ProblemAnswer, TokenRefused):
            return {"outcomes": []}

    await wait_for(
        told,
        lambda read: (
            {(IDVA, "released", "proven")}
            <= {(one["recipient"], one["state"], one["proof"]) for one in read["outcomes"]}
        ),
    )


async def minutes_pass(moving: MovingClock, until: Callable[[], bool]) -> None:
    """Let minutes pass: at least six, in which every service looks at its keys, then until it is so.

    In steps of one heartbeat, each given time to arrive: an hour counts only with news throughout.
    """
    for step in range(1_200):
        if step >= 24 and until():
            return
        moving.advance(timedelta(seconds=15))
        await asyncio.sleep(0.4)
    raise AssertionError("not reached in five hours")


def published(hub: RunningHub) -> bool:
    """Whether the directory serves exactly the keys that the services hold."""
    sets = httpx2.get(f"{hub.url('identity')}/v1/directory/keys", timeout=20.0).json()["keySets"]
    kids = {
        name: {jwk["kid"] for jwk in jws.claims_of(sets[f"svc:{name}"])["keys"]}
        for name in SERVICES
        if f"svc:{name}" in sets
    }
    return kids == {name: set(keys) for name, keys in held(hub).items()}


def forgotten(hub: RunningHub, seen: dict[str, list[str]], gone: int) -> bool:
    """Whether each service has destroyed so many of the oldest keys that it ever held."""
    now = held(hub)
    return not any(set(seen[name][:gone]) & set(now[name]) for name in SERVICES)


async def destroyed_in_the_log(hub: RunningHub) -> int:
    """How many keys the log says were destroyed."""
    asked = await called(
        hub,
        "auditor",
        "audit",
        "POST",
        "/v1/queries",
        scope="audit.read",
        json={
            "purpose": "verify_lawfulness",
            "justification": "A journey's check",
            "filter": {"operation": "key_destroy"},
        },
        idempotency_key=opaque(),
    )
    path, params = f"/v1/queries/{asked['id']}/entries", {"limit": 100}
    found = await called(hub, "auditor", "audit", "GET", path, scope="audit.read", params=params)
    return len(found["items"])


def set_aside(hub: RunningHub) -> str:
    """What any service could not apply."""
    said = [hubctl(hub, "operator", "service", "quarantine", name, "--json") for name in SERVICES]
    assert {one.status for one in said} == {0}
    return "".join(one.out for one in said if '"digest"' in one.out)


@pytest.mark.parametrize("mode", MODES)
async def test_seven_weeks_pass(
    mode: str,
    moving: MovingClock,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp(f"weeks-{mode}")
    with fresh_hub(mode, folder, moving.environment) as hub:
        first, seen = held(hub), held(hub)
        for half_week in range(1, 15):
            moving.advance(HALF_WEEK)
            await danger_travels(hub)
            if half_week >= 2:
                await minutes_pass(moving, lambda: published(hub))
            now = held(hub)
            for name in SERVICES:
                seen[name] += [kid for kid in now[name] if kid not in seen[name]]
                if half_week <= 8:
                    assert first[name][0] in now[name], "21 days have not gone by since"
            if half_week in {10, 14}:
                gone = (half_week - 6) // 4  # keys whose 21 days are over for certain
                await minutes_pass(moving, partial(forgotten, hub, seen, gone))
                await minutes_pass(moving, lambda: published(hub))
        last = held(hub)
        assert {len(keys) for keys in seen.values()} <= {7, 8}, "one a week"
        count = sum(len(set(seen[name]) - set(last[name])) for name in SERVICES)
        assert count >= 10
        await wait_for(lambda: destroyed_in_the_log(hub), lambda found: found == count)
        assert set_aside(hub) == ""


async def test_dying_at_any_line_of_it_loses_nothing(
    moving: MovingClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One process with five keyrings dies at the first of each step; the next start goes on."""
    folder = tmp_path_factory.mktemp("dying")
    with fresh_hub("standalone", folder, moving.environment) as hub:
        first, seen = held(hub), set[str]()
        hub.stop()
        for point, days in ((MADE, 7), (PUBLISHED, 0), (RECORDED, 25), (DESTROYED, 0)):
            hub.start({"HUB_CRASH_AT": point})
            moving.advance(days * DAY)
            await died(hub, moving)
            hub.start()
            await danger_travels(hub)
            seen |= {kid for keys in held(hub).values() for kid in keys}
            hub.stop()
        hub.start()
        moving.advance(22 * DAY)  # for those whose first key was still in use when others died
        await minutes_pass(moving, lambda: forgotten(hub, first, 1))
        seen |= {kid for keys in first.values() for kid in keys}
        count = len(seen - {kid for keys in held(hub).values() for kid in keys})
        assert count >= len(SERVICES)
        await wait_for(lambda: destroyed_in_the_log(hub), lambda found: found == count)
        await danger_travels(hub)
        assert set_aside(hub) == ""


async def died(hub: RunningHub, moving: MovingClock) -> None:
    """Let time pass in small steps until the process dies of its crash point."""
    for _ in range(200):
        if not hub.alive("identity"):
            return
        moving.advance(timedelta(seconds=50))
        await asyncio.sleep(0.3)
    raise AssertionError("the crash point was never reached")
