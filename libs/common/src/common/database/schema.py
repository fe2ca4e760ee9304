"""Bring a database to the schema its service expects, by one history for both dialects."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from common.database.database import Database
from common.database.engines import checked_url, writer_engine
from common.database.unit import Unit

# Two replicas that start together take turns; the number is arbitrary and the same everywhere.
_SCHEMA_LOCK: Final = 0x4855_4253_4348_4541
_ONE_AT_A_TIME: Final = threading.Lock()

PLUMBING: Final = Path(__file__).parent / "migrations" / "plumbing"
"""The history of the tables that every service has; ids begin with `plumbing_`."""
SUBJECTS: Final = Path(__file__).parent / "migrations" / "subjects"
"""The history of the subjects' keys; ids begin with `subjects_`."""


async def ensure_schema(database: Database, metadata: MetaData) -> None:
    """Create every table of `metadata` that is missing; changes nothing that exists."""

    def create(unit: Unit) -> None:
        _take_turn(unit.connection)
        metadata.create_all(unit.connection)

    await database.write(create)


def shared_histories(metadata: MetaData) -> tuple[Path, ...]:
    """List the shared Alembic branches whose tables stand in a service's schema."""
    branches = {"outbox": PLUMBING, "subject_key": SUBJECTS}
    return tuple(folder for table, folder in branches.items() if table in metadata.tables)


def migrate(url: str, *histories: Path, target: str | Sequence[str] = "heads") -> None:
    """Run the Alembic histories in `versions` of these folders, a service's own first.

    Blocks: call it before the loop starts. All is one transaction: a crash in between leaves the
    old schema, for DDL is transactional on both dialects.

    Raises FileNotFoundError for a history that is not there.
    """
    config = script_config(*histories)
    # Alembic's `op` is global to the process: two threads would write into each other's database.
    with _ONE_AT_A_TIME, migration(url) as connection:
        script = ScriptDirectory.from_config(config)
        goal: Any = target if isinstance(target, str) else tuple(target)
        environment = EnvironmentContext(
            config, script, fn=lambda revision, _: script._upgrade_revs(goal, revision)
        )
        with environment:
            environment.configure(
                connection=connection, render_as_batch=True, transactional_ddl=True
            )
            environment.run_migrations()


def script_config(*histories: Path) -> Config:
    """Make Alembic's configuration without an ini file.

    Raises FileNotFoundError: Alembic would take a missing folder for an empty history.
    """
    folders = [history / "versions" for history in histories]
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"no migrations in {folder}")
    config = Config()
    config.set_main_option("script_location", str(histories[0]))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(str, folders)))
    return config


@contextmanager
def migration(url: str) -> Iterator[Connection]:
    """Open a transaction in which this process alone changes the schema."""
    engine = writer_engine(checked_url(url))
    try:
        with engine.connect() as connection, connection.begin():
            _take_turn(connection)
            yield connection
    finally:
        engine.dispose()


def _take_turn(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
