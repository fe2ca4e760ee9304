"""An idle hub does not slow down by itself: the release worker's upkeep reads what waits, not all
that ever was. Counted in instructions of the database, on two lengths of history."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from sharing.disclosures.repository.views import SqlDisclosureViews
from sharing.notices.repository import SqlNoticeViews
from sharing.tables import METADATA, CaseRow, DisclosureRow, table_of
from tests.support.database_work import SLACK, filled, steps

NOW: Final = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
AGENCIES: Final = ("northmoor-idva", "northmoor-social-care", "northmoor-health")
CURRENT: Final = {agency: f"kid-{agency}" for agency in AGENCIES}
SHORT, LONG = 200, 2_000

UPKEEP: Final[dict[str, Callable[[Any], object]]] = {
    "due": lambda views: views.due(NOW, 64),
    "next due": lambda views: views.next_due(),
    "promises with proof": lambda views: views.promised_with_proof(None, 64),
    "promises past their hour": lambda views: views.promises_due(NOW, None, 64),
    "promises past their hour, counted": lambda views: views.overdue_promises(NOW),
    "sealed to an old key": lambda views: views.sealed_to_old_keys(CURRENT, None, 64),
    "stuck": lambda views: views.stuck(),
}


def history(length: int, *, saved: bool) -> dict[Any, list[dict[str, Any]]]:
    """Released disclosures of `length` cases, all proven, saved by their recipients or not."""
    cases, disclosures = [], []
    for number in range(length):
        case, at = uuid4(), NOW - timedelta(days=20, seconds=number)
        cases.append(
            {
                "case_id": case,
                "key_id": uuid4(),
                "version": 1,
                "area": "northmoor",
                "referrer": "northmoor-police",
                "referrer_reference": f"NM-{number}",
                "vetting": {"subjects": [], "markings": {}},
                "snapshot_ct": b"s",
                "changed_at": at,
            }
        )
        disclosures.append(disclosed(case, AGENCIES[number % 3], at, saved=saved))
    return {table_of(CaseRow): cases, table_of(DisclosureRow): disclosures}


def disclosed(case: UUID, agency: str, at: datetime, *, saved: bool) -> dict[str, Any]:
    """One that left with its proof."""
    return {
        "id": uuid4(),
        "decision_id": uuid4(),
        "case_id": case,
        "key_id": uuid4(),
        "snapshot_version": 1,
        "recipient": agency,
        "kind": "disclosure",
        "clause": "NM-1",
        "state": "released",
        "reason": "",
        "standing": "proven",
        "record_id": uuid4(),
        "commitment": "c",
        "fingerprint": "f",
        "evidence_ct": b"e",
        "proof": "p",
        "attempts": 1,
        "sealed_to": CURRENT[agency],
        "decided_at": at,
        "released_at": at,
        "saved_at": at if saved else None,
    }


@pytest.mark.parametrize("name", UPKEEP)
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "never-saved"])
def test_the_upkeep_of_releases_does_not_grow_with_history(
    tmp_path: Path, name: str, saved: bool
) -> None:
    counts = []
    for length in (SHORT, LONG):
        with filled(
            tmp_path / f"{length}.db", METADATA, history(length, saved=saved)
        ) as connection:
            views = SqlDisclosureViews(connection)
            counts.append(steps(connection, lambda: UPKEEP[name](views))[0])  # noqa: B023
    assert counts[1] <= counts[0] + SLACK, counts


def test_looking_for_notices_does_not_grow_with_those_that_left(tmp_path: Path) -> None:
    table = METADATA.tables["notice"]
    counts = []
    for length in (SHORT, LONG):
        rows = [
            {
                "id": uuid4(),
                "agency": AGENCIES[0],
                "event_id": uuid4(),
                "digest": "d",
                "reason_code": "not-found",
                "received_at": NOW,
                "record_id": uuid4(),
                "state": "sent",
                "log_index": 1,
                "sent_at": NOW,
            }
            for _ in range(length)
        ]
        with filled(tmp_path / f"{length}.db", METADATA, {table: rows}) as connection:
            views = SqlNoticeViews(connection)
            counts.append(steps(connection, lambda: views.ready(None, 64))[0])  # noqa: B023
    assert counts[1] <= counts[0] + SLACK, counts
