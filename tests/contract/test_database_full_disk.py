"""A full disk: nothing is acknowledged that is not durable, and work goes on once there is room."""

import asyncio
import logging
from functools import partial
from pathlib import Path
from sqlite3 import Connection as SqliteConnection

import pytest
from sqlalchemy import Column, Integer, LargeBinary, Table, event, func, insert, select

from common.database import Database, DatabaseUnavailable, Unit, ensure_schema, new_metadata
from hubformats.clock import SystemClock

METADATA = new_metadata()
NOTE = Table(
    "note",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
PAGES = 200


def write(number: int, unit: Unit) -> int:
    """A row of several pages."""
    unit.connection.execute(insert(NOTE), {"id": number, "body": bytes(20_000)})
    return number


async def test_what_found_no_room_is_refused_and_goes_on_when_there_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database, room = Database(f"sqlite:///{tmp_path}/x.db", clock=SystemClock(), name="x"), [PAGES]
    await database.start()
    await ensure_schema(database, METADATA)
    assert database._write_engine is not None

    def limit(connection: SqliteConnection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={room[0]}")

    event.listen(database._write_engine, "connect", limit)
    for writer in database._writers:
        writer._drop_connection()
    acknowledged: list[int] = []

    async def fill() -> None:
        while True:
            acknowledged.append(await database.write(partial(write, len(acknowledged) + 1)))

    with caplog.at_level(logging.ERROR), pytest.raises(DatabaseUnavailable):
        await fill()
    assert {record.__dict__.get("alarm") for record in caplog.records} == {"disk-full"}
    assert 0 < len(acknowledged) < 100

    async def kept() -> int:
        return await database.read(
            lambda connection: connection.execute(
                select(func.count()).select_from(NOTE)
            ).scalar_one()
        )

    assert await kept() == len(acknowledged)
    waiting = asyncio.create_task(database.write(partial(write, 5_000)))
    await asyncio.sleep(0.1)
    room[0] = 10 * PAGES
    assert await waiting == 5_000
    assert await kept() == len(acknowledged) + 1
    await database.stop()
