"""The search rows beside the log: rebuild them, and tell whether somebody changed them.

The log itself is never touched.
"""

import json
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Row, delete, select

from audit.log.model.entries import Genesis
from audit.log.ports import LogView, SearchRows
from audit.log.repository.entries import index_entries, read_state
from audit.tables import ENTRY, KINDS, LOOKUP, TOKEN
from common.audit_trail import AuditTrail
from common.database import Database, Unit
from hubformats.audit_record import AuditEntry, Leaf, check_record
from hubformats.canonical import unb64u

T = TypeVar("T")
_AT_A_TIME: Final = 1_000


def rebuild_index(connection: Connection) -> int:
    """Write every search row anew from the entries, in one transaction. Returns how many."""
    connection.execute(delete(TOKEN))
    connection.execute(delete(LOOKUP))
    done, after = 0, -1
    while rows := _page(connection, after):
        index_entries(
            connection, [(row.idx, check_record(row.record), _tokens(row.tokens)) for row in rows]
        )
        done, after = done + len(rows), rows[-1].idx
    return done


def index_differences(
    connection: Connection, *, first: int = 0, last: int | None = None
) -> list[int]:
    """List entries from `first` up to `last` whose search rows are not what the entry says.

    A difference is an insider's edit, or a bug.
    """
    wrong, after = [], first - 1
    while rows := _page(connection, after, last):
        low, high = rows[0].idx, rows[-1].idx
        between = LOOKUP.c.idx.between(low, high)
        lookups = {
            row.idx: tuple(row)[1:] for row in connection.execute(select(LOOKUP).where(between))
        }
        tokens: dict[int, set[tuple[int, bytes]]] = {}
        for token in connection.execute(
            select(TOKEN.c.idx, TOKEN.c.kind, TOKEN.c.token).where(TOKEN.c.idx.between(low, high))
        ):
            tokens.setdefault(token.idx, set()).add((token.kind, bytes(token.token)))
        for row in rows:
            fields = check_record(row.record)
            expected = (
                fields["te"],
                fields["op"],
                fields.get("org", ""),
                fields.get("rcp"),
                fields.get("dl"),
                fields.get("bg", False),
            )
            named = {
                (KINDS[kind], token)
                for kind, found in _tokens(row.tokens).items()
                for token in found
            }
            if lookups.get(row.idx) != expected or tokens.get(row.idx, set()) != named:
                wrong.append(row.idx)
        after = high
    return wrong


def _page(
    connection: Connection, after: int, last: int | None = None
) -> list[Row[tuple[int, bytes, str]]]:
    statement = select(ENTRY.c.idx, ENTRY.c.record, ENTRY.c.tokens).where(ENTRY.c.idx > after)
    if last is not None:
        statement = statement.where(ENTRY.c.idx <= last)
    return list(connection.execute(statement.order_by(ENTRY.c.idx).limit(_AT_A_TIME)))


def _tokens(stored: str) -> dict[str, tuple[bytes, ...]]:
    return {
        kind: tuple(unb64u(token) for token in tokens)
        for kind, tokens in json.loads(stored).items()
    }


class SqlSearchRows:
    """Fulfils `SearchRows` on a unit."""

    def __init__(self, unit: Unit, trail: AuditTrail) -> None:
        self._unit = unit
        self._trail = trail

    def rebuild(self) -> int:
        """Write every search row anew from the entries. Returns how many entries."""
        return rebuild_index(self._unit.connection)

    def record(self, entry: AuditEntry) -> None:
        """Record an act of this service; durable with the transaction."""
        self._trail.record(self._unit, entry)


class SqlLogView:
    """Fulfils `LogView` on a snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def size(self) -> int:
        """Count the entries."""
        state = read_state(self._connection)
        return 0 if state is None else state.size

    def genesis(self) -> Genesis | None:
        """Read entry 0; None when it is missing or is not the log's own."""
        found = select(ENTRY.c.record, ENTRY.c.salt, ENTRY.c.leaf).where(ENTRY.c.idx == 0)
        row = self._connection.execute(found).one_or_none()
        if row is None or Leaf.decode(row.leaf).seq != 1:
            return None
        return Genesis(row.record, row.salt, row.leaf)

    def row_differences(self) -> list[int]:
        """List entries whose search rows are not what the entry says."""
        return index_differences(self._connection)


class SqlLogStore:
    """Fulfils `LogStore`."""

    def __init__(self, database: Database, trail: AuditTrail) -> None:
        self._database = database
        self._trail = trail

    async def write(self, work: Callable[[SearchRows], T]) -> T:
        """Run `work`, commit, and return when durable."""
        return await self._database.write(lambda unit: work(SqlSearchRows(unit, self._trail)))

    async def read(self, work: Callable[[LogView], T]) -> T:
        """Run `work` on one snapshot."""
        return await self._database.read(lambda connection: work(SqlLogView(connection)))
