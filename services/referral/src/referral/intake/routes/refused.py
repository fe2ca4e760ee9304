"""Routes for a sender's own refused intakes."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends

from common.access import Granted
from common.problems import Problem
from common.web import documents, paging
from common.web.app import Answers
from common.web.provided import provided
from referral.depends import guard
from referral.intake import use_cases
from referral.intake.model.errors import RefusedIntakeNotFound
from referral.intake.model.refused import RefusedPlace
from referral.intake.ports import IntakeStore
from referral.intake.schemas import AcknowledgementIn, RefusedIntakeOut, RefusedIntakesOut

router = APIRouter(prefix="/v1", tags=["lists"])
PROBLEMS: Final[Answers] = {RefusedIntakeNotFound: lambda _error: Problem("not-found")}
StoreDep = Annotated[IntakeStore, Depends(provided(IntakeStore))]
_LIST: Final = "refused-intakes"


@router.get("/refused-intakes", summary="Your refused intakes")
async def read_refused_intakes(
    granted: Annotated[Granted, guard.action("see_refused_intakes")],
    store: StoreDep,
    cursors: Annotated[paging.Cursors, Depends(provided(paging.Cursors))],
    cursor: paging.CursorText = None,
    limit: paging.Limit = paging.MAX_LIMIT,
) -> RefusedIntakesOut:
    """Referrals of your agency that were refused and stand so, oldest first, page by page; without
    what they held.

    Each stands until a referral with the same `externalReference` or Idempotency-Key is accepted,
    or your desk acknowledges it. None falls off the list, however many there are.
    """
    after = _place(cursors.read(_LIST, cursor, granted))
    found = await store.write(lambda tx: use_cases.refused_intakes(tx, granted, after, limit))
    following = None
    if found.more:
        last = found.items[-1]
        following = cursors.make(_LIST, [last.at.isoformat(), str(last.id)], granted)
    items = tuple(RefusedIntakeOut(id=one.id, at=one.at, code=one.code) for one in found.items)
    return RefusedIntakesOut(refused=items, total=found.total, next_cursor=following)


@router.post(
    "/refused-intakes/{refused_id}/acknowledgement",
    summary="Acknowledge a refused intake",
    openapi_extra=documents.problems(404),
)
async def acknowledge_refused_intake(
    refused_id: UUID,
    body: AcknowledgementIn,
    granted: Annotated[Granted, guard.action("acknowledge_refused_intake")],
    store: StoreDep,
) -> RefusedIntakeOut:
    """End the alarm of a refused intake that no accepted referral will correct, saying what became
    of it. It is in the audit log.
    """
    ended = await store.write(
        lambda tx: use_cases.acknowledge_refused_intake(tx, granted, refused_id, body.reason)
    )
    return RefusedIntakeOut(id=ended.id, at=ended.at, code=ended.code)


def _place(place: list[str | int] | None) -> RefusedPlace | None:
    return None if place is None else (datetime.fromisoformat(str(place[0])), UUID(str(place[1])))
