"""Entries are written as whole rows by position: each value must stand in the column that is named
for it, on both dialects."""

from typing import Any, Final

from sqlalchemy import create_engine, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from audit.log.model.entries import Entry, TimeFlag
from audit.log.repository.entries import SqlLogTx, _inserting
from audit.tables import ENTRY, LOOKUP, METADATA, TOKEN
from hubformats.audit_record import Leaf
from hubformats.canonical import b64u

FIELDS = {
    "id": "01932000-0000-7000-8000-000000000001",
    "te": 7,
    "op": "disclosure",
    "org": "asker",
    "rcp": "taker",
    "dl": "delivery",
    "bg": True,
}
ENTRIES = [
    Entry(
        1,
        Leaf("src", 2, 3, 4, "h"),
        b"leaf",
        "sharing",
        b"record",
        b"salt",
        FIELDS,
        {"subject": (b"s" * 16, b"s" * 16), "case": (b"c" * 16,)},
        "subject part",
        "actor part",
        "code",
        b"raw",
        TimeFlag.LATE,
        ("other", 5, 6),
        "account part",
        "reason",
    ),
    Entry(
        2,
        Leaf("src", 2, 4, 4, "h"),
        b"leaf2",
        "sharing",
        b"record2",
        b"salt2",
        {"id": "y", "te": 8, "op": "denied"},
        {},
    ),
]


FIRST: Final[dict[str, Any]] = {
    "idx": 1,
    "src": "src",
    "ep": 2,
    "seq": 3,
    "tr": 4,
    "leaf": b"leaf",
    "service": "sharing",
    "record_id": FIELDS["id"],
    "record": b"record",
    "salt": b"salt",
    "tokens": f'{{"subject": ["{b64u(b"s" * 16)}", "{b64u(b"s" * 16)}"], "case": '
    f'["{b64u(b"c" * 16)}"]}}',
    "subject_sealed": "subject part",
    "actor_sealed": "actor part",
    "rejected": "code",
    "raw_sealed": b"raw",
    "flags": "late",
    "claimed": '["other", 5, 6]',
    "account_sealed": "account part",
    "held": "reason",
}
"""The row of the first entry."""


def test_every_value_comes_back_from_its_own_column() -> None:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        SqlLogTx(connection).add(ENTRIES)
        first, second = (
            {**row} for row in connection.execute(select(ENTRY).order_by(ENTRY.c.idx)).mappings()
        )
        lookups: list[dict[str, Any]] = [
            {**row} for row in connection.execute(select(LOOKUP).order_by(LOOKUP.c.idx)).mappings()
        ]
        tokens = [
            tuple(row)
            for row in connection.execute(
                select(TOKEN.c.token, TOKEN.c.idx).order_by(TOKEN.c.token)
            )
        ]
    assert first == FIRST
    assert (second["record_id"], second["tokens"], second["claimed"], second["rejected"]) == (
        "y",
        "{}",
        "",
        "",
    )
    assert lookups == [
        {
            "idx": 1,
            "te": 7,
            "op": "disclosure",
            "org": "asker",
            "rcp": "taker",
            "dl": "delivery",
            "bg": True,
        },
        {"idx": 2, "te": 8, "op": "denied", "org": "", "rcp": None, "dl": None, "bg": False},
    ]
    assert tokens == [(b"c" * 16, 1), (b"s" * 16, 1)]


def test_both_dialects_would_write_the_same_columns_in_that_order() -> None:
    for table in (ENTRY, LOOKUP, TOKEN):
        for dialect in (sqlite.dialect(), postgresql.dialect()):  # type: ignore[no-untyped-call]
            named = (
                str(insert(table).compile(dialect=dialect)).partition(" VALUES")[0].replace('"', "")
            )
            assert _inserting(dialect.name, table).partition(" VALUES")[0].replace('"', "") == named
