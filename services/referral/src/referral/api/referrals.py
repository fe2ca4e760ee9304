"""Routes for sending a referral and reading what became of it."""

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from common.access import Granted
from common.attempts import Answer, Attempt
from common.problems import Problem, define
from common.web import etags, guard, idempotency
from common.web.rates import urgent_when
from referral import usecases
from referral.api.shapes import (
    DryRunOut,
    ReferralOut,
    ReferralRead,
    dry_run_out,
    referral_out,
    referral_read,
)
from referral.domain.form import AnyReferral
from referral.ports import ReferralTx, Store
from referral.usecases import Desk

define(
    "external-reference-exists",
    409,
    "This external reference was used before",
    "Read the referral you sent under it; use a new reference for a new referral.",
)
define(
    "already-completed",
    409,
    "This urgent referral was completed before, by this form",
    "Read the referral that the detail names; there is nothing to send again.",
)

router = APIRouter(prefix="/v1/referrals", tags=["referrals"])
Write = Annotated[
    Granted,
    guard.requires(
        "referral.write",
        operation="collection",
        rate=urgent_when("form", "urgent"),
        rehearsal="dryRun",
    ),
]
Read = Annotated[Granted, guard.requires("referral.read", operation="consultation")]
Once = Annotated[Attempt, idempotency.required()]
DryRun = Annotated[
    bool, Query(alias="dryRun", description="Check and assess the form, but store and send nothing")
]


@router.post(
    "",
    status_code=201,
    summary="Submit a referral",
    response_model=ReferralOut,
    responses={200: {"model": DryRunOut}},
)
async def submit_referral(
    request: Request, body: AnyReferral, granted: Write, attempt: Once, dry_run: DryRun = False
) -> Response:
    """Send a full referral (`form: full`) or, when there is danger now, an urgent one (`form:
    urgent`: name, place, danger, callback).

    Repeating the request with the same Idempotency-Key gives the same answer and stores nothing
    twice; the repeat, like a dry run, is in the audit log before its answer leaves. Sharing decides
    and delivers within moments; read the referral again, or wait for feedback, to see what became
    of it.
    """
    desk, store = _desk(request), _store(request)
    if dry_run:
        intake = await store.write(lambda tx: usecases.rehearse_intake(tx, granted, body, desk))
        return JSONResponse(dry_run_out(intake).model_dump(mode="json"))

    def work(tx: ReferralTx) -> Answer:
        def submit() -> Answer:
            intake = usecases.submit_referral(tx, granted, body, desk, attempt)
            made = referral_out(intake.referral, desk)
            headers = {
                "Location": f"{_base(request)}/v1/referrals/{intake.referral.referral_id}",
                "ETag": _etag(intake),
            }
            return Answer(201, made, headers)

        answer = tx.once(attempt, submit)
        if answer.replayed:
            usecases.answer_again(tx, granted, UUID(str(answer.body["referralId"])), desk)
        return answer

    return idempotency.respond(await store.write(work))


@router.get("/{referral_id}", summary="Read a referral and its outcomes")
async def read_referral(
    request: Request, response: Response, referral_id: UUID, granted: Read
) -> ReferralRead:
    """Your agency's own referral with what became of it.

    The read is in the audit log before this answer leaves.
    """
    desk = _desk(request)
    ready = request.app.state.ready_to_read
    if not ready():
        raise Problem("audit-backlog")
    heard = await _store(request).write(
        lambda tx: usecases.read_referral(tx, granted, referral_id, desk)
    )
    response.headers["ETag"] = etags.etag(
        "referral", heard.referral.referral_id, heard.referral.version
    )
    return referral_read(heard, desk)


def _etag(intake: usecases.Intake) -> str:
    return etags.etag("referral", intake.referral.referral_id, intake.referral.version)


def _desk(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


def _base(request: Request) -> str:
    return cast(Any, request.app.state.settings).service_url.rstrip("/")  # type: ignore[no-any-return]
