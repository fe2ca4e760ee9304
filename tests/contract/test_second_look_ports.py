"""The second-look queue keeps the same promises in memory, on SQLite and on PostgreSQL."""

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast
from uuid import UUID

import pytest
import pytest_asyncio

from common.testing import ManualClock
from deploy.stack.postgres import PostgresServer
from hubformats.audit_record import Actor
from hubformats.ids import uuid7
from sharing.disclosures.ports import EmergencyTx
from sharing.second_look.model import Act, Filed, LookOutcome, LookOver, Said, SecondLook
from sharing.second_look.ports import FilingTx, LookTx, SecondLooks
from sharing.second_look.repository import SqlSecondLooks
from sharing.wiring import SqlTx
from tests.support.look_fakes import FakeSecondLooks
from tests.support.port_suites import Held
from tests.support.sharing_fakes import FakeStore, FakeTx
from tests.support.sharing_harness import Parties, sharing_harness
from tests.unit.sharing.test_second_look import officer

PORTS: Final = (
    Held(SecondLooks, (SqlSecondLooks,), FakeSecondLooks),
    Held(FilingTx, (SqlTx,), FakeTx),
    Held(LookTx, (SqlTx,), FakeTx),
    Held(EmergencyTx, (SqlTx,), FakeTx),
)
pytestmark = pytest.mark.asyncio(loop_scope="module")

T = TypeVar("T")
OWEN, GRACE = officer(), officer("grace")
NOW = ManualClock().now()
DAY = timedelta(days=1)
FINE = Said(LookOutcome.REASONABLE, "needed", DAY)
HARM = Said(LookOutcome.ESCALATE, "harm", DAY)


class Store(Protocol):
    """Opens transactions that reach the queue."""

    async def write(self, work: Callable[[Any], T]) -> T:
        """Run and commit."""
        ...


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["fake", "sqlite", "postgresql"]
)
async def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Store]:
    """The queue of one kind."""
    if request.param == "fake":
        yield FakeStore(ManualClock(), Parties())
        return
    folder: Path = tmp_path_factory.mktemp("looks")
    url = f"sqlite:///{folder}/sharing.db"
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    async with sharing_harness(url, folder) as harness:
        yield harness.store


async def filed(
    store: Store, *people: str, act: Act = Act.VETO_LIFTED, at: datetime = NOW
) -> SecondLook:
    """An act to be looked at again."""
    actors = tuple(Actor(f"issuer|{name}", "northmoor-police", "x") for name in people or ("tom",))
    made = Filed(uuid7(), act, "no_longer_so", uuid7(), actors, at)
    return await store.write(lambda tx: cast(SecondLook, tx.second_looks.file(made)))


async def found(store: Store, look: SecondLook, who: Any = OWEN) -> SecondLook | None:
    """As the person finds it."""
    return await store.write(lambda tx: cast(Any, tx.second_looks.find(who, look.id)))


async def test_an_item_is_found_as_it_was_filed_and_filed_once(store: Store) -> None:
    look = await filed(store, "tom", "jess")
    assert len(look.parties) == 2
    back = await found(store, look)
    assert back is not None
    assert set(back.parties) == set(look.parties)
    assert replace(back, parties=()) == replace(look, parties=())
    again = Filed(look.id, look.act, "other", look.case_id, (), NOW)
    assert await store.write(lambda tx: tx.second_looks.file(again)) == back
    assert await store.write(lambda tx: tx.second_looks.find(OWEN, uuid7())) is None


async def test_for_whoever_took_part_it_does_not_exist(store: Store) -> None:
    look = await filed(store, "tom", "owen")

    async def listed(who: Any) -> list[UUID]:
        items = await store.write(lambda tx: tx.second_looks.listed(who, 500, waiting=True))
        return [each.id for each in items]

    assert (await found(store, look), await found(store, look, GRACE) is None) == (None, False)
    assert (look.id in await listed(OWEN), look.id in await listed(GRACE)) == (False, True)


async def test_waiting_is_ordered_by_the_clock_and_closed_by_the_newest(store: Store) -> None:
    slow = await filed(store, act=Act.EMERGENCY_RELEASE)
    fast, first, second = [await filed(store) for _ in "abc"]
    me = await store.write(lambda tx: tx.second_looks.party_of(OWEN))
    for look, minutes in ((first, 1), (second, 2)):
        closed = look.review(FINE, me, NOW + timedelta(minutes=minutes))
        await store.write(lambda tx: tx.second_looks.replace(look, closed))  # noqa: B023
        assert await found(store, look) == closed
    ours = {slow.id, fast.id, first.id, second.id}

    async def listed(waiting: bool) -> list[UUID]:
        items = await store.write(lambda tx: tx.second_looks.listed(OWEN, 500, waiting=waiting))
        return [each.id for each in items if each.id in ours]

    assert await listed(True) == [fast.id, slow.id]
    assert await listed(False) == [second.id, first.id]
    one = await store.write(lambda tx: tx.second_looks.listed(OWEN, 1, waiting=True))
    assert len(one) == 1


async def test_the_second_of_two_officers_is_told_that_it_moved(store: Store) -> None:
    look = await filed(store)
    owen, grace = [
        await store.write(lambda tx: tx.second_looks.party_of(who))  # noqa: B023
        for who in (OWEN, GRACE)
    ]
    taken = look.take(owen)
    await store.write(lambda tx: tx.second_looks.replace(look, taken))
    with pytest.raises(LookOver):
        await store.write(lambda tx: tx.second_looks.replace(look, look.take(grace)))
    back = await found(store, look)
    assert back is not None
    assert back.owner == owen.token


async def test_an_escalated_one_waits_again_and_is_told_of_anew(store: Store) -> None:
    look = await filed(store)
    me = await store.write(lambda tx: tx.second_looks.party_of(OWEN))

    async def told() -> bool:
        items = await store.write(lambda tx: tx.second_looks.to_tell(NOW))
        return look.id in {each.id for each in items}

    assert [await told(), await told()] == [True, False]
    escalated = look.review(HARM, me, NOW)
    await store.write(lambda tx: tx.second_looks.replace(look, escalated))
    assert await found(store, look) == escalated
    assert (escalated.escalated_by, escalated.due_at) == (me.token, NOW + DAY)
    items = await store.write(lambda tx: tx.second_looks.listed(GRACE, 500, waiting=True))
    assert look.id in {each.id for each in items}
    assert [await told(), await told()] == [True, False]


async def test_an_alarm_is_noted_when_it_is_found(store: Store) -> None:
    early = NOW - timedelta(days=30)
    look = await filed(store, at=early)

    async def alarmed(minutes: int) -> bool:
        now = early + timedelta(minutes=minutes)
        before = now - timedelta(minutes=60)
        items = await store.write(lambda tx: tx.second_looks.to_alarm(now, before))
        return look.id in {each.id for each in items}

    assert [await alarmed(minutes) for minutes in (60, 61, 90, 121)] == [False, True, False, True]
