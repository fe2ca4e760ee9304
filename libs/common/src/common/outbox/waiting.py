"""What waits in the outbox: rows as messages, the next batch, the mark of what is out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Update, bindparam, case, exists, func, null, or_, select, update

from common.bus import Outgoing
from common.database import Prepared, UtcDateTime
from common.outbox.tables import OUTBOX
from hubformats.envelope import EnvelopeRefused, peek

BATCH: Final = 64

_COLUMNS: Final = tuple(
    OUTBOX.c[name] for name in ("id", "topic", "key", "headers", "body", "stream", "created_at")
)

# Made once: building a statement costs more than running it.
_NOW: Final = bindparam("now", type_=UtcDateTime())
_NEXT_DELAYED: Final = select(func.min(OUTBOX.c.not_before)).where(
    OUTBOX.c.sent_at.is_(None), OUTBOX.c.not_before > _NOW
)
_MAY_GO: Final = (
    OUTBOX.c.sent_at.is_(None),
    OUTBOX.c.body.is_not(None),
    or_(OUTBOX.c.not_before.is_(None), OUTBOX.c.not_before <= _NOW),
)
_NEXT: Final = select(*_COLUMNS).where(*_MAY_GO).order_by(OUTBOX.c.seq).limit(BATCH)


def _marking(dialect: str) -> Update:
    """Mark as sent; what nobody will confirm is forgotten with it.

    Skips what another process has locked: it is confirming it, and waiting could deadlock.
    """
    here = OUTBOX.c.id == bindparam("message")
    if dialect == "postgresql":
        here = (
            OUTBOX.c.id
            == select(OUTBOX.c.id)
            .where(here, OUTBOX.c.sent_at.is_(None))
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
    body = case((OUTBOX.c.confirmed_at.is_not(None), null()), else_=OUTBOX.c.body)
    return update(OUTBOX).where(here, OUTBOX.c.sent_at.is_(None)).values(sent_at=_NOW, body=body)


MARK: Final = Prepared(_marking)


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as its row has it, waiting since `since`.

    `number` is its place in its stream, from 1; 0 when it has none.
    """

    id: UUID
    stream: str
    number: int
    message: Outgoing
    since: datetime
    not_before: datetime | None = None


def encoded_headers(headers: Sequence[tuple[str, bytes]]) -> list[list[str]]:
    """Encode headers as JSON; bytes keep their value as Latin-1 text."""
    return [[name, value.decode("latin-1")] for name, value in headers]


def decoded_headers(stored: Any) -> tuple[tuple[str, bytes], ...]:
    """Decode what `encoded_headers` made."""
    return tuple((name, value.encode("latin-1")) for name, value in stored)


def due(
    connection: Connection, now: datetime, closed: Sequence[str], held: Sequence[UUID] = ()
) -> tuple[list[Stored], datetime | None]:
    """Return the next batch in order, and when the first delay ends.

    What is behind a delayed message of its stream waits with it, and not behind one that is `held`.
    """
    again = connection.execute(_NEXT_DELAYED, {"now": now}).scalar_one()
    query = _NEXT
    if again is not None:
        ahead = OUTBOX.alias("ahead")
        delayed = exists().where(
            ahead.c.sent_at.is_(None),
            ahead.c.not_before > now,
            ahead.c.stream == OUTBOX.c.stream,
            ahead.c.seq < OUTBOX.c.seq,
        )
        query = query.where(~delayed)
    if closed:
        query = query.where(OUTBOX.c.topic.not_in(closed))
    rows = connection.execute(query.where(OUTBOX.c.id.not_in(held)), {"now": now})
    return [
        Stored(
            row.id,
            row.stream,
            _number(row.stream, row.body),
            Outgoing(row.topic, row.key, row.body, decoded_headers(row.headers)),
            row.created_at,
        )
        for row in rows
    ], again


def _number(stream: str, body: bytes) -> int:
    """Read a message's place in its stream, clear on our envelopes; 0 for what we pass on."""
    try:
        clear = peek(body)
    except EnvelopeRefused:
        return 0
    return clear.seq if clear.stream == stream else 0
