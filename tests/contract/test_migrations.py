"""Each service's history brings an empty database, on both dialects, to exactly the tables its code
expects, and back."""

from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, inspect

from common.database import migrate, schema_drift
from deploy.migrations import SERVICES, folder, tables
from deploy.stack.postgres import PostgresServer

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, service: str) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fresh.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.database(f"migrations_{service}_{abs(hash(str(tmp_path))) % 10**9}")


@pytest.mark.parametrize("service", SERVICES)
def test_the_history_ends_where_the_code_begins(service: str, url: str) -> None:
    migrate(url, folder(service))
    assert schema_drift(url, tables(service)) == []
    migrate(url, folder(service))
    engine = create_engine(url, poolclass=NullPool)
    try:
        assert set(inspect(engine).get_table_names()) >= set(tables(service).tables)
    finally:
        engine.dispose()


@pytest.mark.parametrize("service", SERVICES)
def test_a_missing_table_is_seen(service: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/short.db"
    migrate(url, folder(service))
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql("DROP TABLE inbox_quarantine")
    assert schema_drift(url, tables(service)) != []
