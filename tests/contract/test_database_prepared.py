"""Prepared statements do what the statement they were made from does, on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import Column, Integer, LargeBinary, String, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from common.database import Database, JsonDocument, Prepared, RowNumber, UtcDateTime, UuidType, new_metadata
from common.ids import uuid7
from tests.support.databases import database, database_url

__all__ = ["database", "database_url"]

METADATA = new_metadata()
THING: Final = Table(
    "thing", METADATA,
    Column("seq", RowNumber, primary_key=True),
    Column("id", UuidType, unique=True, nullable=False),
    Column("words", JsonDocument),
    Column("blob", LargeBinary),
    Column("at", UtcDateTime),
    Column("name", String(20)),
    Column("count", Integer, nullable=False),
)  # fmt: skip
COLUMNS: Final = ("id", "words", "blob", "at", "name", "count")
NEW: Final = Prepared(insert(THING).inline(), *COLUMNS)
RAISE: Final = Prepared(
    update(THING).where(THING.c.id == bindparam("which")).values(count=THING.c.count + bindparam("by") + 1).returning(THING.c.count)
)
DROP: Final = Prepared(delete(THING).where(THING.c.name == bindparam("called")))
MOMENT: Final = datetime(2026, 4, 1, 10, 30, 0, 5, tzinfo=timezone(timedelta(hours=1)))


def row(**changes: Any) -> dict[str, Any]:
    """A row with every type that is converted on its way, and what a careless SQL text would trip over."""
    given = {"id": uuid7(), "words": [["a", "?%(name)s"]], "blob": b"\x00\xff", "at": MOMENT, "name": "50 % of ?", "count": 1}
    return {**given, **changes}


@pytest.fixture(autouse=True)
async def tables(database: Database) -> None:
    """The table, empty."""
    await database.write(lambda unit: METADATA.create_all(unit.connection))


async def rows(database: Database) -> list[dict[str, Any]]:
    """What is stored, as the ordinary road reads it."""
    found = select(*(THING.c[name] for name in COLUMNS)).order_by(THING.c.seq)
    return await database.read(lambda connection: [dict(each) for each in connection.execute(found).mappings()])


async def test_values_are_stored_as_the_ordinary_road_stores_them(database: Database) -> None:
    one, two, empty = row(), row(count=2), row(words=None, blob=None, at=None, name=None)
    await database.write(lambda unit: NEW.run(unit.connection, one))
    await database.write(lambda unit: NEW.run_many(unit.connection, [two, empty]))
    await database.write(lambda unit: NEW.run_many(unit.connection, []))
    plain = row()
    await database.write(lambda unit: unit.connection.execute(insert(THING), plain))
    found = await rows(database)
    assert found == [{**each, "at": each["at"] and each["at"].astimezone(UTC)} for each in (one, two, empty, plain)]
    assert isinstance(found[0]["id"], UUID)


async def test_what_returning_answers_and_the_statements_own_values_count(database: Database) -> None:
    mine = row(count=5)
    await database.write(lambda unit: NEW.run_many(unit.connection, [mine, row()]))
    answers = [
        await database.write(lambda unit: RAISE.run(unit.connection, {"which": mine["id"], "by": 10}).scalar_one()) for _ in range(2)
    ]
    assert answers == [16, 27]
    assert (await database.write(lambda unit: RAISE.run(unit.connection, {"which": uuid7(), "by": 1}).first())) is None


async def test_rows_are_found_by_parameters(database: Database) -> None:
    await database.write(lambda unit: NEW.run_many(unit.connection, [row(), row(name="other")]))
    await database.write(lambda unit: DROP.run(unit.connection, {"called": "50 % of ?"}))
    assert [each["name"] for each in await rows(database)] == ["other"]


async def test_a_value_left_out_is_an_error_and_not_a_null(database: Database) -> None:
    incomplete = {name: value for name, value in row().items() if name != "name"}
    with pytest.raises(KeyError):
        await database.write(lambda unit: NEW.run(unit.connection, incomplete))
    assert await rows(database) == []


async def test_a_refusal_is_the_usual_error_and_shows_no_value(database: Database) -> None:
    twice = row(name="Nadia Example")
    with pytest.raises(IntegrityError) as caught:
        await database.write(lambda unit: NEW.run_many(unit.connection, [twice, twice]))
    assert "Nadia" not in str(caught.value).split("[SQL")[1]
    assert await rows(database) == []


async def test_a_naive_moment_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="time zone"):
        await database.write(lambda unit: NEW.run(unit.connection, row(at=MOMENT.replace(tzinfo=None))))


async def test_it_counts_as_one_statement(database: Database) -> None:
    with database.counting() as counted:
        await database.write(lambda unit: NEW.run_many(unit.connection, [row() for _ in range(20)]))
    assert counted.statements == 1
