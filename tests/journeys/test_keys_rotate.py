"""Weeks pass: opening keys are made, used, retired and destroyed, danger travels all along, and
dying in between loses nothing. On both databases in one process: Kafka keeps its own time, and the
processes of a stack renew their keys in test_time_passes.py. Each line and each week:
tests/unit/common/test_key_rotation.py."""

import asyncio
import secrets
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest

from common import topics
from common.bus import Incoming, Outgoing
from common.keyring import FileKeyring
from common.web.frame import Frame
from common.web.rotation import KeyRotation
from deploy.stack.postgres import PostgresServer
from hubformats import clock as clocks
from hubformats.bootstrap import SERVICE_KEY
from hubformats.ids import opaque
from hubformats.keys import OpeningKey
from hubpartner.answers import CallFailed, ProblemAnswer, TokenRefused
from hubpartner.calls import Call
from hubpartner.client import HubClient
from tests.support.fresh_hub import fresh_hub
from tests.support.hubs import SERVICES, RunningHub, as_agency, served_keys, wait_for
from tests.support.moving_clock import MovingClock
from tests.support.road import Road, example, road, until

pytestmark = [pytest.mark.xdist_group("hubs-over-time"), pytest.mark.timeout(600)]
POLICE, IDVA = "northmoor-police", "northmoor-idva"
START: Final = datetime.fromtimestamp(0, UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
BEAT, NEXT = timedelta(seconds=40), timedelta(seconds=16)
"""More than identity's fifteen seconds; together less than the sixty after which news is old."""
MADE, RECORDED = "keys.made", "keys.recorded"
Client = Callable[[str, Callable[[HubClient], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MovingClock:
    """Begins now."""
    made = MovingClock(tmp_path)
    made.follow(monkeypatch)
    return made


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, datetime]:
    """When each service of this process last looked after its keys."""
    found: dict[str, datetime] = {}
    step = KeyRotation.step

    async def noted(self: KeyRotation) -> None:
        await step(self)
        found[self.service] = self.clock.now()

    monkeypatch.setattr(KeyRotation, "step", noted)
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Callable[[str], str] | None:
    """A database for each service; None for SQLite in the hub's folder."""
    if request.param == "sqlite":
        return None
    server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
    run = secrets.token_hex(6)
    return lambda service: server.database(f"k{run}_{service}")


def held(keyrings: Path, name: str) -> list[OpeningKey]:
    """The opening keys in a service's keyring, the oldest first."""
    ring = FileKeyring(keyrings / name, passphrase=None, open_allowed=True)
    return sorted(ring.opening_keys(SERVICE_KEY).values(), key=lambda key: key.begins)


async def danger_travels(ask: Client) -> None:
    """A referral of today reaches the IDVA service, proven, whatever the clock just did."""
    form = example("referral-urgent", externalReference=f"NP-{opaque()[:12]}")

    async def send() -> Any:
        try:
            return await ask(POLICE, lambda client: client.submit_referral(form))
        except (ProblemAnswer, TokenRefused, CallFailed):
            return None  # for a moment after a jump every service denies: its news is old

    sent = await wait_for(send, bool)

    async def told() -> Any:
        try:
            return await ask(POLICE, lambda client: client.read_referral(sent["referralId"]))
        except (ProblemAnswer, TokenRefused):
            return {"outcomes": []}

    await wait_for(
        told,
        lambda read: (
            {(IDVA, "released", "proven")}
            <= {(one["recipient"], one["state"], one["proof"]) for one in read["outcomes"]}
        ),
    )


async def destroyed_in_the_log(ask: Client) -> Counter[str]:
    """How many keys of each service the log says were destroyed."""
    body = {
        "purpose": "verify_lawfulness",
        "justification": "A journey's check",
        "filter": {"operation": "key_destroy"},
    }
    query = Call("POST", "/v1/queries", "audit.read", json=body, idempotency_key=opaque())
    asked = await ask("auditor", lambda client: client._services["audit"].send(query))
    path = f"/v1/queries/{asked['id']}/entries"
    entries = Call("GET", path, "audit.read", params={"limit": 100})
    found = await ask("auditor", lambda client: client._services["audit"].send(entries))
    return Counter(str(item["service"]) for item in found["items"])


class Weeks:
    """A hub in this process whose clock a test moves."""

    def __init__(self, hub: Road, moving: MovingClock, looked: Mapping[str, datetime]) -> None:
        """`looked`: when each service last looked after its keys."""
        self.hub, self.moving, self._looked = hub, moving, looked
        self.frames = {name: cast(Frame, one.app.frame) for name, one in hub.services.items()}

    async def ask(self, agency: str, work: Callable[[HubClient], Awaitable[Any]]) -> Any:
        """Call as an agency."""
        return await work(self.hub.partner(agency))

    async def pass_by(self, length: timedelta, *, steady: bool = False) -> None:
        """Let time pass: in one step, or with each beat heard by each service."""
        end = self.moving.now() + length
        while (left := end - self.moving.now()) > timedelta():
            self.moving.advance(min(left, BEAT) if steady else left)
            await self._hear(looked=steady)

    async def reach(self, true: Callable[[], bool], within: timedelta) -> None:
        """Let minutes pass until it is so."""
        end = self.moving.now() + within
        while not true():
            assert self.moving.now() < end, f"not reached in {within}"
            await self.pass_by(BEAT, steady=True)

    def published(self, count: int) -> bool:
        """Whether each service holds so many keys, and all senders know exactly these."""
        mine = self.held()
        return all(
            len(mine[name]) == count
            and dict(frame.keys.book.opening(f"svc:{name}"))
            == {key.kid: key.begins for key in mine[name]}
            for name in self.frames
            for frame in self.frames.values()
        )

    def held(self) -> dict[str, list[OpeningKey]]:
        """The opening keys in each service's keyring, the oldest first."""
        return {name: held(self.hub.folder / "keyring", name) for name in self.frames}

    def holds_any(self, keys: Mapping[str, OpeningKey]) -> bool:
        """Whether a service still holds one of these."""
        return any(keys[name].kid in {key.kid for key in own} for name, own in self.held().items())

    async def again(self, record: Incoming) -> None:
        """The very bytes once more on the bus."""
        sent = Outgoing(record.topic, record.key, record.value, record.headers)
        await self.hub.bus.door("referral").publish([sent])

    async def _hear(self, *, looked: bool) -> None:
        """Wait for the news of this moment, or of the next: a beat may have been under way."""
        moment = self.moving.now() - timedelta(seconds=1)
        for _ in range(60):
            with suppress(TimeoutError):
                return await until(lambda: self._heard(moment, looked), seconds=1)
            self.moving.advance(NEXT)
        raise AssertionError("no news came")

    async def _heard(self, since: datetime, looked: bool) -> bool:
        """Whether each service heard since then, and looked at its keys in the minutes before."""
        heard = {name: frame.directory._heard_at for name, frame in self.frames.items()}
        return all(
            at is not None
            and at >= since
            and (not looked or self._looked.get(name, START) >= since - 2 * MINUTE)
            for name, at in heard.items()
        )


async def test_four_weeks_and_a_day(
    tmp_path: Path,
    moving: MovingClock,
    database: Callable[[str], str] | None,
    looked: Mapping[str, datetime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six days: the next key is published. Seven: it is used. Twenty-one more: the first goes."""
    monkeypatch.setattr(clocks, "_STEP_SECONDS", 0.01)
    folder = tmp_path / "hub"
    folder.mkdir()
    async with road(folder, database=database, portal=True) as hub:
        weeks = Weeks(hub, moving, looked)
        sharing = weeks.frames["sharing"]
        first = {name: keys[0] for name, keys in weeks.held().items()}
        await danger_travels(weeks.ask)
        snapshot = (await hub.bus.door("sharing").read(topics.CASE, limit=1))[0]
        await weeks.pass_by(6 * DAY + 10 * MINUTE)
        await weeks.reach(lambda: weeks.published(2), timedelta(hours=1))
        for name, key in first.items():
            assert sealing(weeks, name) == {key.kid}, "the next one is not used yet"
        await weeks.pass_by(DAY + MINUTE)
        await danger_travels(weeks.ask)
        second = {name: keys[1] for name, keys in weeks.held().items()}
        for name, key in second.items():
            assert sealing(weeks, name) == {key.kid}
        await weeks.again(snapshot)
        await until(lambda: tally(sharing, repeats=1))

        begun = [datetime.fromtimestamp(key.begins, UTC) for key in second.values()]
        await weeks.pass_by(min(begun) + 21 * DAY - 65 * MINUTE - moving.now())
        await weeks.pass_by(62 * MINUTE, steady=True)
        for name, keys in weeks.held().items():
            assert keys[0].kid == first[name].kid, "21 days are not over"
        await weeks.reach(lambda: not weeks.holds_any(first), timedelta(hours=2))
        wanted = Counter(dict.fromkeys(weeks.frames, 1))
        await wait_for(lambda: destroyed_in_the_log(weeks.ask), lambda found: found == wanted)
        await weeks.again(snapshot)
        await until(lambda: tally(sharing, repeats=1, quarantined=1))
        await danger_travels(weeks.ask)
        for name, frame in weeks.frames.items():
            assert frame.inbox.tally.quarantined == (name == "sharing"), "only what came again"


def sealing(weeks: Weeks, name: str) -> set[str]:
    """The keys that the services would seal to this one with."""
    found = [frame.keys.recipient(f"svc:{name}") for frame in weeks.frames.values()]
    return {key.kid for key in found if key is not None}


async def tally(frame: Frame, **wanted: int) -> bool:
    """Whether what came to this service came to so much."""
    return all(getattr(frame.inbox.tally, name) == count for name, count in wanted.items())


async def test_dying_between_two_durable_steps_loses_nothing(
    moving: MovingClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A process with five keyrings dies when a key is made and not published, and when an entry is
    written and its key not destroyed. The next start goes on.

    Every line in between: test_dying_at_a_line_loses_nothing_and_says_nothing_twice.
    """
    folder = tmp_path_factory.mktemp("dying")
    keyrings = folder / "hub" / "keyring"
    with fresh_hub("standalone", folder, {**moving.environment, "HUB_CRASH_AT": MADE}) as hub:
        first = {name: held(keyrings, name)[0].kid for name in SERVICES}
        ask = caller(hub)

        def dead() -> bool:
            return not hub.alive("identity")

        moving.advance(6 * DAY)
        await minutes(folder / "hub", moving, dead)
        hub.start({"HUB_CRASH_AT": RECORDED})
        await danger_travels(ask)
        await minutes(
            folder / "hub", moving, lambda: served_keys(hub) == dict.fromkeys(SERVICES, 2)
        )
        moving.advance(26 * DAY)
        await minutes(folder / "hub", moving, dead)
        assert first == {name: held(keyrings, name)[0].kid for name in SERVICES}
        hub.start({"HUB_CRASH_AT": ""})
        await danger_travels(ask)
        await minutes(folder / "hub", moving, lambda: not set(first.values()) <= kept(keyrings))
        gone = Counter(name for name, kid in first.items() if kid not in kept(keyrings))
        told = await destroyed_in_the_log(ask)
        assert gone <= told, "an entry stands in the log before its key goes"
        assert set(told.values()) == {1}, "and only one"
        assert await ask("operator", set_aside) == []


def caller(hub: RunningHub) -> Client:
    """Calls of this hub as an agency."""
    return lambda agency, work: as_agency(hub, agency, work)


async def set_aside(client: HubClient) -> list[dict[str, Any]]:
    """What any service could not apply."""
    return [one for name in SERVICES for one in await client.quarantine(name)]


def kept(keyrings: Path) -> set[str]:
    """The ids of all opening keys of five services."""
    return {key.kid for name in SERVICES for key in held(keyrings, name)}


async def minutes(home: Path, moving: MovingClock, true: Callable[[], bool]) -> None:
    """Let time pass in small steps until it is so, with news of each moment for each service."""
    end = moving.now() + timedelta(hours=3)
    while not true():
        assert moving.now() < end, "not reached in three hours"
        before = heard(home)
        moving.advance(BEAT)
        for wait in range(200):
            if true() or all(now > then for now, then in zip(heard(home), before, strict=True)):
                break
            if wait == 20:  # a beat was under way when the clock moved
                moving.advance(NEXT)
            await asyncio.sleep(0.05)


def heard(home: Path) -> list[int]:
    """How often each service but identity, which speaks itself, heard from identity."""
    counts = []
    for name in SERVICES:
        if name != "identity":
            place = f"file:{home / name / name}.db?mode=ro"
            query = "SELECT count(*) FROM inbox WHERE consumer = ?"
            with closing(sqlite3.connect(place, uri=True)) as connection:
                (count,) = connection.execute(query, (f"{name}.directory",)).fetchone()
            counts.append(count)
    return counts
