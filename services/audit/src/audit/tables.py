"""Tables of the audit service.

`entry` is only ever appended to; `lookup` and `token` are a projection that can be rebuilt.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from common.database import UuidType, new_metadata
from common.web.frame import frame_tables

METADATA: Final = new_metadata()

_INDEX: Final = BigInteger().with_variant(
    Integer(), "sqlite"
)  # an INTEGER key is SQLite's own row number, so no second tree

LOG_STATE: Final = Table(
    "log_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    Column("last_tr", BigInteger, nullable=False),
    Column("own_src", String(64), nullable=False),
    Column("own_seq", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("receipted", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
)

ENTRY: Final = Table(
    "entry",
    METADATA,
    Column("idx", _INDEX, primary_key=True, autoincrement=False),
    Column("src", String(64), nullable=False),
    Column("ep", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tr", BigInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("service", String(64), nullable=False),
    Column("record_id", String(36), nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("tokens", Text, nullable=False),
    Column("subject_sealed", Text, nullable=False),
    Column("actor_sealed", Text, nullable=False),
    Column("rejected", String(64), nullable=False),
    Column("raw_sealed", LargeBinary, nullable=False),
    Column("flags", String(16), nullable=False),
    Column("claimed", Text, nullable=False),
    Column("account_sealed", Text, nullable=False, server_default=""),
    Column("held", Text, nullable=False, server_default=""),
    UniqueConstraint("src", "ep", "seq"),
)

# Every index leads with what is asked for and ends with the place, newest first (audit-log.md
# section 7).
EMERGENCY: Final = text("bg")
"""Written the same way in the index and in the query, because only then does SQLite see that the
index serves it.
"""
LOOKUP: Final = Table(
    "lookup",
    METADATA,
    Column("idx", _INDEX, primary_key=True, autoincrement=False),
    Column("te", BigInteger, nullable=False),
    Column("op", String(32), nullable=False),
    Column("org", String(80), nullable=False),
    Column("rcp", String(80), nullable=True),
    Column("dl", String(64), nullable=True),
    Column("bg", Boolean, nullable=False),
)
Index(None, LOOKUP.c.op, LOOKUP.c.idx)
Index(None, LOOKUP.c.org, LOOKUP.c.idx)
for _column in (LOOKUP.c.rcp, LOOKUP.c.dl):  # mostly empty, so only what is there is indexed
    Index(
        None,
        _column,
        LOOKUP.c.idx,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )
Index("ix_lookup_emergency", LOOKUP.c.idx, sqlite_where=EMERGENCY, postgresql_where=EMERGENCY)

TOKEN: Final = Table(
    "token",
    METADATA,
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("token", LargeBinary, primary_key=True),
    Column("idx", _INDEX, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
KINDS: Final = {"subject": 0, "actor": 1, "case": 2, "delivery": 3, "recipient": 4}
"""The number of each kind of token: `audit.intake.model.TOKEN_KINDS` in its order."""

PRODUCER: Final = Table(
    "producer",
    METADATA,
    Column("src", String(64), primary_key=True),
    Column("service", String(64), nullable=False),
    Column("bound_at", BigInteger, nullable=False),
)

EPOCH: Final = Table(
    "producer_epoch",
    METADATA,
    Column("src", String(64), primary_key=True),
    Column("ep", BigInteger, primary_key=True, autoincrement=False),
    Column("highest", BigInteger, nullable=False),
    Column("heard", BigInteger, nullable=False),
)

GAP: Final = Table(
    "gap",
    METADATA,
    Column("src", String(64), primary_key=True),
    Column("ep", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

HEAD: Final = Table(
    "head",
    METADATA,
    Column("size", _INDEX, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
)

WANTED: Final = Table(
    "wanted_receipt", METADATA, Column("idx", _INDEX, primary_key=True, autoincrement=False)
)

QUERY: Final = Table(
    "query",
    METADATA,
    Column("id", UuidType, primary_key=True),
    Column("asker", String(400), nullable=False),
    Column("agency", String(80)),
    Column("asked_at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("query", Text, nullable=False),
    Index(None, "asker", "asked_at"),
)

FRAME_TABLES: Final = frame_tables(METADATA)
