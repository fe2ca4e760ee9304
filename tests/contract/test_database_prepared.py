"""Prepared statements do what the statement they were made from does, on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, InvalidRequestError, MultipleResultsFound, NoResultFound

from common.database import (
    Database,
    JsonDocument,
    Prepared,
    RowNumber,
    Unit,
    UtcDateTime,
    UuidType,
    among,
    new_metadata,
)
from hubformats.ids import uuid7
from tests.support.databases import database, database_url
from tests.support.schemas import counting

__all__ = ["database", "database_url"]

METADATA = new_metadata()
THING: Final = Table(
    "thing",
    METADATA,
    Column("seq", RowNumber, primary_key=True),
    Column("id", UuidType, unique=True, nullable=False),
    Column("words", JsonDocument),
    Column("blob", LargeBinary),
    Column("at", UtcDateTime),
    Column("name", String(20)),
    Column("count", Integer, nullable=False),
)
COLUMNS: Final = ("id", "words", "blob", "at", "name", "count")
NEW: Final = Prepared(insert(THING).inline(), *COLUMNS)
RAISE: Final = Prepared(
    update(THING)
    .where(THING.c.id == bindparam("which"))
    .values(count=THING.c.count + bindparam("by") + 1)
    .returning(THING.c.count)
)
DROP: Final = Prepared(delete(THING).where(THING.c.name == bindparam("called")))
FIND: Final = Prepared(
    select(*(THING.c[name] for name in COLUMNS))
    .where(THING.c.count >= bindparam("least"))
    .order_by(THING.c.seq)
)
COUNT: Final = Prepared(
    select(func.count(), THING.c.name, func.max(THING.c.at)).group_by(THING.c.name).limit(1)
)
MOMENT: Final = datetime(2026, 4, 1, 10, 30, 0, 5, tzinfo=timezone(timedelta(hours=1)))


def row(**changes: Any) -> dict[str, Any]:
    """A row with every type that is converted on its way, and what a careless SQL text would trip
    over.
    """
    given = {
        "id": uuid7(),
        "words": [["a", "?%(name)s"]],
        "blob": b"\x00\xff",
        "at": MOMENT,
        "name": "50 % of ?",
        "count": 1,
    }
    return {**given, **changes}


@pytest.fixture(autouse=True)
async def tables(database: Database) -> None:
    """The table, empty."""
    await database.write(lambda unit: METADATA.create_all(unit.connection))


async def rows(database: Database) -> list[dict[str, Any]]:
    """What is stored, as the ordinary road reads it."""
    found = select(*(THING.c[name] for name in COLUMNS)).order_by(THING.c.seq)
    return await database.read(
        lambda connection: [dict(each) for each in connection.execute(found).mappings()]
    )


async def test_values_are_stored_as_the_ordinary_road_stores_them(database: Database) -> None:
    one, two, empty = row(), row(count=2), row(words=None, blob=None, at=None, name=None)
    await database.write(lambda unit: NEW.run(unit.connection, one))
    await database.write(lambda unit: NEW.run_many(unit.connection, [two, empty]))
    await database.write(lambda unit: NEW.run_many(unit.connection, []))
    plain = row()
    await database.write(lambda unit: unit.connection.execute(insert(THING), plain))
    found = await rows(database)
    assert found == [
        {**each, "at": each["at"] and each["at"].astimezone(UTC)}
        for each in (one, two, empty, plain)
    ]
    assert isinstance(found[0]["id"], UUID)


async def test_what_returning_answers_and_the_statements_own_values_count(
    database: Database,
) -> None:
    mine = row(count=5)
    await database.write(lambda unit: NEW.run_many(unit.connection, [mine, row()]))
    answers = [
        await database.write(
            lambda unit: RAISE.run(unit.connection, {"which": mine["id"], "by": 10}).scalar_one()
        )
        for _ in range(2)
    ]
    assert answers == [16, 27]
    assert (
        await database.write(
            lambda unit: RAISE.run(unit.connection, {"which": uuid7(), "by": 1}).first()
        )
    ) is None


async def test_rows_are_found_by_parameters(database: Database) -> None:
    await database.write(lambda unit: NEW.run_many(unit.connection, [row(), row(name="other")]))
    await database.write(lambda unit: DROP.run(unit.connection, {"called": "50 % of ?"}))
    assert [each["name"] for each in await rows(database)] == ["other"]


async def test_rows_are_what_the_ordinary_road_reads(database: Database) -> None:
    given = [
        row(),
        row(words=None, blob=None, at=None, name=None),
        row(words={"n": [1, None]}, count=0),
    ]
    await database.write(lambda unit: NEW.run_many(unit.connection, given))
    found = await database.read(lambda connection: FIND.run(connection, {"least": 0}))
    assert [each._asdict() for each in found] == await rows(database)
    assert [each.id for each in found] == [each["id"] for each in given]
    assert (
        await database.read(lambda connection: FIND.run(connection, {"least": 2}))
    ).first() is None


async def test_columns_without_a_name_have_a_place_and_their_type(database: Database) -> None:
    await database.write(lambda unit: NEW.run_many(unit.connection, [row(), row()]))
    count, name, newest = await database.read(lambda connection: COUNT.run(connection).one())
    assert (count, name, newest) == (2, "50 % of ?", MOMENT.astimezone(UTC))


@pytest.mark.parametrize("column", ["id", "name", "count"])
async def test_one_parameter_holds_a_list(database: Database, column: str) -> None:
    given = [
        row(name=name, count=count)
        for name, count in (('it\'s "{a}", \\ ?%', 1), ("Zoë 名", 2), ("1", 3))
    ]
    await database.write(lambda unit: NEW.run_many(unit.connection, given))
    listed = Prepared(
        lambda dialect: (
            select(THING.c[column])
            .where(among(THING.c[column], "these", dialect))
            .order_by(THING.c.seq)
        )
    )
    for wanted in ([], given[:1], given[1:], given):
        these = [each[column] for each in wanted]
        found = await database.read(
            lambda connection, these=these: listed.run(  # type: ignore[misc]
                connection, {"these": these}
            )
        )
        assert found.scalars() == these


async def test_an_update_says_how_many_rows_it_met(database: Database) -> None:
    await database.write(
        lambda unit: NEW.run_many(unit.connection, [row(), row(), row(name="other")])
    )
    rename = Prepared(update(THING).where(THING.c.name == bindparam("b_name")), "name")
    for expected in (2, 0):
        changed = await database.write(
            lambda unit: rename.run(unit.connection, {"b_name": "50 % of ?", "name": "new"})
        )
        assert changed.rowcount == expected


async def test_one_row_means_one(database: Database) -> None:
    for made, one, one_or_none in (
        (0, NoResultFound, None),
        (1, None, None),
        (2, MultipleResultsFound, MultipleResultsFound),
    ):
        await database.write(lambda unit: unit.connection.execute(delete(THING)).close())
        await database.write(
            lambda unit, made=made: NEW.run_many(  # type: ignore[misc]
                unit.connection, [row() for _ in range(made)]
            )
        )
        found = await database.read(lambda connection: FIND.run(connection, {"least": 0}))
        for call, refused in (
            (found.one, one),
            (found.scalar_one, one),
            (found.one_or_none, one_or_none),
            (found.scalar_one_or_none, one_or_none),
        ):
            if refused is None:
                assert (call() is None) == (made == 0)
            else:
                with pytest.raises(refused):
                    call()


async def test_nothing_runs_outside_a_transaction(database: Database) -> None:
    def end_it(unit: Unit) -> None:
        unit.connection.rollback()
        NEW.run(unit.connection, row())

    def behind_a_failed_step(unit: Unit) -> None:
        step = unit.connection.begin_nested()
        step.rollback()
        NEW.run(unit.connection, row())

    with pytest.raises(InvalidRequestError):
        await database.write(end_it)
    assert await rows(database) == []
    await database.write(behind_a_failed_step)
    assert len(await rows(database)) == 1


async def test_what_a_failed_step_did_is_undone(database: Database) -> None:
    twice = row()

    def step(unit: Unit) -> None:
        with unit.attempt():
            NEW.run(unit.connection, row())
            NEW.run(unit.connection, twice)

    def work(unit: Unit) -> None:
        NEW.run(unit.connection, twice)
        with pytest.raises(IntegrityError):
            step(unit)
        NEW.run(unit.connection, row(name="after"))

    await database.write(work)
    assert [each["name"] for each in await rows(database)] == [twice["name"], "after"]


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
        await database.write(
            lambda unit: NEW.run(unit.connection, row(at=MOMENT.replace(tzinfo=None)))
        )


async def test_it_counts_as_one_statement(database: Database) -> None:
    with counting(database) as counted:
        await database.write(lambda unit: NEW.run_many(unit.connection, [row() for _ in range(20)]))
    assert counted.statements == 1
