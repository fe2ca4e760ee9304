"""Routes of vetoes: set one, read them, ask to lift one, and answer that as a second person."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from common.access import Granted
from common.attempts import Answer
from common.audit_trail import AuditTrail
from common.problems import Fault, Problem, define
from common.web import documents
from common.web.app import Answers
from common.web.idempotency import idempotent
from common.web.provided import gathered, provided
from referral.depends import ContextDep, Once, TrailDep, guard, refuse_on_backlog
from referral.risk.model import AreaRules
from referral.vetoes.model import (
    AlreadyAsked,
    CaseName,
    Grounds,
    LiftingNotFound,
    LiftingOver,
    LiftStep,
    NewVeto,
    NotEntitled,
    ReasonUnknown,
    SecondPersonNeeded,
    VetoNotFound,
    VetoRefused,
)
from referral.vetoes.ports import VetoStore, VetoTx
from referral.vetoes.schemas import (
    AgencyVetoIn,
    AgencyVetoOut,
    CaseLiftingIn,
    CaseVetoIn,
    GroundsIn,
    LiftingOut,
    LiftingSettledOut,
    LiftingsOut,
    LiftingsWaitingOut,
    OfficersCaseIn,
    ShownLiftingOut,
    VetoesOut,
    VetoIn,
    VetoReasonsOut,
    VetoSetOut,
    lifting_out,
    liftings_out,
    reasons_out,
    shown_out,
    vetoes_out,
)
from referral.vetoes.use_cases import asking, setting
from referral.vetoes.use_cases.setting import VetoContext

define(
    "second-person-needed",
    403,
    "A second person must confirm this",
    "Ask somebody else: whoever asked cannot confirm, nor for most vetoes a colleague of the same "
    "agency.",
)
_REASON: Final = [Fault("/reasonCode", "must be a code of GET /v1/veto-reasons for this")]
_ASKED: Final = "Somebody has asked already to lift this veto; it waits for a second person."
_OVER: Final = "It was settled before, has lapsed, or its veto is no longer in force."
PROBLEMS: Final[Answers] = {
    VetoNotFound: lambda _error: Problem("not-found"),
    LiftingNotFound: lambda _error: Problem("not-found"),
    NotEntitled: lambda _error: Problem("forbidden"),
    SecondPersonNeeded: lambda _error: Problem("second-person-needed"),
    AlreadyAsked: lambda _error: Problem("conflict", _ASKED),
    LiftingOver: lambda _error: Problem("conflict", _OVER),
    ReasonUnknown: lambda _error: Problem("validation-failed", errors=_REASON),
    VetoRefused: lambda error: Problem(
        "validation-failed", errors=[Fault(f"/{error.member}", error.sentence)]
    ),
}

vetoes = APIRouter(prefix="/v1/referrals", tags=["markings"])
agency_vetoes = APIRouter(prefix="/v1/agency-vetoes", tags=["markings"])
case_vetoes = APIRouter(prefix="/v1/case-vetoes", tags=["markings"])
liftings = APIRouter(prefix="/v1/veto-liftings", tags=["markings"])
lapsed = APIRouter(prefix="/v1/lapsed-liftings", tags=["markings"])
reasons = APIRouter(prefix="/v1", tags=["lists"])

SetVeto = Annotated[Granted, guard.action("set_veto")]
ReadVetoes = Annotated[Granted, guard.action("read_vetoes")]
AskLifting = Annotated[Granted, guard.action("ask_lifting")]
SetAgencyVeto = Annotated[Granted, guard.action("set_agency_veto")]
SetCaseVeto = Annotated[Granted, guard.action("set_case_veto")]
ReadCaseVetoes = Annotated[Granted, guard.action("read_case_vetoes")]
AskCaseLifting = Annotated[Granted, guard.action("ask_case_lifting")]
SeeLiftings = Annotated[Granted, guard.action("see_liftings")]
SeeLapsed = Annotated[Granted, guard.action("see_lapsed_liftings")]
ConfirmLifting = Annotated[Granted, guard.action("confirm_lifting")]
RefuseLifting = Annotated[Granted, guard.action("refuse_lifting")]


@dataclass(frozen=True, slots=True)
class VetoParts:
    """What every route here works with."""

    given: Annotated[VetoContext, Depends(provided(VetoContext))]
    store: Annotated[VetoStore, Depends(provided(VetoStore))]
    context: ContextDep


PartsDep = Annotated[VetoParts, Depends(gathered(VetoParts))]


@vetoes.post(
    "/{referral_id}/vetoes", status_code=201, summary="Set a veto", response_model=VetoSetOut
)
async def set_veto(
    referral_id: UUID, body: VetoIn, granted: SetVeto, attempt: Once, parts: PartsDep
) -> Response:
    """Stop disclosure of your referral's case from this moment, with a reason.

    What has not left is checked against it at the last moment. One that is in force already is
    answered with itself.
    """
    new = NewVeto(body.kind, _grounds(body), body.agency, body.category, body.person)

    work = partial(_made, case=referral_id, new=new, granted=granted, parts=parts)
    return await idempotent(
        parts.store.write, attempt, work, again=_again(granted, referral_id, parts)
    )


@vetoes.get("/{referral_id}/vetoes", summary="Read the vetoes on your case")
async def read_vetoes(
    referral_id: UUID, granted: ReadVetoes, trail: TrailDep, parts: PartsDep
) -> VetoesOut:
    """The vetoes in force, and what was asked about them. The read is in the audit log first."""
    return await _read_vetoes(referral_id, granted, trail, parts)


@vetoes.post(
    "/{referral_id}/vetoes/{veto_id}/liftings",
    status_code=201,
    summary="Ask to lift a veto",
    response_model=LiftingOut,
    openapi_extra=documents.problems(409),
)
async def ask_lifting(
    referral_id: UUID,
    veto_id: UUID,
    body: GroundsIn,
    granted: AskLifting,
    attempt: Once,
    parts: PartsDep,
) -> Response:
    """A named person, freshly signed in, asks. The veto stays until a second person confirms."""
    work = partial(
        _asked, case=referral_id, veto_id=veto_id, body=body, granted=granted, parts=parts
    )
    return await idempotent(
        parts.store.write, attempt, work, again=_again(granted, referral_id, parts)
    )


@case_vetoes.get("", summary="Read the vetoes on a case as a privacy officer")
async def read_case_vetoes(
    granted: ReadCaseVetoes,
    trail: TrailDep,
    parts: PartsDep,
    named: Annotated[OfficersCaseIn, Query()],
) -> VetoesOut:
    """The vetoes in force on any agency's case, and what was asked about them. No facts."""
    return await _read_vetoes(named.case, granted, trail, parts)


@case_vetoes.post(
    "", status_code=201, summary="Set a veto as a privacy officer", response_model=VetoSetOut
)
async def set_case_veto(
    body: CaseVetoIn, granted: SetCaseVeto, attempt: Once, parts: PartsDep
) -> Response:
    """Stop disclosure of any agency's case from this moment: a conflict, an employee on the case
    or a legal hold. Its sender does not read of it.
    """
    new = NewVeto(body.kind, _grounds(body), body.agency, body.category, body.person)
    work = partial(_made, case=body.case, new=new, granted=granted, parts=parts)
    return await idempotent(
        parts.store.write, attempt, work, again=_again(granted, body.case, parts)
    )


@agency_vetoes.post(
    "",
    status_code=201,
    summary="Keep your own agency out of a case",
    response_model=AgencyVetoOut,
    openapi_extra=documents.problems(404),
)
async def set_agency_veto(
    body: AgencyVetoIn, granted: SetAgencyVeto, attempt: Once, parts: PartsDep
) -> Response:
    """Bar your own agency from a case that it was told of.

    Set a conflict, an employee on the case or a legal hold. It acts at once, nobody else reads of
    it, and two privacy officers lift it.
    """
    new = NewVeto(body.kind, _grounds(body), granted.principal.agency)

    def work(tx: VetoTx) -> Answer:
        made, _ = setting.set_veto(tx, granted, body.case, new, parts.given)
        return Answer(201, AgencyVetoOut(veto_id=made.marking_id).model_dump(mode="json"))

    return await idempotent(
        parts.store.write, attempt, work, again=_again(granted, body.case, parts)
    )


@case_vetoes.post(
    "/{veto_id}/liftings",
    status_code=201,
    summary="Ask to lift a veto as a privacy officer",
    response_model=LiftingOut,
    openapi_extra=documents.problems(409),
)
async def ask_case_lifting(
    veto_id: UUID, body: CaseLiftingIn, granted: AskCaseLifting, attempt: Once, parts: PartsDep
) -> Response:
    """For an agency that cannot ask itself, above all one that a veto keeps out of its own case.

    The veto stays until another privacy officer confirms.
    """
    case = body.case
    work = partial(_asked, case=case, veto_id=veto_id, body=body, granted=granted, parts=parts)
    return await idempotent(parts.store.write, attempt, work, again=_again(granted, case, parts))


@liftings.get("", summary="List liftings that wait for a second person")
async def list_liftings(
    granted: SeeLiftings, trail: TrailDep, parts: PartsDep
) -> LiftingsWaitingOut:
    """Those of your own agency's cases; a privacy officer sees all. Oldest first.

    With them what your own agency asked for and nobody confirmed in time.
    """
    refuse_on_backlog(trail)

    def read(tx: VetoTx) -> tuple[LiftingsOut, LiftingsOut]:
        waiting = asking.waiting_liftings(tx, granted, parts.given)
        gone = asking.lapsed_liftings(tx, granted, parts.given)
        return (
            liftings_out(waiting, granted, parts.context),
            liftings_out(gone, granted, parts.context),
        )

    waiting, gone = await parts.store.write(read)
    return LiftingsWaitingOut(items=waiting.items, lapsed=gone.items)


@lapsed.get("", summary="List your agency's liftings that lapsed")
async def list_lapsed(granted: SeeLapsed, trail: TrailDep, parts: PartsDep) -> LiftingsOut:
    """What your agency asked for and nobody confirmed in time, newest first, for some days.

    The vetoes stay. One that is asked for again is left out.
    """
    refuse_on_backlog(trail)
    found = await parts.store.write(lambda tx: asking.lapsed_liftings(tx, granted, parts.given))
    return liftings_out(found, granted, parts.context)


@liftings.get("/{lifting_id}", summary="Read a lifting")
async def read_lifting(
    lifting_id: UUID, granted: SeeLiftings, trail: TrailDep, parts: PartsDep
) -> ShownLiftingOut:
    """Who asked first, when and why. The read is in the audit log first."""
    refuse_on_backlog(trail)
    shown = await parts.store.write(
        lambda tx: asking.read_lifting(tx, granted, lifting_id, parts.given)
    )
    return shown_out(shown, granted, parts.context)


@liftings.post(
    "/{lifting_id}/confirmation",
    status_code=201,
    summary="Confirm a lifting",
    response_model=LiftingSettledOut,
    openapi_extra=documents.problems(409),
)
async def confirm_lifting(
    lifting_id: UUID, body: GroundsIn, granted: ConfirmLifting, attempt: Once, parts: PartsDep
) -> Response:
    """Another person than who asked, freshly signed in, lifts the veto.

    The case is decided on again at once.
    """
    work = partial(_settled, lifting_id=lifting_id, body=body, granted=granted, parts=parts)
    return await idempotent(parts.store.write, attempt, lambda tx: work(tx, step=LiftStep.CONFIRM))


@liftings.post(
    "/{lifting_id}/refusal",
    status_code=201,
    summary="Refuse a lifting",
    response_model=LiftingSettledOut,
    openapi_extra=documents.problems(409),
)
async def refuse_lifting(
    lifting_id: UUID, body: GroundsIn, granted: RefuseLifting, attempt: Once, parts: PartsDep
) -> Response:
    """The veto stays. Whoever asked takes the request back in the same way."""
    work = partial(_settled, lifting_id=lifting_id, body=body, granted=granted, parts=parts)
    return await idempotent(parts.store.write, attempt, lambda tx: work(tx, step=LiftStep.REFUSE))


@reasons.get("/veto-reasons", summary="Reasons for vetoes")
async def read_veto_reasons(
    _granted: Annotated[Granted, guard.action("read_veto_reasons")],
    parts: PartsDep,
    rules: Annotated[AreaRules, Depends(provided(AreaRules))],
) -> VetoReasonsOut:
    """The codes with which a veto is set, lifted, or its lifting refused."""
    return reasons_out(parts.given.rules_for(rules.home_area))


def _made(
    tx: VetoTx, *, case: CaseName, new: NewVeto, granted: Granted, parts: VetoParts
) -> Answer:
    made, version = setting.set_veto(tx, granted, case, new, parts.given)
    shown = VetoSetOut(veto_id=made.marking_id, version=version)
    return Answer(201, shown.model_dump(mode="json"))


async def _read_vetoes(
    case: CaseName, granted: Granted, trail: AuditTrail, parts: VetoParts
) -> VetoesOut:
    refuse_on_backlog(trail)
    found = await parts.store.write(lambda tx: setting.vetoes_of(tx, granted, case, parts.given))
    return vetoes_out(found, granted, parts.context)


def _asked(
    tx: VetoTx,
    *,
    case: CaseName,
    veto_id: UUID,
    body: GroundsIn,
    granted: Granted,
    parts: VetoParts,
) -> Answer:
    asked = asking.ask_lifting(tx, granted, case, veto_id, _grounds(body), parts.given)
    return Answer(201, lifting_out(asked, granted).model_dump(mode="json"))


def _settled(
    tx: VetoTx,
    *,
    lifting_id: UUID,
    step: LiftStep,
    body: GroundsIn,
    granted: Granted,
    parts: VetoParts,
) -> Answer:
    settled, version = asking.settle_lifting(
        tx, granted, lifting_id, step, _grounds(body), parts.given
    )
    shown = LiftingSettledOut(lifting_id=settled.id, state=settled.state, version=version)
    return Answer(201, shown.model_dump(mode="json"))


def _again(granted: Granted, case: CaseName, parts: VetoParts) -> Callable[..., None]:
    def record(tx: VetoTx, _answer: Answer) -> None:
        setting.answer_again(tx, granted, case, parts.given)

    return record


def _grounds(body: GroundsIn) -> Grounds:
    return Grounds(body.reason_code, body.reason)


ROUTERS: Final = (vetoes, agency_vetoes, case_vetoes, liftings, lapsed, reasons)
