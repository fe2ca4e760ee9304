"""Every search follows an index from its newest end: no page may cost a sort or a scan, however
large the log grows."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event

from audit.questions.repository import SqlEntries
from audit.tables import METADATA
from tests.support.audit_looks import look

CASE, ACTOR = b"1" * 16, b"2" * 16


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connected, connected.begin():
        yield connected
    engine.dispose()


@pytest.mark.parametrize("agency", [None, "a"])
@pytest.mark.parametrize(
    "wanted",
    [
        {"case": CASE},
        {"actor": ACTOR},
        {"case": CASE, "actor": ACTOR},
        {"recipient": "northmoor-health"},
        {"delivery": "d-1"},
        {"operation": "disclosure"},
        {"emergency": True},
        {"recipient": "northmoor-health", "operation": "disclosure", "since": 1, "until": 2},
        {},
    ],
    ids=lambda wanted: "+".join(wanted) or "everything",
)
def test_a_page_costs_neither_sort_nor_scan(
    connection: Connection, agency: str | None, wanted: dict[str, Any]
) -> None:
    sent: list[tuple[str, Any]] = []
    event.listen(
        connection, "before_cursor_execute", lambda *given: sent.append((given[2], given[3]))
    )
    SqlEntries(connection).search(look(agency, size=9, **wanted), 9, 5)
    searches = [(statement, values) for statement, values in sent if "lookup" in statement]
    assert len(searches) == (1 if agency is None else 2)
    for statement, values in searches:
        plan = [
            row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
        assert not [step for step in plan if "TEMP B-TREE" in step or step.startswith("SCAN")], plan
