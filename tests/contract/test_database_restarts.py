"""A PostgreSQL that restarts, ends sessions or loses the answer to a COMMIT: waited for, asked, and
never done twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
from psycopg import Connection as DriverConnection
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    String,
    Table,
    event,
    insert,
    select,
    text,
    update,
)

from common.database import (
    CommitUnknown,
    Database,
    DatabaseUnavailable,
    Prepared,
    Unit,
    ensure_schema,
    new_metadata,
)
from deploy.stack.postgres import PostgresServer
from hubformats.clock import SystemClock
from tests.support.members import until

METADATA = new_metadata()
WORK = Table("work", METADATA, Column("n", Integer, nullable=False))
PLACE = Table(
    "place",
    METADATA,
    Column("name", String, primary_key=True),
    Column("n", Integer, nullable=False),
)


@pytest.fixture
async def database(own_postgres_server: PostgresServer) -> AsyncIterator[Database]:
    made = Database(
        own_postgres_server.database("restarts"), clock=SystemClock(), name="test", retry_for=10
    )
    await made.start()
    await ensure_schema(made, METADATA)
    yield made
    await made.stop()


def add(n: int, unit: Unit) -> int:
    unit.connection.execute(insert(WORK), {"n": n})
    return n


async def stored(database: Database) -> list[int]:
    return await database.read(lambda c: sorted(c.execute(select(WORK.c.n)).scalars()))


async def test_a_server_killed_under_load_loses_no_answered_write_and_doubles_none(
    database: Database, own_postgres_server: PostgresServer
) -> None:
    answered: list[int] = []
    unknown: set[int] = set()
    numbers = iter(range(100_000))
    running = True

    async def load() -> None:
        while running:
            number = next(numbers)
            try:
                answered.append(await database.write(partial(add, number)))
            except CommitUnknown:  # nobody could say, and the caller is told so
                unknown.add(number)

    tasks = [asyncio.create_task(load()) for _ in range(8)]
    for _ in range(2):
        await asyncio.sleep(0.3)
        before = len(answered)
        await asyncio.to_thread(own_postgres_server.kill)
        await asyncio.to_thread(own_postgres_server.start)
        await until(lambda before=before: len(answered) >= before + 20)  # type: ignore[misc]
    running = False
    await asyncio.gather(*tasks)
    found = await stored(database)
    assert len(found) == len(set(found))
    assert set(answered) <= set(found) <= set(answered) | unknown


async def test_reads_and_writes_survive_ended_sessions(database: Database) -> None:
    await database.write(lambda unit: add(1, unit))
    ends = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
        "datname = current_database()"
    )
    await database.write(lambda unit: unit.connection.execute(ends).all())
    assert await stored(database) == [1]
    await database.read(lambda c: c.execute(ends).all())
    await database.write(lambda unit: add(2, unit))
    assert await stored(database) == [1, 2]


async def test_a_prepared_statement_that_finds_its_session_ended_is_run_again_on_another(
    database: Database,
) -> None:
    """The session ends between two statements of one unit, so that the prepared one is the first to
    notice.
    """
    find, new = Prepared(select(WORK.c.n)), Prepared(insert(WORK), "n")
    end = text("SELECT pg_terminate_backend(:pid)")
    tried: list[int] = []

    def cut(connection: Connection) -> None:
        tried.append(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        if len(tried) == 1:
            other = asyncio.run_coroutine_threadsafe(
                database.read(lambda c: c.execute(end, {"pid": tried[0]}).all()), loop
            )
            other.result()

    def write(unit: Unit) -> None:
        cut(unit.connection)
        new.run(unit.connection, {"n": 1})

    def read(connection: Connection) -> list[int]:
        cut(connection)
        return find.run(connection).scalars()

    loop = asyncio.get_running_loop()
    await database.write(write)
    assert len(set(tried)) == 2
    tried.clear()
    assert await database.read(read) == [1]
    assert len(set(tried)) == 2


async def test_a_lock_is_lost_with_its_session_and_can_be_taken_again(database: Database) -> None:
    lock = database.lock("relay")
    assert await lock.acquire()
    ends = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
        "datname = current_database()"
    )
    await database.write(lambda unit: unit.connection.execute(ends).all())
    assert not await lock.held()
    assert await lock.acquire()
    await lock.release()


async def test_a_server_that_stays_away_is_reported_within_the_limit(
    own_postgres_server: PostgresServer,
) -> None:
    database = Database(
        own_postgres_server.database("away"), clock=SystemClock(), name="test", retry_for=0.3
    )
    await database.start()
    await ensure_schema(database, METADATA)
    await asyncio.to_thread(own_postgres_server.kill)
    results = await asyncio.gather(
        *[database.write(partial(add, n)) for n in range(5)], return_exceptions=True
    )
    assert all(
        isinstance(result, DatabaseUnavailable) and not isinstance(result, CommitUnknown)
        for result in results
    )
    with pytest.raises(DatabaseUnavailable):
        await database.read(lambda c: c.execute(select(WORK)).all())
    await asyncio.to_thread(own_postgres_server.start)
    await database.write(lambda unit: add(9, unit))
    assert await stored(database) == [9]
    await database.stop()


def lose_the_next_commit(
    database: Database, ending: Callable[[DriverConnection[object]], None]
) -> None:
    """Let `ending` decide the transaction on the wire, then cut the connection before COMMIT is
    answered.
    """
    engine = database._write_engine
    assert engine is not None
    done: list[bool] = []

    @event.listens_for(engine, "commit")
    def _cut(connection: Connection) -> None:
        if not done:
            done.append(True)
            driver = connection.connection.driver_connection
            assert isinstance(driver, DriverConnection)
            ending(driver)
            driver.close()


async def test_a_commit_whose_answer_was_lost_is_asked_about_and_not_repeated(
    database: Database,
) -> None:
    runs: list[int] = []
    called: list[int] = []

    def work(unit: Unit) -> int:
        runs.append(1)
        unit.after_commit(lambda: called.append(1))
        return add(1, unit)

    lose_the_next_commit(database, lambda driver: driver.commit())
    assert await database.write(work) == 1
    assert (runs, called, await stored(database)) == ([1], [1], [1])


async def test_a_commit_that_never_arrived_is_run_again(database: Database) -> None:
    runs: list[int] = []

    def work(unit: Unit) -> int:
        runs.append(1)
        return add(1, unit)

    lose_the_next_commit(database, lambda driver: driver.rollback())
    assert await database.write(work) == 1
    assert (runs, await stored(database)) == ([1, 1], [1])


async def test_when_nobody_can_say_the_caller_is_told_so(
    own_postgres_server: PostgresServer,
) -> None:
    database = Database(
        own_postgres_server.database("unsaid"), clock=SystemClock(), name="test", retry_for=0.3
    )
    await database.start()
    await ensure_schema(database, METADATA)

    def ending(driver: DriverConnection[object]) -> None:
        driver.commit()
        own_postgres_server.kill()

    lose_the_next_commit(database, ending)
    with pytest.raises(CommitUnknown):
        await database.write(lambda unit: add(1, unit))
    await asyncio.to_thread(own_postgres_server.start)
    assert await stored(database) == [1]
    await database.stop()


async def test_two_processes_that_deadlock_both_get_their_work_done(
    database: Database, own_postgres_server: PostgresServer
) -> None:
    other = Database(
        own_postgres_server.database("restarts"), clock=SystemClock(), name="other", retry_for=10
    )
    await other.start()
    await database.write(
        lambda u: u.connection.execute(
            insert(PLACE), [{"name": "a", "n": 0}, {"name": "b", "n": 0}]
        )
    )

    def touch(*names: str) -> Callable[[Unit], None]:
        def work(unit: Unit) -> None:
            for name in names:
                unit.connection.execute(
                    update(PLACE).where(PLACE.c.name == name).values(n=PLACE.c.n + 1)
                )
                unit.connection.execute(text("SELECT pg_sleep(0.3)"))

        return work

    await asyncio.gather(database.write(touch("a", "b")), other.write(touch("b", "a")))
    assert await other.read(lambda c: sorted(c.execute(select(PLACE.c.n)).scalars())) == [2, 2]
    await other.stop()
