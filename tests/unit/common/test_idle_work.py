"""An idle service does not slow down by itself: what outbox, inbox, audit trail and sequencer do over
and over reads what waits, not all that ever was. Counted in instructions of the database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from audit.log.repository.heads import _waiting
from audit.tables import ENTRY, LOG_STATE, METADATA
from common.audit_trail import AuditTrail
from common.audit_trail.receipts import oldest_open
from common.audit_trail.tables import PENDING
from common.database import Unit
from common.inbox import Inbox
from common.inbox.tables import INBOX
from common.outbox import Outbox
from common.outbox.tables import OUTBOX
from common.outbox.waiting import due
from tests.support.database_work import SLACK, filled, steps

NOW: Final = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
LATELY: Final = NOW - timedelta(days=3)
SHORT, LONG = 200, 2_000
TOPIC: Final = "hub.sharing.v1"


def unit(connection: Connection) -> Unit:
    """What the methods below take of a unit."""
    return cast(Unit, SimpleNamespace(connection=connection))


def made(kind: type[Any]) -> Any:
    """An object of that class whose methods here need nothing but the unit."""
    return object.__new__(kind)


def outbox_of(connection: Connection) -> list[Any]:
    """Messages without an answer, of a topic on which all were answered."""
    return list(made(Outbox).unanswered(connection, topic=TOPIC, sent_before=NOW))


def inbox() -> Any:
    """An inbox whose oldest key began so late that it keeps no mark longer than asked."""
    inbox = made(Inbox)
    inbox._opening = lambda: {"key": SimpleNamespace(begins=NOW.timestamp())}
    return inbox


WORK: Final[dict[str, Callable[[Connection], object]]] = {
    "the sequencer's round": _waiting,
    "the relay's look": lambda connection: due(connection, NOW, []),
    "unanswered messages": outbox_of,
    "forgetting what was sent": lambda connection: made(Outbox).forget(
        unit(connection), before=NOW - timedelta(days=30)
    ),
    "forgetting what was seen": lambda connection: inbox().forget(
        unit(connection), before=NOW - timedelta(days=30)
    ),
    "the oldest record without an answer": oldest_open,
    "forgetting proofs": lambda connection: made(AuditTrail).forget_proofs(
        unit(connection), before=NOW - timedelta(days=90)
    ),
}


def history(length: int) -> dict[Any, list[dict[str, Any]]]:
    """Everything sent, seen, answered and receipted lately, `length` times; nothing waits."""
    number = range(1, length + 1)
    return {
        OUTBOX: [
            {
                "seq": each,
                "id": uuid4(),
                "topic": TOPIC,
                "key": b"k",
                "headers": [],
                "body": None,
                "stream": "s",
                "created_at": LATELY,
                "sent_at": LATELY,
                "confirmed_at": LATELY,
            }
            for each in number
        ],
        INBOX: [
            {"consumer": "c", "source": "s", "event_id": uuid4(), "state": "done", "at": LATELY}
            for _ in number
        ],
        PENDING: [
            {
                "record_id": uuid4(),
                "src": "src",
                "epoch": 1,
                "seq": each,
                "record": b"{}",
                "salt": b"s",
                "hash": "h",
                "created_at": LATELY,
                "receipted_at": LATELY,
                "leaf": b"l",
                "proof": "p",
            }
            for each in number
        ],
        **log(length),
    }


def log(length: int) -> dict[Any, list[dict[str, Any]]]:
    """A log of so many entries, all of them signed and published."""
    number = range(length)
    return {
        ENTRY: [
            {
                "idx": each,
                "src": "src",
                "ep": 1,
                "seq": each + 1,
                "tr": each + 1,
                "leaf": b"l",
                "service": "sharing",
                "record_id": str(uuid4()),
                "record": b"{}",
                "salt": b"s",
                "tokens": "{}",
                "subject_sealed": "",
                "actor_sealed": "",
                "rejected": "",
                "raw_sealed": b"",
                "flags": "",
                "claimed": "",
            }
            for each in number
        ],
        LOG_STATE: [
            {
                "id": 1,
                "size": length,
                "root": b"r",
                "edge": b"e",
                "last_tr": length,
                "own_src": "a",
                "own_seq": 1,
                "fence": 1,
                "receipted": length,
                "published": length,
            }
        ],
    }


@pytest.mark.parametrize("name", WORK)
def test_work_that_is_done_over_and_over_does_not_grow_with_the_log(
    tmp_path: Path, name: str
) -> None:
    counts = []
    for length in (SHORT, LONG):
        with filled(tmp_path / f"{length}.db", METADATA, history(length)) as connection:
            counts.append(steps(connection, lambda: WORK[name](connection))[0])
    assert counts[1] <= counts[0] + SLACK, counts
