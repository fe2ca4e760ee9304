"""The route by which sharing asks, at the last moment before a release, whether anything has
changed."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from common.access import Granted
from common.models import ApiModel, WholeNumber
from common.web import documents, guard
from referral import usecases
from referral.api.shapes import MarkingOut, marking_out
from referral.ports import Store

router = APIRouter(prefix="/v1", tags=["release checks"])
Check = Annotated[
    Granted, guard.requires("case.read", operation="operation", clients=["svc-sharing"])
]


class ReleaseCheckIn(ApiModel):
    """What sharing is about to release."""

    case_id: UUID
    snapshot_version: WholeNumber
    subject_ids: tuple[UUID, ...] = Field(max_length=200)


class ReleaseCheckOut(ApiModel):
    """The newest version of the case and every veto in force on it.

    Sharing compares; a difference means no release.
    """

    case_id: UUID
    snapshot_version: int
    vetoes: tuple[MarkingOut, ...]


@router.post("/release-checks", summary="Check a release", openapi_extra=documents.problems(404))
async def check_release(request: Request, body: ReleaseCheckIn, granted: Check) -> ReleaseCheckOut:
    """Answers sharing alone: the newest snapshot version and the vetoes in force, read at this
    moment. No personal data.
    """
    store = cast(Store, request.app.state.store)
    state = await store.write(lambda tx: usecases.check_release(tx, granted, body.case_id))
    return ReleaseCheckOut(
        case_id=state.case_id,
        snapshot_version=state.version,
        vetoes=tuple(marking_out(m) for m in state.markings),
    )
