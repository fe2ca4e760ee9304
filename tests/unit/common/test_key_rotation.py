"""A service looks after its own opening keys: nothing is lost at any line, nothing goes that is still
needed, and of several processes one does it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx2
import pytest

from common.audit_trail import AuditTrail
from common.database import Database
from common.directory import DirectoryKeys, DirectoryUnreachable
from common.inbox import Inbox
from common.keyring import FileKeyring
from common.testing import ManualClock
from common.web import rotation
from common.web.client import ServiceClient
from common.web.rotation import KeyRotation
from hubformats.answers import CallFailed
from hubformats.audit_record import AuditEntry
from hubformats.bootstrap import SERVICE_KEY, sign_key_set
from hubformats.keys import RecipientKey, SigningKey, generate_opening, generate_signing
from tests.support.key_directory import Area

OWNER, SENDER = "svc:sharing", "svc:referral"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POINTS = ("keys.made", "keys.published", "keys.recorded", "keys.destroyed")


class Died(Exception):
    """The process ended at this line."""


@dataclass
class Marks:
    """The inbox, as far as keys go."""

    marked: set[UUID] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    stuck: bool = False

    def first(self, _unit: object, _consumer: str, _source: str, event_id: UUID) -> bool:
        new = event_id not in self.marked
        self.marked.add(event_id)
        return new

    def reseal(self, _unit: object, kid: str, key: RecipientKey) -> list[str]:
        if kid in self.needed and not self.stuck:
            self.needed = self.needed - {kid} | {key.kid}
        return [kid] if kid in self.needed else []


@dataclass
class World:
    """One keyring, its directory and its log; `look` is what a process does each minute."""

    folder: Path
    database: Database
    clock: ManualClock
    area: Area = field(default_factory=Area)
    served: dict[str, str] = field(default_factory=dict)
    entries: list[AuditEntry] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)
    news: bool = True
    away: bool = False
    deaf: bool = False
    two: bool = False
    sender: SigningKey = field(default_factory=lambda: generate_signing(SENDER))

    def __post_init__(self) -> None:
        key = generate_opening(OWNER)
        self.first = key.kid
        self.ring.put_signing_key(SERVICE_KEY, self.area.service)
        self.ring.put_opening_key(SERVICE_KEY, key)
        bootstrap = self.area.bootstrap
        entry = bootstrap.services["sharing"].model_copy(update={"opening": (key.public().jwk(),)})
        sender = {"name": "referral", "owner": SENDER, "signing": (self.sender.public().jwk(),)}
        other = entry.model_copy(update={**sender, "opening": ()})
        services = {"sharing": entry, "referral": other} if self.two else {"sharing": entry}
        self.bootstrap = replace(bootstrap, services=services, created=self.clock.now())
        self.process = self.started()

    @property
    def ring(self) -> FileKeyring:
        return FileKeyring(self.folder / "keyring", passphrase=None, open_allowed=True)

    def started(self) -> KeyRotation:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        url = "http://identity.example.org"
        keys = DirectoryKeys(self.bootstrap, url, http, self.clock, self.folder / "known.json")
        return KeyRotation(
            "sharing",
            url,
            self.bootstrap.created,
            self.clock,
            self.database,
            self.ring,
            keys,
            cast(Inbox, self.marks),
            cast(AuditTrail, self),
            cast(ServiceClient, self),
            lambda: self.news,
        )

    def record(self, _unit: object, entry: AuditEntry) -> None:
        self.entries.append(entry)

    async def call(self, method: str, path: str, *, scope: str, json: Mapping[str, Any]) -> None:
        assert (method, path, scope) == ("PUT", "/v1/directory/services/sharing", "directory.read")
        if self.deaf:
            raise CallFailed("unreachable")
        self.served |= {OWNER: json["keySet"]}

    def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        return (
            httpx2.Response(503)
            if self.away
            else httpx2.Response(200, json={"keySets": self.served})
        )

    def other_publishes(self) -> None:
        """The other service renews its keys, as each does weekly while it runs."""
        key = generate_opening(SENDER).public().jwk()
        issued = int(self.clock.now().timestamp())
        self.served |= {SENDER: sign_key_set(SENDER, (key,), self.sender, issued)}

    def held(self) -> list[str]:
        keys = self.ring.opening_keys(SERVICE_KEY).values()
        return [key.kid for key in sorted(keys, key=lambda key: key.begins)]

    def published(self) -> set[str]:
        return set(self.process.keys.book.opening(OWNER))

    async def hours(self, count: float, every: float = 0.5) -> None:
        """So many hours, with a look each half hour or more seldom."""
        for _ in range(round(count / every)):
            self.clock.advance(every * 3600)
            await self.process.step()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = ManualClock()
    database = Database(f"sqlite:///{tmp_path}/sharing.db", clock=clock, name="sharing")
    await database.start()
    yield World(tmp_path, database, clock)
    await database.stop()


async def test_seven_weeks_of_looks(world: World) -> None:
    seen: dict[str, datetime] = {}
    for _ in range(49):
        await world.hours(24, every=4)
        for kid in world.held():
            seen.setdefault(kid, world.clock.now())
        assert world.published() == set(world.held())
        current = world.process.keys.recipient(OWNER)
        assert current is not None
        assert current.kid in world.held()
    assert len(seen) == 8
    assert [entry.resource_id for entry in world.entries] == list(seen)[:4]
    assert {entry.operation for entry in world.entries} == {"key_destroy"}
    assert world.held() == list(seen)[4:]


@pytest.mark.parametrize("point", POINTS)
async def test_dying_at_a_line_loses_nothing_and_says_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    left = [point]

    def die(name: str) -> None:
        if name in left:
            left.remove(name)
            raise Died

    monkeypatch.setattr(rotation, "crash_point", die)
    deaths = 0
    for _ in range(32 * 6):
        try:
            await world.hours(4, every=4)
        except Died:
            deaths += 1
            world.process = world.started()
    assert deaths == 1
    assert world.first not in world.held()
    assert [entry.resource_id for entry in world.entries] == [world.first]
    assert world.published() == set(world.held())
    assert len(world.held()) == 4


async def test_what_waits_in_quarantine_is_sealed_to_the_newest_key_and_the_old_one_goes(
    world: World,
) -> None:
    world.marks.needed = {world.first}
    await world.hours(33 * 24, every=4)
    assert world.first not in world.held()
    assert [entry.resource_id for entry in world.entries] == [world.first]
    current = world.process.keys.recipient(OWNER)
    assert current is not None
    assert world.marks.needed == {world.held()[-1]} == {current.kid}
    await world.hours(33 * 24, every=4)
    assert world.marks.needed <= set(world.held()), "it moves on for as long as it waits"


async def test_a_key_without_which_an_envelope_is_lost_is_kept_and_alarmed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.marks.needed, world.marks.stuck = {world.first}, True
    await world.hours(33 * 24, every=4)
    assert world.first in world.held()
    assert world.entries == []
    assert "key-kept-for-quarantine" in {vars(line).get("alarm") for line in caplog.records}
    world.marks.stuck = False
    await world.hours(1)
    assert world.first not in world.held()


async def test_after_a_silence_what_waited_is_read_for_an_hour_before_a_key_goes(
    world: World,
) -> None:
    await world.hours(27.5 * 24, every=4)
    assert world.first in world.held()
    world.news = False
    await world.hours(10 * 24, every=4)
    assert world.first in world.held()
    world.news = True
    await world.hours(1)
    assert world.first in world.held()
    await world.hours(1)
    assert world.first not in world.held()


async def test_while_a_service_stands_still_no_key_goes_that_it_may_have_sent_to(
    tmp_path: Path, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits in its outbox is sealed to a key of then. Once it is back that is read first."""
    two = World(tmp_path / "two", world.database, world.clock, two=True)
    two.other_publishes()
    await two.hours(35 * 24, every=4)
    assert two.first in two.held()
    assert two.entries == []
    told = [vars(line) for line in caplog.records if "alarm" in vars(line)]
    assert {(one["alarm"], one["reason"]) for one in told} == {("key-kept-for-standstill", SENDER)}
    assert len(two.held()) == 6, "new keys are made all the same"
    two.other_publishes()
    await two.hours(0.5)
    assert two.first in two.held()
    await two.hours(1.5)
    assert two.first not in two.held()


async def test_a_service_that_runs_keeps_no_other_from_destroying(
    world: World, tmp_path: Path
) -> None:
    two = World(tmp_path / "two", world.database, world.clock, two=True)
    for _ in range(5):
        two.other_publishes()
        await two.hours(7 * 24, every=4)
    assert two.first not in two.held()


async def test_a_directory_that_is_away_or_deaf_stops_everything(world: World) -> None:
    world.away = True
    world.clock.advance(8 * 86_400)
    with pytest.raises(DirectoryUnreachable):
        await world.process.step()
    assert world.held() == [world.first]
    world.away, world.deaf = False, True
    for _ in range(60):
        world.clock.advance(86_400)
        with pytest.raises(CallFailed):
            await world.process.step()
    assert len(world.held()) == 2, "one waits to be published"
    current = world.process.keys.recipient(OWNER)
    assert current is not None
    assert current.kid == world.first
    world.deaf = False
    await world.hours(26)
    current = world.process.keys.recipient(OWNER)
    assert current is not None
    assert current.kid == world.held()[-1]
    assert world.entries == []


async def test_of_two_processes_one_looks_at_a_time(world: World, tmp_path: Path) -> None:
    other = Database(f"sqlite:///{tmp_path}/sharing.db", clock=world.clock, name="sharing")
    await other.start()
    lock = other.lock("opening-keys")
    assert await lock.acquire()
    await world.hours(8 * 24, every=4)
    assert world.held() == [world.first]
    await lock.release()
    await world.hours(1)
    assert len(world.held()) == 2
    await other.stop()
