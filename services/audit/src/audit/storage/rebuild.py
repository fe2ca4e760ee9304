"""Rebuilding the search rows from the entries, and telling whether somebody changed them. The log
itself is never touched."""

import json
from typing import Final

from sqlalchemy import Connection, Row, delete, select

from audit.storage.log import index_entries
from audit.storage.tables import ENTRY, KINDS, LOOKUP, TOKEN
from hubformats.audit_record import check_record
from hubformats.canonical import unb64u

_AT_A_TIME: Final = 1_000


def rebuild_index(connection: Connection) -> int:
    """Write every search row anew from the entries, in one transaction; how many entries were
    indexed.
    """
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
    """Entries from `first` up to `last` whose search rows are not what the entry says: an insider's
    edit, or a bug.
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
