"""What deliveries on one case tell of each other: which is the newest, and which one fills in an
urgent one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from portal.domain.delivery import WorkRow


def related(rows: Sequence[WorkRow]) -> list[WorkRow]:
    """The same rows, each knowing of the newest on its case; a row of which nothing could be read
    stands alone.
    """
    cases: dict[str, list[WorkRow]] = {}
    for row in sorted(rows, key=lambda one: datetime.fromisoformat(one.waiting.delivered_at)):
        # What cannot be told apart by its case is a case of its own.
        mark = row.known.case_mark if row.known is not None else ""
        cases.setdefault(mark or row.waiting.delivery_id, []).append(row)
    return [
        _beside(row, case[:place], case[-1])
        for case in cases.values()
        for place, row in enumerate(case)
    ]


def _beside(row: WorkRow, earlier: Sequence[WorkRow], newest: WorkRow) -> WorkRow:
    if row.known is None:
        return row
    last = row is newest
    known = replace(
        row.known,
        fuller=bool(earlier)
        and not row.known.urgent
        and all(one.known is not None and one.known.urgent for one in earlier),
        newer_id="" if last else newest.waiting.delivery_id,
        newer_at="" if last else newest.waiting.delivered_at,
    )
    return replace(
        row,
        known=known,
        presses=last
        and row.waiting.to_accept
        and any(one.urgent and one.waiting.to_accept for one in earlier),
    )
