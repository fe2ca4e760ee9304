"""Routes of the second look, for a privacy officer who had no part in the act."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends

from common.access import Granted
from common.problems import Fault, Problem
from common.web import documents
from common.web.app import Answers
from common.web.frame import actor_of
from common.web.provided import gathered, provided
from sharing.context import Store
from sharing.depends import TrailDep, demand_readable, guard
from sharing.second_look import use_cases
from sharing.second_look.model import (
    AnotherMustLook,
    LookNotFound,
    LookOver,
    OutcomeUnknown,
    SecondLook,
)
from sharing.second_look.ports import LookTx
from sharing.second_look.schemas import (
    CodeOut,
    LookReasonsOut,
    OutcomeIn,
    SecondLookOut,
    SecondLooksOut,
    look_out,
)
from sharing.second_look.use_cases import LookContext, Verdict

T = TypeVar("T")
_REASON: Final = [Fault("/reasonCode", "must be a code of GET /v1/second-look-reasons for this")]
PROBLEMS: Final[Answers] = {
    LookNotFound: lambda _error: Problem("not-found"),
    LookOver: lambda _error: Problem(
        "conflict", "It was closed, or somebody else was there before you. Read it again."
    ),
    AnotherMustLook: lambda _error: Problem(
        "forbidden", "You escalated it, so another privacy officer decides."
    ),
    OutcomeUnknown: lambda _error: Problem("validation-failed", errors=_REASON),
}

router = APIRouter(prefix="/v1", tags=["releases"])

See = Annotated[Granted, guard.action("see_second_looks")]
Reasons = Annotated[Granted, guard.action("read_look_reasons")]
Review = Annotated[Granted, guard.action("review_second_look")]


@dataclass(frozen=True, slots=True)
class LookParts:
    """What every route here works with."""

    given: Annotated[LookContext, Depends(provided(LookContext))]
    store: Annotated[Store[LookTx, Any], Depends(provided(Store))]
    trail: TrailDep

    async def write(self, granted: Granted, work: Callable[..., T], **told: Any) -> T:
        """Do it in one transaction, in the caller's name."""
        actor = actor_of(granted.principal)
        run = partial(work, given=self.given, granted=granted, actor=actor, **told)
        return await self.store.write(run)

    def shown(self, granted: Granted, look: SecondLook) -> SecondLookOut:
        """Show one to the caller."""
        given = self.given
        return look_out(
            look,
            reference=given.reference(granted, look),
            me=given.book.party(actor_of(granted.principal)),
            overdue=look.overdue(given.context.now()),
        )


PartsDep = Annotated[LookParts, Depends(gathered(LookParts))]


@router.get("/second-looks", summary="List second looks")
async def list_second_looks(granted: See, parts: PartsDep, closed: bool = False) -> SecondLooksOut:
    """What waits for a second look, soonest due first; with `closed` what was closed.

    Acts that you took part in are somebody else's to look at, and are not here.
    """
    demand_readable(parts.trail)
    found = await parts.write(granted, use_cases.queue, waiting=not closed)
    return SecondLooksOut(items=tuple(parts.shown(granted, each) for each in found))


@router.get("/second-looks/{look_id}", summary="Read a second look")
async def read_second_look(look_id: UUID, granted: See, parts: PartsDep) -> SecondLookOut:
    """One item. The read is in the audit log first."""
    demand_readable(parts.trail)
    found = await parts.write(granted, use_cases.read, look_id=look_id)
    return parts.shown(granted, found)


@router.post(
    "/second-looks/{look_id}/owner",
    summary="Take a second look",
    openapi_extra=documents.problems(409),
)
async def take_second_look(look_id: UUID, granted: Review, parts: PartsDep) -> SecondLookOut:
    """Say that you look at it. The clock goes on."""
    found = await parts.write(granted, use_cases.take, look_id=look_id)
    return parts.shown(granted, found)


@router.post(
    "/second-looks/{look_id}/outcome",
    summary="Say what came of it",
    openapi_extra=documents.problems(409),
)
async def review_second_look(
    look_id: UUID, body: OutcomeIn, granted: Review, parts: PartsDep
) -> SecondLookOut:
    """Reasonable, ask the person, or escalate, with a reason. Said twice, the second is a
    conflict.
    """
    said = Verdict(body.outcome, body.reason_code, body.reason)
    found = await parts.write(granted, use_cases.review, look_id=look_id, said=said)
    return parts.shown(granted, found)


@router.get("/second-look-reasons", summary="Reasons for second looks")
async def read_second_look_reasons(_granted: Reasons, parts: PartsDep) -> LookReasonsOut:
    """The codes for each outcome, in force today."""
    rules = parts.given.book.rules_on(parts.given.context.now().date())
    return LookReasonsOut(
        version=rules.version,
        reasons={
            outcome: tuple(CodeOut(code=code, meaning=text) for code, text in codes.items())
            for outcome, codes in rules.reasons.items()
        },
    )
