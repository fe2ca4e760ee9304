"""Each service's history brings a database, on both dialects, to exactly the tables its code
expects: an empty one, today's, and one of the first release."""

import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, inspect, text

from common.database import migrate
from common.database.schema import script_config
from deploy import migrations
from deploy.migrations import BRANCHES, SERVICES, SHARED, folder, histories, tables, write_next
from deploy.stack.postgres import PostgresServer
from tests.support.schemas import schema_drift

pytestmark = pytest.mark.xdist_group("postgres")

BY_ALL = {"plumbing_0002"}
HEADS = {
    "referral": {"0008", "subjects_0001"} | BY_ALL,
    "sharing": {"0012", "subjects_0001"} | BY_ALL,
    "audit": {"0002"} | BY_ALL,
    "identity": {"0003"} | BY_ALL,
    "portal": {"0001"} | BY_ALL,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, service: str) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fresh.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.database(f"migrations_{service}_{abs(hash(str(tmp_path))) % 10**9}")


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def heads(url: str) -> set[str]:
    with connected(url) as connection:
        return set(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


@pytest.mark.parametrize("service", SERVICES)
def test_the_history_ends_where_the_code_begins(service: str, url: str) -> None:
    migrate(url, *histories(service))
    assert schema_drift(url, tables(service)) == []
    migrate(url, *histories(service))
    assert heads(url) == HEADS[service]
    with connected(url) as connection:
        assert set(inspect(connection).get_table_names()) >= set(tables(service).tables)


@pytest.mark.parametrize("since", ["its head", "0001"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_database_from_before_the_shared_histories_is_carried_on(
    service: str, since: str, url: str
) -> None:
    """Then each service made the shared tables in its own first revision, and knew no branch."""
    own = f"{service}@head" if since == "its head" else since
    migrate(url, *histories(service), target=(own, *(f"{each}@head" for each in shared(service))))
    with connected(url) as connection:
        connection.execute(text("DELETE FROM alembic_version WHERE length(version_num) > 4"))
        connection.execute(text("INSERT INTO stream_sequence VALUES ('svc:a', 's', 7)"))
    migrate(url, *histories(service))
    assert schema_drift(url, tables(service)) == []
    assert heads(url) == HEADS[service]
    with connected(url) as connection:
        assert connection.execute(text("SELECT last FROM stream_sequence")).scalars().all() == [7]


def shared(service: str) -> list[str]:
    return [name for name, place in SHARED.items() if place in histories(service)]


@pytest.mark.parametrize("service", SERVICES)
def test_a_missing_table_is_seen(service: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/short.db"
    migrate(url, *histories(service))
    with connected(url) as connection:
        connection.exec_driver_sql("DROP TABLE inbox_quarantine")
    assert schema_drift(url, tables(service)) != []


@pytest.mark.parametrize("service", SERVICES)
def test_no_two_revisions_of_a_database_have_one_id(service: str) -> None:
    """Alembic only warns, and one of the two histories is silently lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        script = ScriptDirectory.from_config(script_config(*histories(service)))
        known = Counter(each.revision for each in script.walk_revisions())
    files = sum(len(list((place / "versions").glob("*.py"))) for place in histories(service))
    assert set(known.values()) == {1}
    assert len(known) == files


def test_a_history_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Alembic would take it for an empty one, and the service would start without its tables."""
    with pytest.raises(FileNotFoundError):
        migrate(f"sqlite:///{tmp_path}/a.db", folder("portal"), tmp_path / "plumbing")


def test_services_that_migrate_at_the_same_time_wait_for_each_other(tmp_path: Path) -> None:
    def start(service: str) -> None:
        migrate(f"sqlite:///{tmp_path}/{service}.db", *histories(service))

    for service in SERVICES:
        tables(service)  # imports are not what is tried here
    with ThreadPoolExecutor(len(SERVICES)) as threads:
        list(threads.map(start, SERVICES))
    for service in SERVICES:
        assert schema_drift(f"sqlite:///{tmp_path}/{service}.db", tables(service)) == []


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_next_revision_of_a_branch_holds_its_own_changes_only(
    branch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_next(branch, "nothing") is None
    monkeypatch.setattr(migrations, "folder", lambda _: tmp_path)
    written = write_next(branch, "all anew")
    assert written is not None
    others = {name for each in SHARED if each != branch for name in tables(each).tables}
    source = written.read_text()
    for table in tables(branch).tables:
        assert (f"create_table('{table}'" in source) == (table not in others)
    assert written.name == ("0001" if branch in SERVICES else f"{branch}_0001") + "_all_anew.py"
