"""The log inside one write transaction, on SQLite and PostgreSQL."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Insert, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.log.model.entries import Entry, Known, LogHalted, LogState
from audit.tables import (
    ENTRY,
    EPOCH,
    GAP,
    KINDS,
    LOG_STATE,
    LOOKUP,
    PRODUCER,
    TOKEN,
    WANTED,
)
from common.database import Prepared
from hubformats.audit_record import Leaf
from hubformats.canonical import b64u

_STATE_ROW: Final = 1
_FIELDS: Final = (
    "size",
    "root",
    "edge",
    "last_tr",
    "own_src",
    "own_seq",
    "fence",
    "receipted",
    "published",
)


# Made once: each batch runs them.
_STATE: Final = Prepared(select(*(LOG_STATE.c[name] for name in _FIELDS)))
_STATE_LOCKED: Final = Prepared(select(*(LOG_STATE.c[name] for name in _FIELDS)).with_for_update())
_UNMOVED: Final = (
    LOG_STATE.c.size == bindparam("b_size"),
    LOG_STATE.c.root == bindparam("b_root"),
    LOG_STATE.c.fence == bindparam("b_fence"),
)
_ADVANCED: Final = Prepared(
    update(LOG_STATE).where(*_UNMOVED), "size", "root", "edge", "last_tr", "own_seq"
)
_SERVICE_OF: Final = Prepared(
    select(PRODUCER.c.service).where(PRODUCER.c.src == bindparam("b_src"))
)
_HIGHEST: Final = Prepared(
    select(EPOCH.c.highest).where(
        EPOCH.c.src == bindparam("b_src"), EPOCH.c.ep == bindparam("b_epoch")
    )
)
_KNOWN: Final = Prepared(
    select(ENTRY.c.seq, ENTRY.c.idx, ENTRY.c.leaf, ENTRY.c.rejected).where(
        ENTRY.c.src == bindparam("b_src"),
        ENTRY.c.ep == bindparam("b_epoch"),
        ENTRY.c.seq.between(bindparam("b_first"), bindparam("b_last")),
    )
)


def _hearing(dialect: str) -> Insert:
    new = postgresql.insert(EPOCH) if dialect == "postgresql" else sqlite.insert(EPOCH)
    return new.on_conflict_do_update(
        index_elements=["src", "ep"],
        set_={"highest": new.excluded.highest, "heard": new.excluded.heard},
    )


_HEARD: Final = Prepared(_hearing, *EPOCH.c.keys())


def read_state(connection: Connection, *, lock: bool = False) -> LogState | None:
    """Read the state row; with `lock`, no other transaction may move it until this one ends."""
    row = (_STATE_LOCKED if lock else _STATE).run(connection).one_or_none()
    return None if row is None else LogState(*row)


class SqlLogTx:
    """Fulfils `LogTx` on the connection of a unit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._insert = (
            postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        )

    def state(self) -> LogState | None:
        """Read the state row, locked until the transaction ends; None before genesis."""
        return read_state(self._connection, lock=True)

    def begin(self, state: LogState) -> None:
        """Write the first state row; a second one violates its key."""
        self._connection.execute(
            insert(LOG_STATE),
            {"id": _STATE_ROW, **{name: getattr(state, name) for name in _FIELDS}},
        )

    def advance(self, old: LogState, new: LogState) -> None:
        """Compare-and-swap the state. Raises LogHalted when another writer was here."""
        expected = {"b_size": old.size, "b_root": old.root, "b_fence": old.fence}
        values = {
            "size": new.size,
            "root": new.root,
            "edge": new.edge,
            "last_tr": new.last_tr,
            "own_seq": new.own_seq,
        }
        if _ADVANCED.run(self._connection, {**expected, **values}).rowcount != 1:
            raise LogHalted("state-moved")

    def add(self, entries: Sequence[Entry]) -> None:
        """Append entries with their search rows."""
        _insert_many(self._connection, ENTRY, [_entry_row(entry) for entry in entries])
        index_entries(
            self._connection, [(entry.index, entry.fields, entry.tokens) for entry in entries]
        )

    def service_of(self, src: str) -> str | None:
        """Return the service a producer code belongs to."""
        service: str | None = _SERVICE_OF.run(self._connection, {"b_src": src}).scalar_one_or_none()
        return service

    def bind(self, src: str, service: str, at: int) -> None:
        """Give a producer code to a service for ever."""
        self._connection.execute(insert(PRODUCER), {"src": src, "service": service, "bound_at": at})

    def highest(self, src: str, epoch: int) -> int:
        """Return the highest sequence number seen in the epoch; 0 for none."""
        found = _HIGHEST.run(
            self._connection, {"b_src": src, "b_epoch": epoch}
        ).scalar_one_or_none()
        return int(found or 0)

    def heard(self, src: str, epoch: int, highest: int, at: int) -> None:
        """Note the highest sequence number and when the producer was last heard."""
        row = {"src": src, "ep": epoch, "highest": highest, "heard": at}
        _HEARD.run(self._connection, row)

    def known(self, src: str, epoch: int, first: int, last: int) -> dict[int, Known]:
        """Read what the log holds of the epoch between two sequence numbers."""
        rows = _KNOWN.run(
            self._connection, {"b_src": src, "b_epoch": epoch, "b_first": first, "b_last": last}
        )
        return {
            row.seq: Known(row.idx, Leaf.decode(row.leaf).h, row.rejected or None) for row in rows
        }

    def open_gap(self, src: str, epoch: int, first: int, last: int, at: int) -> None:
        """Note that these sequence numbers are missing."""
        self._connection.execute(
            insert(GAP), {"src": src, "ep": epoch, "first": first, "last": last, "seen_at": at}
        )

    def fill_gap(self, src: str, epoch: int, seq: int) -> None:
        """Take one number out of the gap that holds it; what is left on either side stays a gap."""
        mine = (GAP.c.src == src) & (GAP.c.ep == epoch) & (GAP.c.first <= seq) & (GAP.c.last >= seq)
        gap = self._connection.execute(
            select(GAP.c.first, GAP.c.last, GAP.c.seen_at).where(mine)
        ).one_or_none()
        if gap is None:
            return
        self._connection.execute(delete(GAP).where(mine))
        for first, last in ((gap.first, seq - 1), (seq + 1, gap.last)):
            if first <= last:
                self.open_gap(src, epoch, first, last, gap.seen_at)

    def want_receipt(self, index: int) -> None:
        """Ask for an entry's receipt to be sent again."""
        self._connection.execute(self._insert(WANTED).values(idx=index).on_conflict_do_nothing())


def index_entries(
    connection: Connection,
    entries: Sequence[tuple[int, Mapping[str, Any], Mapping[str, tuple[bytes, ...]]]],
) -> None:
    """Write the search rows of entries.

    Used by intake and by the rebuild, so that the two cannot differ.
    """
    _insert_many(connection, LOOKUP, [_lookup_row(index, fields) for index, fields, _ in entries])
    tokens = [
        (KINDS[kind], token, index)
        for index, _, kinds in entries
        for kind, found in kinds.items()
        for token in set(found)
    ]
    if tokens:
        _insert_many(connection, TOKEN, tokens)


def _insert_many(connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """Insert whole rows, values in the order of the table's columns, by the driver itself.

    SQLAlchemy binds each value of each row by itself. That costs several times what the database
    needs for the row. These tables hold only types that both drivers write as they are.
    """
    connection.exec_driver_sql(_inserting(connection.dialect.name, table), rows)


@lru_cache
def _inserting(dialect: str, table: Table) -> str:
    mark = "?" if dialect == "sqlite" else "%s"
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    # Our own names
    marks = ", ".join([mark] * len(table.columns))
    return f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"  # noqa: S608


def _lookup_row(index: int, fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """Make a row in the order of `LOOKUP`."""
    found = fields.get
    return (
        index,
        fields["te"],
        fields["op"],
        found("org", ""),
        found("rcp"),
        found("dl"),
        found("bg", False),
    )


def _entry_row(entry: Entry) -> tuple[Any, ...]:
    """Make a row in the order of `ENTRY`, whose columns say none by an empty value."""
    leaf, tokens = (
        entry.leaf,
        {kind: [b64u(token) for token in tokens] for kind, tokens in entry.tokens.items()},
    )
    return (
        entry.index,
        leaf.src,
        leaf.ep,
        leaf.seq,
        leaf.tr,
        entry.leaf_bytes,
        entry.service,
        entry.fields["id"],
        entry.record,
        entry.salt,
        json.dumps(tokens),
        entry.subject_sealed or "",
        entry.actor_sealed or "",
        entry.rejected or "",
        entry.raw_sealed or b"",
        str(entry.flags or ""),
        json.dumps(entry.claimed) if entry.claimed else "",
        entry.account_sealed or "",
        entry.held or "",
    )
