"""Bringing a database to the schema its service expects: create at once, or migrate through one
history for both dialects."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from common.database.database import Database
from common.database.engines import checked_url, writer_engine
from common.database.unit import Unit

# Two replicas that start together take turns; the number is arbitrary and the same everywhere.
_SCHEMA_LOCK: Final = 0x4855_4253_4348_4541


async def ensure_schema(database: Database, metadata: MetaData) -> None:
    """Create every table of `metadata` that is missing; changes nothing that exists."""

    def create(unit: Unit) -> None:
        _take_turn(unit.connection)
        metadata.create_all(unit.connection)

    await database.write(create)


def migrate(url: str, script_location: str | Path, *, target: str = "head") -> None:
    """Run the Alembic history in `script_location`/versions up to `target`, in one transaction.

    Blocks: call it before the loop starts.

    A crash in between leaves the old schema: DDL is transactional on both dialects.
    """
    with _migration(url) as connection:
        script = _script(script_location)
        environment = EnvironmentContext(
            script_config(script_location),
            script,
            fn=lambda revision, _: script._upgrade_revs(target, revision),
        )
        with environment:
            environment.configure(
                connection=connection, render_as_batch=True, transactional_ddl=True
            )
            environment.run_migrations()


def schema_drift(url: str, metadata: MetaData) -> list[Any]:
    """What autogenerate would still change between the database and `metadata`; empty when they
    agree.
    """
    with _migration(url) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "render_as_batch": True}
        )
        return list(compare_metadata(context, metadata))


def script_config(script_location: str | Path) -> Config:
    """Alembic's configuration without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(script_location))
    config.set_main_option("path_separator", "os")
    return config


def _script(script_location: str | Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(script_config(script_location))


@contextmanager
def _migration(url: str) -> Iterator[Connection]:
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
