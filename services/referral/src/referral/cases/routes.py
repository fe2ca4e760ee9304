"""Routes of a case: its sender reads it and sets vetoes, sharing checks a release."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from common.access import Granted
from common.attempts import Answer
from common.problems import Fault, Problem
from common.web import documents, etags
from common.web.app import Answers
from common.web.idempotency import idempotent
from common.web.provided import gathered, provided
from referral.cases import use_cases
from referral.cases.model.authority import NotAllowed
from referral.cases.model.case import VersionMoved
from referral.cases.ports import CaseStore, CaseTx
from referral.cases.schemas import (
    MustNotDiscloseIn,
    MustNotDiscloseOut,
    ReferralRead,
    ReleaseCheckIn,
    ReleaseCheckOut,
    ReleaseChecksIn,
    ReleaseChecksOut,
    referral_read,
    release_check_out,
)
from referral.cases.use_cases import AgencyUnknown, CaseNotFound, Veto
from referral.depends import AgenciesDep, ContextDep, Once, TrailDep, guard, refuse_on_backlog

_UNKNOWN_AGENCY: Final = [Fault("/agency", "must be an agency of this hub, or *")]
PROBLEMS: Final[Answers] = {
    CaseNotFound: lambda _error: Problem("not-found"),
    NotAllowed: lambda _error: Problem("not-found"),
    VersionMoved: lambda _error: Problem("conflict"),
    AgencyUnknown: lambda _error: Problem("validation-failed", errors=_UNKNOWN_AGENCY),
}

referrals = APIRouter(prefix="/v1/referrals", tags=["referrals"])
markings = APIRouter(prefix="/v1/referrals", tags=["markings"])
release_checks = APIRouter(prefix="/v1", tags=["release checks"])
StoreDep = Annotated[CaseStore, Depends(provided(CaseStore))]
Read = Annotated[Granted, guard.action("read_own_referral")]
Mark = Annotated[Granted, guard.action("mark_must_not_disclose")]
Check = Annotated[Granted, guard.action("check_release")]


@dataclass(frozen=True, slots=True)
class CaseParts:
    """What changing a case needs beside the request."""

    context: ContextDep
    store: StoreDep
    agencies: AgenciesDep


@referrals.get(
    "/{referral_id}",
    summary="Read a referral and its outcomes",
    responses={304: {"description": "What you have, named in `If-None-Match`, is what there is."}},
)
async def read_referral(
    response: Response,
    referral_id: UUID,
    granted: Read,
    trail: TrailDep,
    context: ContextDep,
    store: StoreDep,
) -> ReferralRead:
    """Your agency's own referral with what became of it.

    The read is in the audit log before this answer leaves, also when it is a 304.
    """
    refuse_on_backlog(trail)
    status = await store.write(
        lambda tx: use_cases.read_referral(tx, granted, referral_id, context)
    )
    read = referral_read(status, context)
    response.headers["ETag"] = etags.shown(read)
    return read


@markings.post(
    "/{referral_id}/must-not-disclose",
    status_code=201,
    summary="Forbid disclosure",
    response_model=MustNotDiscloseOut,
)
async def set_must_not_disclose(
    referral_id: UUID,
    body: MustNotDiscloseIn,
    granted: Mark,
    attempt: Once,
    parts: Annotated[CaseParts, Depends(gathered(CaseParts))],
) -> Response:
    """Forbid disclosure of your referral's case to one agency or all, wholly or for one category.

    Releases that have not left yet are checked against it at the last moment. What was already read
    cannot be unread. One that is in force already is answered with itself.
    """
    veto = Veto(body.agency, body.category, body.reason)

    def mark(tx: CaseTx) -> Answer:
        made, version = use_cases.set_must_not_disclose(
            tx, granted, referral_id, veto, parts.agencies, parts.context
        )
        shown = MustNotDiscloseOut(marking_id=made.marking_id, version=version)
        return Answer(201, shown.model_dump(mode="json"))

    def again(tx: CaseTx, _answer: Answer) -> None:
        use_cases.answer_again(tx, granted, referral_id, parts.context)

    return await idempotent(parts.store.write, attempt, mark, again=again)


@release_checks.post(
    "/release-checks", summary="Check a release", openapi_extra=documents.problems(404)
)
async def check_release(body: ReleaseCheckIn, granted: Check, store: StoreDep) -> ReleaseCheckOut:
    """Answers sharing alone: the newest snapshot version and the vetoes in force, read at this
    moment. No personal data.
    """
    outline = await store.read(lambda view: use_cases.check_release(view, granted, body.case_id))
    return release_check_out(outline)


@release_checks.post("/release-check-batches", summary="Check what is about to be shown")
async def check_releases(
    body: ReleaseChecksIn, granted: Check, store: StoreDep
) -> ReleaseChecksOut:
    """Answers sharing alone, for all cases on a page of an inbox. It gives each one's version and
    vetoes, read at this moment. No personal data.
    """
    found = await store.read(lambda view: use_cases.check_releases(view, granted, body.case_ids))
    return ReleaseChecksOut(cases=tuple(map(release_check_out, found)))


ROUTERS: Final = (referrals, markings, release_checks)
