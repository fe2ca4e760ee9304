"""An administrator of sharing's database closes no second look unseen, nor lets anybody look at an
own act: each column of an item and of who took part is changed, and met by the next round."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, Connection, delete, insert, select, update

from common.sealed import RowAltered
from hubformats.audit_record import Actor
from hubformats.ids import uuid7
from sharing.look_tables import LookParty, LookRow
from sharing.second_look.model import Act, Filed, SecondLook
from sharing.second_look.repository import OLDER_LOOKS
from sharing.tables import ROW_ALTERED, table_of
from tests.support.databases import database_url
from tests.support.sharing_harness import SharingHarness, sharing_harness
from tests.unit.sharing.test_second_look import officer

__all__ = ["database_url"]

LOOK, PARTY = table_of(LookRow), table_of(LookParty)
OWEN, GRACE = officer(), officer("grace")


class Queue:
    """One item about an act of Owen's, and a second item of the same kind."""

    def __init__(self, harness: SharingHarness) -> None:
        self.harness = harness

    async def filed(self, *people: str) -> SecondLook:
        """An act to be looked at again."""
        actors = tuple(Actor(f"issuer|{name}", "northmoor", "privacy_officer") for name in people)
        now = self.harness.clock.now()
        made = Filed(uuid7(), Act.VETO_LIFTED, "no_longer_so", uuid7(), actors, now)

        def file(tx: Any) -> SecondLook:
            look: SecondLook = tx.second_looks.file(made)
            return look

        return await self.harness.store.write(file)

    async def found(self, who: Any, look: SecondLook) -> SecondLook | None:
        """As the officer finds it."""
        return await self.harness.store.write(lambda tx: tx.second_looks.find(who, look.id))

    async def listed(self, who: Any, *, waiting: bool = True) -> set[UUID]:
        """What the officer is shown."""
        items = await self.harness.store.write(
            lambda tx: tx.second_looks.listed(who, 100, waiting=waiting)
        )
        return {each.id for each in items}

    async def round(self) -> None:
        """One round of the worker that alarms."""
        now = self.harness.clock.now()
        await self.harness.store.write(
            lambda tx: tx.second_looks.to_alarm(now, now - timedelta(hours=1))
        )

    async def change(self, statement: Any) -> None:
        """As the administrator does it."""
        await self.harness.database.write(lambda unit: unit.connection.execute(statement))


@pytest.fixture
async def queue(database_url: str, tmp_path: Path) -> AsyncIterator[Queue]:
    """A queue on a fresh database of either kind."""
    async with sharing_harness(database_url, tmp_path) as made:
        yield Queue(made)


def another(column: Column[Any], value: Any) -> Any:
    """A value of the column's type that is not this one."""
    match value:
        case None:
            return datetime(2030, 1, 1, tzinfo=UTC)
        case datetime():
            return value + timedelta(minutes=1)
        case UUID():
            return uuid4()
        case bytes():
            return value[::-1]
        case _:
            words = {"state": "reasonable", "act": "emergency_release", "token": "0" * 64}
            return words.get(column.key, f"{value}x")


@pytest.mark.parametrize("table", [LOOK, PARTY], ids=["item", "party"])
async def test_every_changed_column_is_refused_and_alarmed(
    queue: Queue, table: Any, caplog: pytest.LogCaptureFixture
) -> None:
    believed = []
    for column in table.c:
        look = await queue.filed("owen")
        key = LOOK.c.id if table is LOOK else PARTY.c.look_id
        row = await queue.harness.database.read(
            lambda connection, key=key, look=look: (  # type: ignore[misc]
                connection.execute(select(table).where(key == look.id)).mappings().one()
            )
        )
        changed = update(table).where(key == look.id)
        await queue.change(changed.values({column.key: another(column, row[column.key])}))
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            await queue.round()
        alarmed = ROW_ALTERED in {record.__dict__.get("alarm") for record in caplog.records}
        if not alarmed or look.id in await queue.listed(GRACE):
            believed.append(column.key)
        await queue.change(delete(LOOK))
        await queue.change(delete(PARTY))
    assert not believed


async def test_nobody_is_taken_out_of_an_act_nor_put_into_one(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    own, other = await queue.filed("owen"), await queue.filed("tom")
    await queue.change(delete(PARTY).where(PARTY.c.look_id == own.id))
    with pytest.raises(RowAltered):
        await queue.found(OWEN, own)
    me = await queue.harness.store.write(lambda tx: tx.second_looks.party_of(GRACE))
    hidden = {"look_id": other.id, "token": me.token, "agency": "northmoor", "role": "x"}
    await queue.change(insert(PARTY).values(**hidden))
    assert await queue.found(GRACE, other) is None, "the round tells of it, not the query"
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        await queue.round()
    assert [record.__dict__.get("alarm") for record in caplog.records] == [ROW_ALTERED] * 2
    assert await queue.listed(OWEN) == set(), "nor does it show to others"


async def test_what_is_met_is_entered_in_the_log_once(queue: Queue) -> None:
    look = await queue.filed("tom")
    await queue.change(update(LOOK).values(state="reasonable"))
    for _ in "ab":
        await queue.round()
        await queue.harness.parts.altered.settle()
    assert await queue.listed(GRACE, waiting=False) == set(), "nobody closed it"
    entries = [each for each in await queue.harness.records() if each.get("why") == ROW_ALTERED]
    assert [each["rt"] for each in entries] == ["second_look"]
    assert look.id not in await queue.listed(GRACE)


async def test_items_of_before_are_sealed_once_and_never_again(queue: Queue) -> None:
    look = await queue.filed("tom")
    seals = queue.harness.parts.seals

    def bare(connection: Connection) -> None:
        connection.execute(update(LOOK).values(row_seal=None))

    await queue.harness.database.write(lambda unit: bare(unit.connection))
    with pytest.raises(RowAltered):
        await queue.found(GRACE, look)
    _, seal_older = OLDER_LOOKS
    assert await queue.harness.database.write(lambda unit: seal_older(unit.connection, seals)) == 1
    assert await queue.found(GRACE, look) == look
