"""Counts the work of a database instead of its time: instructions of SQLite's virtual machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, MetaData, Table, create_engine

T = TypeVar("T")
SLACK: Final = 150
"""Instructions that may be more on a larger database: one more level of an index or two."""


@contextmanager
def filled(
    file: Path, metadata: MetaData, rows: dict[Table, list[dict[str, Any]]]
) -> Iterator[Connection]:
    """A connection to a new database that holds these rows."""
    engine = create_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as connection, connection.begin():
            metadata.create_all(connection)
            for table, values in rows.items():
                connection.execute(table.insert(), values)
            yield connection
    finally:
        engine.dispose()


def steps(connection: Connection, work: Callable[[], T]) -> tuple[int, T]:
    """How many instructions the database ran for `work`, and what that answered.

    Run once before, so that what SQLAlchemy and SQLite prepare is not counted.
    """
    work()
    count = 0

    def one() -> int:
        nonlocal count
        count += 1
        return 0

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(one, 1)
    try:
        answer = work()
    finally:
        driver.set_progress_handler(None, 1)
    return count, answer
