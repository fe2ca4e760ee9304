"""The route that takes a referral in."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from common.access import Granted
from common.attempts import Answer
from common.problems import Fault, Problem, define
from common.settings import Settings
from common.web import etags
from common.web.app import Answers
from common.web.idempotency import idempotent
from common.web.provided import gathered, provided
from common.web.rates import urgent_when
from referral.cases.model.referral import FormKind
from referral.cases.schemas import referral_out
from referral.cases.use_cases import answer_again
from referral.depends import ContextDep, Once, guard
from referral.intake import use_cases
from referral.intake.model.errors import AlreadyCompleted, FormRefused, ReferenceExists, TooLarge
from referral.intake.model.form import AnyReferral
from referral.intake.ports import IntakeStore, IntakeTx
from referral.intake.schemas import DryRunOut, SubmittedOut, dry_run_out, warnings_out
from referral.risk.model import AreaRules

define(
    "external-reference-exists",
    409,
    "This external reference was used before",
    "Read the referral that `referralId` names; use a new reference for a new referral.",
)
define(
    "already-completed",
    409,
    "This urgent referral was completed before, by this form",
    "Read the referral that the detail names; there is nothing to send again.",
)


def _form_refused(error: FormRefused) -> Problem:
    faults = [Fault(fault.pointer, fault.sentence) for fault in error.faults]
    return Problem("validation-failed", errors=faults)


def _completed_before(error: AlreadyCompleted) -> Problem:
    return Problem(
        "already-completed",
        f"It became referral {error.referral_id}: read that one; there is nothing to send again.",
        members={"referralId": str(error.referral_id)},
    )


def _reference_exists(error: ReferenceExists) -> Problem:
    return Problem(
        "external-reference-exists",
        f"You sent referral {error.referral_id} under it: read that one, or use a new reference "
        "for a new referral.",
        members={"referralId": str(error.referral_id)},
    )


def _too_large(_error: TooLarge) -> Problem:
    return Problem(
        "body-too-large",
        "Too much text to seal to each recipient; send at most about 100 KiB of it.",
    )


PROBLEMS: Final[Answers] = {
    FormRefused: _form_refused,
    AlreadyCompleted: _completed_before,
    ReferenceExists: _reference_exists,
    TooLarge: _too_large,
}

router = APIRouter(prefix="/v1/referrals", tags=["referrals"])
Write = Annotated[
    Granted,
    guard.action("submit_referral", rate=urgent_when("form", FormKind.URGENT), rehearsal="dryRun"),
]
DryRun = Annotated[
    bool, Query(alias="dryRun", description="Check and assess the form, but store and send nothing")
]


@dataclass(frozen=True, slots=True)
class IntakeParts:
    """What taking a referral in needs beside the request."""

    context: ContextDep
    store: Annotated[IntakeStore, Depends(provided(IntakeStore))]
    rules: Annotated[AreaRules, Depends(provided(AreaRules))]
    settings: Annotated[Settings, Depends(provided(Settings))]


@router.post(
    "",
    status_code=201,
    summary="Submit a referral",
    response_model=SubmittedOut,
    responses={
        200: {"model": DryRunOut},
        409: {
            "description": "`external-reference-exists` and `already-completed` name the referral "
            "of yours in `referralId`; also `idempotency-in-flight`, "
            "`idempotency-key-reused`, `conflict`."
        },
    },
)
async def submit_referral(
    body: AnyReferral,
    granted: Write,
    attempt: Once,
    parts: Annotated[IntakeParts, Depends(gathered(IntakeParts))],
    dry_run: DryRun = False,
) -> Response:
    """Send a full referral (`form: full`), or an urgent one when there is danger now.

    The urgent one (`form: urgent`) has four answers: name, place, danger, call back.

    Repeating the request with the same Idempotency-Key gives the same answer and stores nothing
    twice. The repeat, like a dry run, is in the audit log before its answer leaves. Sharing decides
    and delivers within moments; read the referral again, or wait for feedback, to see what became
    of it.
    """
    context, store, rules = parts.context, parts.store, parts.rules
    if dry_run:
        intake = await store.write(
            lambda tx: use_cases.rehearse_intake(tx, granted, body, context, rules)
        )
        return JSONResponse(dry_run_out(intake).model_dump(mode="json"))

    def submit(tx: IntakeTx) -> Answer:
        intake = use_cases.submit_referral(tx, granted, body, attempt, context, rules)
        referral, outline = intake.referral, intake.case.outline
        base = parts.settings.service_url.rstrip("/")
        headers = {
            "Location": f"{base}/v1/referrals/{referral.referral_id}",
            "ETag": etags.etag("referral", referral.referral_id, outline.version),
        }
        made = referral_out(referral, outline, context).model_dump(mode="json")
        warned = [one.model_dump(mode="json") for one in warnings_out(intake)]
        return Answer(201, {**made, "warnings": warned}, headers)

    def again(tx: IntakeTx, answer: Answer) -> None:
        answer_again(tx, granted, UUID(str(answer.body["referralId"])), context)

    return await idempotent(store.write, attempt, submit, again=again)
