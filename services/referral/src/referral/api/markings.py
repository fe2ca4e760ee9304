"""Routes for must-not-disclose markings: a veto that wins over every clause, from the moment it is
set."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field, field_validator

from common.access import Granted
from common.attempts import Answer, Attempt
from common.models import ApiModel
from common.problems import FieldError
from common.web import guard, idempotency
from hubformats.categories import CATEGORIES
from referral import usecases
from referral.ports import ReferralTx, Store
from referral.usecases import Desk

router = APIRouter(prefix="/v1/referrals", tags=["markings"])
Mark = Annotated[Granted, guard.requires("referral.write", operation="alteration")]
Once = Annotated[Attempt, idempotency.required()]


class MustNotDiscloseIn(ApiModel):
    """To whom, and what, must not be disclosed; `*` means everybody or everything."""

    agency: str = Field(
        default="*",
        pattern=r"^(\*|[a-z0-9]+(-[a-z0-9]+)*)$",
        max_length=60,
        description="Agency id, or * for all",
    )
    category: str = Field(
        default="*", max_length=60, description="Data category, or * for everything"
    )
    reason: str = Field(
        min_length=1, max_length=2_000, description="Kept sealed; never sent to anybody"
    )

    @field_validator("category")
    @classmethod
    def _known(cls, value: str) -> str:
        if value != "*" and value not in CATEGORIES:
            raise FieldError("must be a data category or *; see GET /v1/code-lists")
        return value


class MustNotDiscloseOut(ApiModel):
    """The marking and the case version it took effect with."""

    marking_id: UUID
    version: int


@router.post(
    "/{referral_id}/must-not-disclose",
    status_code=201,
    summary="Forbid disclosure",
    response_model=MustNotDiscloseOut,
)
async def set_must_not_disclose(
    request: Request, referral_id: UUID, body: MustNotDiscloseIn, granted: Mark, attempt: Once
) -> Response:
    """Forbid disclosure of your referral's case to one agency or all, wholly or for one category.

    Releases that have not left yet are checked against it at the last moment. What was already read
    cannot be unread.
    """
    desk = cast(Desk, request.app.state.desk)
    store = cast(Store, request.app.state.store)

    def work(tx: ReferralTx) -> Answer:
        def mark() -> Answer:
            marking, version = usecases.set_must_not_disclose(
                tx,
                granted,
                referral_id,
                agency=body.agency,
                category=body.category,
                reason=body.reason,
                desk=desk,
            )
            return Answer(
                201,
                MustNotDiscloseOut(marking_id=marking.marking_id, version=version).model_dump(
                    mode="json"
                ),
                {},
            )

        answer = tx.once(attempt, mark)
        if answer.replayed:
            usecases.answer_again(tx, granted, referral_id, desk)
        return answer

    return idempotency.respond(await store.write(work))
