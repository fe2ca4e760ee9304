"""A session inside a unit of work: what it may undo, and how versions count."""

from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import registry
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Field, SQLModel

from common.database import Database, Unit, Versioned, ensure_schema, new_metadata, session
from hubformats.ids import uuid7
from tests.contract.test_database_writes import together
from tests.support.databases import database, database_url

__all__ = ["database", "database_url"]

METADATA = new_metadata()


class Row(SQLModel, registry=registry(metadata=METADATA)):
    """As every service has its own."""


class Draft(Row, Versioned, table=True):
    """Something a person edits."""

    __tablename__ = "draft"
    id: UUID = Field(primary_key=True)
    title: str = Field(unique=True)


@pytest.fixture(autouse=True)
async def _schema(database: Database) -> None:
    await ensure_schema(database, METADATA)


def add(title: str, unit: Unit) -> UUID:
    row = Draft(id=uuid7(), title=title)
    with session(unit) as opened:
        opened.add(row)
        return row.id


def rename(draft: UUID, title: str, unit: Unit) -> int:
    with session(unit) as opened:
        row = opened.get_one(Draft, draft)
        row.title = title
        opened.flush()
        return row.version


async def titles(database: Database) -> list[tuple[str, int]]:
    drafts = Draft.__table__.c  # type: ignore[attr-defined]
    return await database.read(
        lambda c: [
            (row.title, row.version)
            for row in c.execute(select(drafts.title, drafts.version).order_by(drafts.title))
        ]
    )


async def test_a_session_that_fails_undoes_itself_and_not_its_neighbours(
    database: Database,
) -> None:
    ran: list[str] = []

    def good(title: str, unit: Unit) -> UUID:
        ran.append(title)
        return add(title, unit)

    await database.write(lambda unit: add("one", unit))
    groups = database.groups
    results = await together(
        database,
        lambda unit: good("two", unit),
        lambda unit: add("one", unit),  # a duplicate
        lambda unit: good("three", unit),
    )
    assert isinstance(results[1], IntegrityError)
    assert ran == ["two", "three"], "the good units ran once: their group was not rolled back"
    assert database.groups == groups + 2
    assert [title for title, _ in await titles(database)] == ["one", "three", "two"]


def undone(unit: Unit) -> None:
    with session(unit) as opened:
        opened.add(Draft(id=uuid7(), title="undone"))
        opened.flush()
        raise KeyError


async def test_a_caller_may_go_on_after_a_failed_session(database: Database) -> None:
    def work(unit: Unit) -> None:
        add("kept", unit)
        with pytest.raises(IntegrityError):
            add("kept", unit)
        with pytest.raises(KeyError):
            undone(unit)
        add("after", unit)

    await database.write(work)
    assert [title for title, _ in await titles(database)] == ["after", "kept"]


async def test_each_change_counts_and_a_stale_row_is_refused(database: Database) -> None:
    draft = await database.write(lambda unit: add("a", unit))
    assert await database.write(lambda unit: rename(draft, "b", unit)) == 2
    assert await database.write(lambda unit: rename(draft, "b", unit)) == 2, "nothing changed"

    def late(unit: Unit) -> None:
        with session(unit) as first:
            row = first.get_one(Draft, draft)
            rename(draft, "c", unit)
            row.title = "d"

    with pytest.raises(StaleDataError):
        await database.write(late)
    assert await titles(database) == [("b", 2)]
