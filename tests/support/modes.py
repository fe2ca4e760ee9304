"""The two ways in which the hub runs, for attacks that must meet both: everything in one process on
SQLite and the embedded bus, or production's adapters on PostgreSQL and Kafka."""

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from psycopg import sql
from sqlalchemy import ClauseElement
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import make_url

from common import topics
from common.bus import Bus
from common.bus_kafka import KafkaBus
from common.settings import Settings
from deploy.stack import processes, topology
from deploy.stack.kafka import KafkaBroker
from deploy.stack.postgres import PostgresServer
from hubformats.clock import Clock
from standalone.bus import EmbeddedBus
from tests.support.damage import emptied, lost

VARIABLE: Final = "ATTACK_MODE"
"""Which modes attacks run in: `standalone`, `stack` or `both`.

Unset, a file marked `both_modes` runs in both and every other one in standalone. Not `HUB_...`: a
service that a test starts refuses settings it does not know.
"""
NAMES: Final = ("standalone", "stack")
_WHOLE: Final = {"render_postcompile": True}
_CHOICES: Final = {"standalone": NAMES[:1], "stack": NAMES[1:], "both": NAMES}


def chosen(*, marked: bool) -> Sequence[str]:
    """The modes of a file that is marked `both_modes`, or is not.

    Raises UsageError for a mode that there is not.
    """
    said = os.environ.get(VARIABLE) or ("both" if marked else "standalone")
    if said not in _CHOICES:
        raise pytest.UsageError(f"{VARIABLE} must be one of {', '.join(_CHOICES)}, not {said}")
    return _CHOICES[said]


class HubBus(Bus, Protocol):
    """The whole bus as who owns it sees it; `door` gives a service's own view."""

    def door(self, principal: str) -> Bus: ...


class Mode(Protocol):
    """Where a hub keeps its data and how its services hear of each other.

    A database goes by the file it would have in standalone; a bus by the folder of its hub.
    """

    name: str

    def url(self, file: Path) -> str:
        """The URL of this database, made when first asked for."""
        ...

    def settings(self, settings: Settings, service: str) -> Settings:
        """The same settings on this mode's servers."""
        ...

    def bus(self, file: Path, clock: Clock) -> HubBus:
        """The bus of the hub in the file's folder; the same folder again finds what was there."""
        ...

    def rows(self, file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds, spelt as SQLite spells it: a `?` for each value, ids as hex."""
        ...

    def change(self, file: Path, statement: str, *values: object) -> int:
        """Write behind the services' back. Returns how many rows it met."""
        ...

    def steps(self, file: Path, statement: ClauseElement, *values: object) -> list[str]:
        """How the database would carry out a statement, none of its indexes forbidden."""
        ...

    def holding(self, folder: Path, secret: bytes) -> list[str]:
        """Where, of all that a hub in this folder keeps, these bytes stand."""
        ...

    def lose(self, file: Path) -> None:
        """Lose the database of a hub that is stopped."""
        ...

    def empty(self, file: Path) -> None:
        """Leave nothing in the database of a hub that is stopped."""
        ...

    def copy(self, source: Path, target: Path) -> None:
        """Put a copy of a database that nobody has open in another's place."""
        ...


class Standalone:
    """One process, SQLite files, the embedded bus."""

    name = "standalone"

    def url(self, file: Path) -> str:
        """See Mode.url."""
        return f"sqlite:///{file}"

    def settings(self, settings: Settings, service: str) -> Settings:
        """See Mode.settings: they are standalone's."""
        del service
        return settings

    def bus(self, file: Path, clock: Clock) -> HubBus:
        """See Mode.bus."""
        return EmbeddedBus(file, topics.topics(topology.AGENCIES), clock=clock)

    def rows(self, file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
        """See Mode.rows."""
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def change(self, file: Path, statement: str, *values: object) -> int:
        """See Mode.change."""
        with closing(sqlite3.connect(file, timeout=20)) as connection:
            met = connection.execute(statement, values).rowcount
            connection.commit()
            return met

    def steps(self, file: Path, statement: ClauseElement, *values: object) -> list[str]:
        """See Mode.steps."""
        said = statement.compile(dialect=sqlite.dialect(), compile_kwargs=_WHOLE)
        return [row[3] for row in self.rows(file, f"EXPLAIN QUERY PLAN {said}", *values)]

    def holding(self, folder: Path, secret: bytes) -> list[str]:
        """See Mode.holding."""
        return _files_with(secret, folder, "*")

    def lose(self, file: Path) -> None:
        """See Mode.lose."""
        lost(file)

    def empty(self, file: Path) -> None:
        """See Mode.empty."""
        emptied(file)

    def copy(self, source: Path, target: Path) -> None:
        """See Mode.copy."""
        lost(target)
        with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
            one.backup(other)


class WholeKafka(KafkaBus):
    """Kafka as its superuser sees it, whom no access rule binds, and the services' own doors."""

    def __init__(self, broker: KafkaBroker) -> None:
        super().__init__(broker.bootstrap, broker.superuser, broker.password)
        self._broker = broker
        self._doors: list[KafkaBus] = []

    def door(self, principal: str) -> KafkaBus:
        """The bus as a service's process makes it, with that service's password and rights."""
        made = KafkaBus(self._broker.bootstrap, principal, self._broker.password_of(principal))
        self._doors.append(made)
        return made

    async def start(self) -> None:
        """Start it and every door."""
        await super().start()
        await asyncio.gather(*(door.start() for door in self._doors))

    async def stop(self) -> None:
        """Stop every door, then it."""
        await asyncio.gather(*(door.stop() for door in self._doors))
        await super().stop()


class StackMode:
    """PostgreSQL and Kafka, each service with its own role, principal and rights.

    One hub at a time has the broker: another folder's finds its topics empty.
    """

    name = "stack"

    def __init__(self, postgres: PostgresServer, kafka: Callable[[], KafkaBroker]) -> None:
        self.postgres = postgres
        self._kafka = kafka
        self._databases: dict[Path, str] = {}
        self._folder: Path | None = None

    @cached_property
    def broker(self) -> KafkaBroker:
        """This worker's broker, started when first asked for."""
        return self._kafka()

    def url(self, file: Path) -> str:
        """See Mode.url."""
        if file not in self._databases:
            self._databases[file] = f"a{secrets.token_hex(8)}"
        return self.postgres.database(self._databases[file])

    def settings(self, settings: Settings, service: str) -> Settings:
        """See Mode.settings."""
        file = make_url(settings.database_url).database
        assert file is not None
        broker = self.broker
        doorkeeper = broker.password_of(topics.DOORKEEPER) if service == "identity" else ""
        return settings.with_(
            database_url=self.url(Path(file)),
            bus="kafka",
            kafka_bootstrap=broker.bootstrap,
            kafka_user=service,
            kafka_password=broker.password_of(service),
            kafka_doorkeeper_password=doorkeeper,
        )

    def bus(self, file: Path, clock: Clock) -> HubBus:
        """See Mode.bus."""
        del clock
        if file.parent != self._folder:
            _empty(self.broker)
            self._folder = file.parent
        return WholeKafka(self.broker)

    def rows(self, file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
        """See Mode.rows."""
        with self._connect(file) as connection:
            found = connection.execute(_spelt(query), values).fetchall()
        return [tuple(map(_plain, row)) for row in found]

    def change(self, file: Path, statement: str, *values: object) -> int:
        """See Mode.change."""
        with self._connect(file) as connection:
            return connection.execute(_spelt(statement), values).rowcount

    def steps(self, file: Path, statement: ClauseElement, *values: object) -> list[str]:
        """See Mode.steps: a small table would be read whole although an index fits."""
        dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]
        said = str(statement.compile(dialect=dialect, compile_kwargs=_WHOLE))
        with self._connect(file) as connection:
            connection.execute("SET enable_seqscan = off")
            return [str(row[0]) for row in connection.execute(f"EXPLAIN {said}".encode(), values)]

    def holding(self, folder: Path, secret: bytes) -> list[str]:
        """See Mode.holding: files, rows and records."""
        found = _files_with(secret, folder, "*")
        found += _files_with(secret, self.broker.folder / "data", "*.log")
        for file in [each for each in self._databases if each.is_relative_to(folder)]:
            for (table,) in self.rows(
                file, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ):
                with self._connect(file) as connection:
                    rows = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
                    for (row,) in connection.execute(rows):
                        if secret.decode() in row or secret.hex() in row:
                            found.append(f"{file.stem}.{table}")
        return found

    def lose(self, file: Path) -> None:
        """See Mode.lose."""
        self.postgres.drop(self._databases[file])
        self.url(file)

    def empty(self, file: Path) -> None:
        """See Mode.empty: one that was made anew is empty."""
        self.lose(file)

    def copy(self, source: Path, target: Path) -> None:
        """See Mode.copy."""
        self.url(target)
        names = [sql.Identifier(self._databases[each]) for each in (source, target)]
        with psycopg.connect(self.postgres.superuser_url(), autocommit=True) as connection:
            for statement in ("DROP DATABASE {1}", "CREATE DATABASE {1} TEMPLATE {0} OWNER {1}"):
                connection.execute(sql.SQL(statement).format(*names))
            with suppress(psycopg.errors.InvalidGrantOperation):  # a copy that is put back
                connection.execute(sql.SQL("GRANT {0} TO {1}").format(*names))  # tables' owner

    def clear(self) -> None:
        """Drop every database that was made."""
        with psycopg.connect(self.postgres.superuser_url(), autocommit=True) as connection:
            for name in self._databases.values():  # a copy's tables are another's role's
                gone = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                connection.execute(gone.format(sql.Identifier(name)))
        for name in self._databases.values():
            self.postgres.drop(name)

    def _connect(self, file: Path) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.postgres.superuser_url(self._databases[file]), autocommit=True)


def _empty(broker: KafkaBroker) -> None:
    """Give a hub a broker as if it were the first one's."""
    provisioner = broker.provisioner()
    if there := provisioner.topics():
        provisioner.delete_topics(there)
        processes.wait_until(lambda: not provisioner.topics(), 30, "the topics of before to go")
        admin = AdminClient(provisioner._access)
        groups = [one.group_id for one in admin.list_consumer_groups().result(30).valid]
        for group in admin.delete_consumer_groups(groups).values() if groups else ():
            group.result(30)
    broker.provision(topology.kafka_topics(), topology.PRINCIPALS, topology.kafka_acls())


def _files_with(secret: bytes, folder: Path, names: str) -> list[str]:
    files = (path for path in folder.rglob(names) if path.is_file())
    return [str(path) for path in files if secret in path.read_bytes()]


def _spelt(query: str) -> bytes:
    """A query of SQLite's spelling for psycopg."""
    return query.replace("%", "%%").replace("?", "%s").encode()


def _plain(value: object) -> object:
    """A value as SQLite would give it."""
    match value:
        case UUID():
            return value.hex
        case bool():
            return int(value)
        case memoryview():
            return bytes(value)
        case _:
            return value


STANDALONE: Final = Standalone()
