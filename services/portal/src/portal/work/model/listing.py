"""The order of the work list, and what the deliveries on one case tell of each other."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from portal.work.model.delivery import DONE, PROOF_FOLLOWS, Waiting, WorkRow


def one_each(listed: Sequence[Waiting]) -> list[Waiting]:
    """Make one line of each delivery, oldest first.

    It shows when and as what the delivery first came, with its newest envelope and state. A second
    envelope is the proof that a promise was kept, or the same delivery sealed to a new key.
    """
    found: dict[str, Waiting] = {}
    for one in listed:
        first = found.get(one.delivery_id)
        followed = first is not None and (
            first.proof_followed or (one.kind == PROOF_FOLLOWS != first.kind)
        )
        found[one.delivery_id] = (
            one
            if first is None
            else replace(
                first,
                state=one.state,
                envelope=one.envelope,
                proof_followed=followed,
                saved_at=one.saved_at,
                answer_due=one.answer_due,
                answer=one.answer,
                duty=one.duty,
            )
        )
    return list(found.values())


def ordered(rows: Sequence[WorkRow]) -> list[WorkRow]:
    """Order rows: what is not accepted first, then the accepted, newest first.

    Of the first, what asks for an answer leads. Then come urgent ones, withdrawals of what nobody
    opened, those to accept by a time, and the newest.
    """
    newest = sorted(
        rows, key=lambda row: datetime.fromisoformat(row.waiting.delivered_at), reverse=True
    )
    return sorted(newest, key=_pressing)


def _pressing(row: WorkRow) -> tuple[bool, bool, bool, bool, bool, str]:
    if row.state in DONE:
        return True, False, False, False, True, ""
    by = None if row.known is None else row.known.accept_by
    taken_back = row.waiting.withdrawal
    return False, not row.waiting.to_answer, not row.urgent, not taken_back, by is None, by or ""


def related(rows: Sequence[WorkRow]) -> list[WorkRow]:
    """Tell each row of the newest on its case.

    A row of which nothing could be read stands alone.
    """
    cases: dict[str, list[WorkRow]] = {}
    for row in sorted(rows, key=lambda one: datetime.fromisoformat(one.waiting.delivered_at)):
        # What cannot be told apart by its case is a case of its own.
        mark = None if row.known is None else row.known.case_mark
        cases.setdefault(mark or row.waiting.delivery_id, []).append(row)
    return [
        _beside(row, case[:place], next(_told_last(case[place:]), row))
        for case in cases.values()
        for place, row in enumerate(case)
    ]


def _told_last(rows: Sequence[WorkRow]) -> Iterator[WorkRow]:
    """List what told something, the newest first. A withdrawal tells nothing."""
    return (row for row in reversed(rows) if not row.waiting.withdrawal)


def _beside(row: WorkRow, earlier: Sequence[WorkRow], newest: WorkRow) -> WorkRow:
    if row.known is None:
        return row
    last = row is newest
    known = replace(
        row.known,
        fuller=bool(earlier)
        and not row.known.urgent
        and all(one.known is not None and one.known.urgent for one in earlier),
        newer_id=None if last else newest.waiting.delivery_id,
        newer_at=None if last else newest.waiting.delivered_at,
        presses=last
        and row.waiting.to_accept
        and any(one.urgent and one.waiting.to_accept for one in earlier),
    )
    return replace(row, known=known)
