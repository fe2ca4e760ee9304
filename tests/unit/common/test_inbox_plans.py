"""What each batch looks up is found by a whole key: a scan would grow with all that a consumer has
ever seen."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event

from common.audit_trail import receipts
from common.audit_trail.tables import PENDING
from common.database import Prepared, new_metadata
from common.inbox import batch, quarantine
from common.inbox.tables import inbox_tables

METADATA = new_metadata()
inbox_tables(METADATA)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """An empty inbox on SQLite, whose planner has no more to go by than in production."""
    with create_engine(f"sqlite:///{tmp_path}/hub.db").connect() as made, made.begin():
        METADATA.create_all(made)
        PENDING.create(made)
        yield made


@pytest.mark.parametrize(
    ("statement", "given", "key"),
    [
        (
            batch._SEEN,
            {"b_consumer": "c", "b_sources": [], "b_ids": []},
            "(consumer=? AND source=? AND event_id=?)",
        ),
        (
            batch._STREAMS,
            {"b_consumer": "c", "b_sources": [], "b_streams": []},
            "(consumer=? AND source=? AND stream=?)",
        ),
        (
            quarantine._holding(True, False, True),
            {"b_key": b"k", "b_topics": []},
            "ix_inbox_quarantine_holding (key=?)",
        ),
        (
            receipts._WANTED,
            {"b_src": "s", "b_epoch": 1, "b_seqs": []},
            "(src=? AND epoch=? AND seq=?)",
        ),
        (receipts._STILL_OPEN, {"b_batches": []}, "(batch_id=?)"),
    ],
    ids=["seen", "streams", "held", "receipts", "batches"],
)
def test_a_batch_looks_up_by_key(
    connection: Connection, statement: Prepared, given: dict[str, Any], key: str
) -> None:
    sent: list[tuple[str, Any]] = []
    event.listen(connection, "before_cursor_execute", lambda *seen: sent.append((seen[2], seen[3])))
    statement.run(connection, given)
    [(sql, values)] = sent
    plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert [step for step in plan if step.startswith("SEARCH") and step.endswith(key)], plan
