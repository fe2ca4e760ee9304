"""What Database promises its callers, on both dialects."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from common.database import (
    Database,
    DatabaseStopped,
    DatabaseUnavailable,
    GroupCommit,
    JsonDocument,
    RowNumber,
    TransactionBroken,
    Unit,
    UtcDateTime,
    UuidType,
    ensure_schema,
    new_metadata,
)
from hubformats.clock import SystemClock
from hubformats.ids import uuid7
from tests.support.databases import database, database_url
from tests.support.schemas import counting

__all__ = ["database", "database_url"]

METADATA = new_metadata()
NOTE = Table(
    "note",
    METADATA,
    Column("seq", RowNumber, primary_key=True),
    Column("id", UuidType, unique=True),
    Column("word", String, unique=True),
    Column("at", UtcDateTime),
    Column("extra", JsonDocument),
    Column("parent", ForeignKey("note.seq", deferrable=True, initially="DEFERRED")),
)
TALLY = Table(
    "tally",
    METADATA,
    Column("name", String, primary_key=True),
    Column("n", Integer, nullable=False),
)


@pytest.fixture(autouse=True)
async def _schema(database: Database) -> None:
    await ensure_schema(database, METADATA)
    await ensure_schema(database, METADATA)  # a second start changes nothing


async def words(database: Database) -> list[str]:
    """All stored words, in row order."""
    return await database.read(
        lambda c: [row.word for row in c.execute(select(NOTE.c.word).order_by(NOTE.c.seq))]
    )


def add(word: str, unit: Unit) -> str:
    """Store one word."""
    unit.connection.execute(insert(NOTE), {"word": word})
    return word


class Hold:
    """Keeps the writer busy so that what is written meanwhile becomes one group."""

    def __init__(self, database: Database) -> None:
        self._release, self._begun = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait(_: Unit) -> None:
            loop.call_soon_threadsafe(self._begun.set)
            self._release.wait(30)

        self._task = asyncio.create_task(database.write(wait))

    async def begun(self) -> None:
        """Return once the writer stands still."""
        await self._begun.wait()

    async def release(self) -> None:
        """Let it go on."""
        self._release.set()
        await self._task


async def together(database: Database, *works: Callable[[Unit], object]) -> list[object]:
    """The results of works that the writer took as one group."""
    hold = Hold(database)
    await hold.begun()
    tasks = [asyncio.create_task(database.write(work)) for work in works]
    await asyncio.sleep(0)
    await hold.release()
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_a_written_value_is_returned_and_can_be_read(database: Database) -> None:
    assert await database.write(lambda u: add("one", u)) == "one"
    assert await words(database) == ["one"]


async def test_waiting_units_share_one_commit_in_order(database: Database) -> None:
    before = database.groups
    await together(database, *[lambda u, n=n: add(f"w{n}", u) for n in range(20)])
    assert database.groups == before + 2  # the holding unit's and one for the twenty
    assert await words(database) == [f"w{n}" for n in range(20)]


async def test_a_failing_unit_undoes_only_itself(database: Database) -> None:
    def fails(unit: Unit) -> None:
        add("lost", unit)
        raise LookupError("mine")

    results = await together(
        database, lambda u: add("a", u), fails, lambda u: add("a", u), lambda u: add("b", u)
    )
    assert results[0] == "a"
    assert isinstance(results[1], LookupError)
    assert isinstance(results[2], IntegrityError)
    assert results[3] == "b"
    assert await words(database) == ["a", "b"]


async def test_a_failing_unit_alone_leaves_nothing(database: Database) -> None:
    def fails(unit: Unit) -> None:
        add("lost", unit)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(fails)
    assert await words(database) == []


async def test_after_commit_runs_on_the_loop_before_the_caller_goes_on_and_never_for_a_failed_unit(
    database: Database,
) -> None:
    seen: list[tuple[str, int]] = []

    def fails(unit: Unit) -> None:
        unit.after_commit(lambda: seen.append(("failed", 0)))
        raise LookupError

    def works(unit: Unit) -> None:
        unit.after_commit(lambda: seen.append(("worked", threading.get_ident())))

    await together(database, fails, works)
    assert seen == [("worked", threading.get_ident())]


async def test_an_after_commit_call_that_fails_harms_nobody(database: Database) -> None:
    def fails() -> None:
        raise LookupError

    def works(unit: Unit) -> str:
        unit.after_commit(fails)
        return add("kept", unit)

    assert await database.write(works) == "kept"


async def test_the_hook_runs_once_per_group_inside_it_and_sees_what_surviving_units_kept(
    database: Database,
) -> None:
    groups: list[list[str]] = []

    def hook(group: GroupCommit) -> None:
        groups.append(list(group.kept("word")))
        group.connection.execute(insert(NOTE), {"word": f"hook{len(groups)}"})

    def keeps(word: str, unit: Unit) -> None:
        unit.keep("word", word)
        if word == "bad":
            raise LookupError

    database.before_commit(hook)
    await together(
        database, lambda u: keeps("x", u), lambda u: keeps("bad", u), lambda u: keeps("y", u)
    )
    assert groups == [[], ["x", "y"]]
    assert await words(database) == ["hook1", "hook2"]


async def test_a_hook_that_refuses_one_unit_makes_only_that_unit_fail(database: Database) -> None:
    def hook(group: GroupCommit) -> None:
        if "bad" in group.kept("word"):
            raise ValueError("refused")

    def keeps(word: str, unit: Unit) -> str:
        unit.keep("word", word)
        return add(word, unit)

    database.before_commit(hook)
    results = await together(
        database, lambda u: keeps("a", u), lambda u: keeps("bad", u), lambda u: keeps("b", u)
    )
    assert results[0] == "a"
    assert isinstance(results[1], ValueError)
    assert results[2] == "b"
    assert await words(database) == ["a", "b"]


async def test_a_constraint_checked_at_commit_makes_only_its_unit_fail(database: Database) -> None:
    def orphan(unit: Unit) -> None:
        unit.connection.execute(insert(NOTE), {"word": "orphan", "parent": 4711})

    results = await together(database, lambda u: add("a", u), orphan, lambda u: add("b", u))
    assert results[0] == "a"
    assert isinstance(results[1], DBAPIError)
    assert results[2] == "b"
    assert await words(database) == ["a", "b"]


async def test_an_attempt_inside_a_unit_undoes_its_sql_and_what_it_collected(
    database: Database,
) -> None:
    called: list[str] = []
    kept: list[object] = []
    database.before_commit(lambda group: kept.extend(group.kept("k")))

    def fails(unit: Unit) -> None:
        with unit.attempt():
            add("undone", unit)
            unit.keep("k", 2)
            unit.keep("other", 2)
            unit.after_commit(lambda: called.append("undone"))
            raise LookupError

    def work(unit: Unit) -> None:
        unit.keep("k", 1)
        with pytest.raises(LookupError):
            fails(unit)
        with unit.attempt():
            add("done", unit)
            unit.after_commit(lambda: called.append("done"))

    await database.write(work)
    assert (await words(database), called, kept) == (["done"], ["done"], [1])


@pytest.mark.parametrize("company", [0, 2])
async def test_a_unit_that_ends_the_shared_transaction_is_refused(
    database: Database, company: int
) -> None:
    def ends(unit: Unit) -> None:
        add("x", unit)
        unit.connection.rollback()

    results = await together(
        database, ends, *[lambda u, n=n: add(f"ok{n}", u) for n in range(company)]
    )
    assert isinstance(results[0], TransactionBroken)
    assert await words(database) == [f"ok{n}" for n in range(company)]


async def test_reads_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError):
        await database.read(lambda c: c.execute(insert(NOTE), {"word": "no"}))
    assert await words(database) == []


async def test_a_read_sees_one_snapshot(database: Database) -> None:
    await database.write(lambda u: add("before", u))
    loop = asyncio.get_running_loop()

    def counts(connection: object) -> tuple[int, int]:
        first = connection.execute(select(func.count()).select_from(NOTE)).scalar_one()  # type: ignore[attr-defined]
        asyncio.run_coroutine_threadsafe(database.write(lambda u: add("during", u)), loop).result(
            30
        )
        return first, connection.execute(select(func.count()).select_from(NOTE)).scalar_one()  # type: ignore[attr-defined]

    assert await database.read(counts) == (1, 1)
    assert await words(database) == ["before", "during"]


async def test_statements_can_be_counted_without_the_frame(database: Database) -> None:
    with counting(database) as count:
        await together(database, lambda u: add("a", u), lambda u: add("b", u))
    assert count.statements == 2
    await database.write(lambda u: add("c", u))
    assert count.statements == 2


async def test_concurrent_increments_are_all_kept(database: Database) -> None:
    await database.write(lambda u: u.connection.execute(insert(TALLY), {"name": "n", "n": 0}))

    def increment(unit: Unit) -> None:
        n = unit.connection.execute(select(TALLY.c.n)).scalar_one()
        unit.connection.execute(update(TALLY).values(n=n + 1))

    await asyncio.gather(*[database.write(increment) for _ in range(300)])
    assert await database.read(lambda c: c.execute(select(TALLY.c.n)).scalar_one()) == 300


async def test_types_mean_the_same_on_both_dialects(database: Database) -> None:
    identity = uuid7()
    at = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=1)))
    row = {"id": identity, "word": "w", "at": at, "extra": {"a": [1, None]}}
    await database.write(lambda u: u.connection.execute(insert(NOTE), row))
    found = await database.read(
        lambda c: c.execute(select(NOTE.c.id, NOTE.c.at, NOTE.c.extra)).one()
    )
    assert isinstance(found.id, UUID)
    assert (found.id, found.at, found.extra) == (identity, at, {"a": [1, None]})
    assert found.at.tzinfo is UTC
    later = at + timedelta(microseconds=1)
    assert (
        await database.read(
            lambda c: c.execute(select(func.count()).where(NOTE.c.at < later)).scalar_one()
        )
        == 1
    )


async def test_a_naive_datetime_is_refused(database: Database) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  that is the point
    with pytest.raises(StatementError, match="time zone"):
        await database.write(lambda u: u.connection.execute(insert(NOTE), {"at": naive}))


async def test_stop_finishes_what_was_accepted_and_then_refuses(database: Database) -> None:
    tasks = [asyncio.create_task(database.write(lambda u, n=n: add(f"w{n}", u))) for n in range(50)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await database.stop()
    assert len(await asyncio.gather(*tasks)) == 50
    with pytest.raises(DatabaseStopped):
        await database.write(lambda u: add("late", u))
    with pytest.raises(DatabaseStopped):
        await database.read(lambda c: None)
    await database.start()
    assert len(await words(database)) == 50


async def test_a_cancelled_caller_who_waited_in_the_queue_leaves_nothing(
    database: Database,
) -> None:
    hold = Hold(database)
    await hold.begun()
    task = asyncio.create_task(database.write(lambda u: add("nobody waits", u)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await hold.release()
    await database.write(lambda u: add("next", u))
    assert await words(database) == ["next"]


async def test_only_one_holder_per_lock_name(database: Database, database_url: str) -> None:
    other = Database(database_url, clock=SystemClock(), name="other")
    await other.start()
    mine, theirs = database.lock("relay"), other.lock("relay")
    assert await mine.acquire()
    assert await mine.acquire()
    assert not await theirs.acquire()
    another = other.lock("another")
    assert await another.acquire()
    await another.release()
    assert (await mine.held(), await theirs.held()) == (True, False)
    await mine.release()
    assert await theirs.acquire()
    assert not await mine.held()
    await theirs.release()
    await other.stop()


async def test_a_database_that_cannot_be_reached_says_so(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        with pytest.raises(ValueError):
            Database("sqlite:///:memory:", clock=SystemClock(), name="x")
        return
    gone = Database(
        "postgresql+psycopg://nobody:none@127.0.0.1:1/none",
        clock=SystemClock(),
        name="x",
        retry_for=0.2,
    )
    with pytest.raises(DatabaseUnavailable):
        await gone.start()


async def test_connections_are_set_to_be_durable(database: Database) -> None:
    if database.dialect == "postgresql":
        shown = await database.write(
            lambda u: u.connection.execute(text("SHOW synchronous_commit")).scalar_one()
        )
        assert shown == "on"
        return

    def pragmas(unit: Unit) -> list[object]:
        return [
            unit.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert await database.write(pragmas) == ["wal", 2, 1]


async def test_an_error_never_shows_the_values_of_a_statement(database: Database) -> None:
    await database.write(lambda u: add("Marta Quillfeather", u))
    with pytest.raises(IntegrityError) as caught:
        await database.write(
            lambda u: u.connection.execute(
                insert(NOTE),
                {"seq": 1, "word": "Marta Quillfeather", "extra": {"a": "07700 900123"}},
            )
        )
    assert "07700" not in str(caught.value)
    with pytest.raises(DBAPIError) as refused:
        await database.read(lambda c: c.execute(insert(NOTE), {"word": "Marta Quillfeather"}))
    assert "Marta" not in str(refused.value)
