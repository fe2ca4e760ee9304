"""The file of the embedded bus: SQLite, in write-ahead mode, fsynced with each commit."""

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.topics import TopicSpec

_SCHEMA: Final = """
create table if not exists partition(
  id integer primary key, topic text not null, number integer not null,
  next_offset integer not null default 0,
  retention_ms integer not null, unique(topic, number));
create table if not exists message(
  position integer primary key, partition integer not null, number integer not null,
  timestamp_ms integer not null,
  key blob not null, value blob not null, headers text not null);
create unique index if not exists message_place on message(partition, number);
create table if not exists committed(
  consumers text not null, partition integer not null, next_offset integer not null,
  primary key(consumers, partition)) without rowid;
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition as stored: `id` in this file, its topic and number."""

    id: int
    topic: str
    number: int


def connect(path: Path) -> sqlite3.Connection:
    """Open the file; a commit is durable when it returns."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    return connection


def create(path: Path, specs: Sequence[TopicSpec]) -> None:
    """Create what is missing; topics that are there take over their retention alone."""
    with contextlib.closing(connect(path)) as writing:
        path.chmod(0o600)
        writing.executescript(_SCHEMA)
        writing.execute("begin immediate")
        for spec in specs:
            retention = spec.retention_hours * 3_600_000
            # A topic keeps the partitions it was born with: another count would send a key's
            # records elsewhere.
            known = writing.execute(
                "update partition set retention_ms=? where topic=?", (retention, spec.name)
            ).rowcount
            if not known:
                rows = [(spec.name, number, retention) for number in range(spec.partitions)]
                writing.executemany(
                    "insert into partition(topic, number, retention_ms) values(?,?,?)", rows
                )
        writing.execute("commit")


def partitions(reading: sqlite3.Connection) -> dict[Partition, int]:
    """List all partitions with the offset that the next record of each will get."""
    stored = reading.execute(
        "select id, topic, number, next_offset from partition order by topic, number"
    )
    return {Partition(*place): end for *place, end in stored}
