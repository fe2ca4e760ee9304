"""One test, both dialects: a fresh database per test, on SQLite and on the run's PostgreSQL."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from common.database import Database
from deploy.stack.postgres import PostgresServer
from hubformats.clock import SystemClock


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hub.db"
    server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
    return server.database(f"t{secrets.token_hex(8)}")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A running Database on `database_url`."""
    made = Database(database_url, clock=SystemClock(), name="test", retry_for=5)
    await made.start()
    yield made
    await made.stop()
