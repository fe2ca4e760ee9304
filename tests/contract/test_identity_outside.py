"""What identity tells the other services and the broker: the heartbeat, and whose topic is closed,
in memory and for real."""

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from common import topics
from common.database import Database, ensure_schema
from common.directory import DirectoryState
from common.events import Event
from common.testing import ManualClock
from deploy.stack import processes
from deploy.stack.kafka import KafkaBroker
from deploy.stack.provision import Acl
from identity.agencies.model import AgencyState
from identity.agencies.ports import AgencyStore, Heartbeat
from identity.agencies.worker import Pulse
from identity.directory.ports import TopicAccess, TopicAccessUnavailable
from identity.directory.repository import KafkaTopicAccess
from identity.oauth.repository import SignInSeals
from identity.tables import METADATA
from identity.wiring import SqlStore
from tests.support.identity_fakes import MemoryHeartbeat, MemoryIdentity, MemoryTopicAccess
from tests.support.identity_stage import Sent
from tests.support.key_directory import Area
from tests.support.port_suites import Held

PORTS: Final = (
    Held(AgencyStore, (SqlStore,), MemoryIdentity),
    Held(Heartbeat, (Pulse,), MemoryHeartbeat),
    Held(TopicAccess, (KafkaTopicAccess,), MemoryTopicAccess),
)


@dataclass
class Beating:
    """A heartbeat over agencies, our own copy of the state, and what the others were sent."""

    heartbeat: Heartbeat
    store: Any
    directory: DirectoryState
    clock: ManualClock
    sent: Callable[[], list[Event]]


@pytest.fixture(params=["memory", "sqlite"])
async def beating(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Beating]:
    """A heartbeat of one kind."""
    clock = ManualClock()
    directory = DirectoryState(clock)
    if request.param == "memory":
        hub = MemoryIdentity(clock)
        yield Beating(
            MemoryHeartbeat(hub, directory), hub, directory, clock, lambda: hub.rows.published
        )
        return
    sent = Sent()
    database = Database(f"sqlite:///{tmp_path}/hub.db", clock=clock, name="identity")
    await database.start()
    await ensure_schema(database, METADATA)
    store = SqlStore(database, clock, sent, sent, SignInSeals(bytes(32)))
    pulse = Pulse(store, directory, Area().bootstrap, clock, lambda _: None)
    yield Beating(pulse, store, directory, clock, lambda: sent.events)
    await database.stop()


async def test_a_beat_tells_everybody_and_ourselves_who_may_act(beating: Beating) -> None:
    def suspend_b(tx: Any) -> None:
        for name in ("a", "b"):
            tx.agencies.add(AgencyState(name, name, "police", "area", {}, "jws", custodial=False))
        tx.agencies.set_suspended("b", beating.clock.now(), "exercise")
        tx.agencies.advance_epoch()

    await beating.store.write(suspend_b)
    assert not beating.directory.fresh()
    told = await beating.heartbeat.beat()
    assert (told.at, told.state_epoch, told.suspended) == (beating.clock.now(), 1, ("b",))
    assert beating.sent() == [told]
    assert beating.directory.fresh()
    assert [beating.directory.suspended(name) for name in ("a", "b")] == [False, True]


async def test_without_another_beat_nobody_may_act_after_a_minute(beating: Beating) -> None:
    await beating.heartbeat.beat()
    beating.clock.advance(61)
    assert not beating.directory.fresh()
    told = await beating.heartbeat.beat()
    assert told.at == beating.clock.now()
    assert beating.directory.fresh()


async def test_a_beat_that_the_bus_took_long_ago_is_forgotten(beating: Beating) -> None:
    """Kept would be one row every fifteen seconds, for ever."""
    await beating.heartbeat.beat()
    await beating.store.forget_heartbeats(beating.clock.now())
    assert beating.sent(), "one that is not older is kept"


@dataclass
class Doors:
    """The port on a broker, and the same on one that does not answer."""

    access: TopicAccess
    away: TopicAccess


@pytest_asyncio.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.stack)])
async def doors(request: pytest.FixtureRequest) -> AsyncIterator[Doors]:
    """The broker's doors of one kind."""
    if request.param == "memory":
        yield Doors(MemoryTopicAccess(), MemoryTopicAccess(away=True))
        return
    broker: KafkaBroker = request.getfixturevalue("kafka_broker")
    keeper = Acl(topics.DOORKEEPER, "BROKER", "kafka-cluster", "ALTER")
    broker.provision((), [topics.DOORKEEPER], [keeper])
    password = broker.password_of(topics.DOORKEEPER)
    access = KafkaTopicAccess(broker.bootstrap, password, None)
    away = KafkaTopicAccess(f"127.0.0.1:{processes.free_port()}", password, None)
    yield Doors(access, away)
    await access.stop()
    await away.stop()


async def test_a_topic_is_closed_and_opened_again_whoever_asks_twice(doors: Doors) -> None:
    mine, other = (f"agency-{secrets.token_hex(4)}" for _ in range(2))
    assert not {mine, other} & await doors.access.closed()
    for _ in range(2):
        await doors.access.close(mine)
        assert {mine, other} & await doors.access.closed() == {mine}
    for _ in range(2):
        await doors.access.open(mine)
        assert not {mine, other} & await doors.access.closed()


async def test_a_broker_that_does_not_answer_is_said_to_be_away(doors: Doors) -> None:
    for work in (doors.away.closed(), doors.away.close("a"), doors.away.open("a")):
        with pytest.raises(TopicAccessUnavailable):
            await work
