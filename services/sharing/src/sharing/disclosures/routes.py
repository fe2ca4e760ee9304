"""Where disclosures stand, what is stuck, and the emergency path."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from common.access import Granted
from common.problems import Problem
from common.web import documents
from common.web.app import Answers
from common.web.frame import actor_of
from common.web.provided import gathered, provided
from hubformats.case_reference import normalised_reference
from sharing.cases.ports import Withheld
from sharing.context import Store
from sharing.depends import TrailDep, demand_readable, guard
from sharing.disclosures.model.disclosure import Disclosure, Moved, Standing
from sharing.disclosures.ports import (
    EmergencyTx,
    Promises,
    ReleaseChecks,
    ReleaseView,
    Stuck,
    Unproven,
)
from sharing.disclosures.schemas import (
    DisclosureOut,
    DisclosuresOut,
    EmergencyIn,
    EmergencyOut,
    SkippedOut,
    StuckOut,
    StuckPage,
    UnprovenOut,
    UnprovenPage,
)
from sharing.disclosures.use_cases import emergency
from sharing.disclosures.use_cases.emergency import (
    DisclosureNotFound,
    NotWaiting,
    OnPromise,
    RecordRefused,
    Vetoed,
    VetoesUnknown,
)
from sharing.disclosures.use_cases.looking import disclosures_of
from sharing.disclosures.use_cases.steps import ReleaseContext

router = APIRouter(prefix="/v1/disclosures", tags=["releases"])

Watch = Annotated[Granted, guard.action("see_stuck")]
Ask = Annotated[Granted, guard.action("list_disclosures")]
Emergency = Annotated[Granted, guard.action("release_in_emergency")]
Authority = Annotated[Granted, guard.action("see_unproven")]
OneDelivery = Annotated[
    UUID | None, Query(alias="deliveryId", description="Only this one, if it has no proof yet")
]
Reference = Annotated[
    str,
    Query(
        alias="caseReference",
        min_length=6,
        max_length=40,
        description="The reference your agency knows the case by",
    ),
]


@dataclass(frozen=True, slots=True)
class Parts:
    """What every route here works with."""

    context: Annotated[ReleaseContext, Depends(provided(ReleaseContext))]
    store: Annotated[Store[EmergencyTx, ReleaseView], Depends(provided(Store))]
    checks: Annotated[ReleaseChecks, Depends(provided(ReleaseChecks))]
    promises: Annotated[Promises, Depends(provided(Promises))]
    trail: TrailDep


PartsDep = Annotated[Parts, Depends(gathered(Parts))]

PROBLEMS: Final[Answers] = {
    DisclosureNotFound: lambda _error: Problem("not-found"),
    NotWaiting: lambda _error: Problem(
        "conflict",
        "Only a disclosure that waits for its audit receipt can be released in an emergency.",
    ),
    RecordRefused: lambda _error: Problem(
        "conflict", "The log has refused this disclosure's record; it cannot be promised."
    ),
    Vetoed: lambda _error: Problem(
        "conflict", "The case has changed or is vetoed; nothing was released."
    ),
    VetoesUnknown: lambda _error: Problem(
        "unavailable", "The vetoes on this case cannot be read now."
    ),
    Moved: lambda _error: Problem("conflict"),
}


@router.get("", summary="List a case's disclosures", openapi_extra=documents.problems(404))
async def list_disclosures(
    granted: Ask, case_reference: Reference, parts: PartsDep
) -> DisclosuresOut:
    """Where each disclosure of your own referral stands: waiting for its proof, released, saved,
    blocked and why.
    """
    demand_readable(parts.trail)
    reference = normalised_reference(case_reference)
    actor = actor_of(granted.principal)
    found = await parts.store.write(lambda tx: disclosures_of(tx, granted, actor, reference))
    return DisclosuresOut(items=[_disclosure(each) for each in found])


@router.get("/stuck", summary="Count what has not left")
async def list_stuck(_granted: Watch, parts: PartsDep) -> StuckPage:
    """How many disclosures wait or are blocked, by reason, with the oldest of each; for the hub's
    desk.
    """
    now = parts.context.now()
    stuck, skipped, overdue = await parts.store.read(
        lambda view: (
            view.disclosures.stuck(),
            view.cases.withheld_while_suspended(),
            view.disclosures.overdue_promises(now),
        )
    )
    return StuckPage(
        items=[_stuck(each) for each in stuck],
        withheld_while_suspended=[_skipped(each) for each in skipped],
        promises_overdue=overdue,
    )


@router.get("/unproven", summary="List what has no proof yet")
async def list_unproven(
    granted: Authority, parts: PartsDep, delivery_id: OneDelivery = None
) -> UnprovenPage:
    """For a person who may release in an emergency. It shows what of the own agency's referrals
    waits for its receipt, or left on a promise.

    What waits first, of that what is urgent, then the newest. With `deliveryId` only that one,
    whether the list has room for it or not.
    """
    actor = actor_of(granted.principal)
    found, more = await parts.store.write(
        lambda tx: emergency.unproven_of(tx, granted, actor, delivery_id)
    )
    return UnprovenPage(items=[_unproven(each) for each in found], more=more)


@router.post(
    "/{delivery_id}/emergency-release",
    summary="Release in an emergency",
    openapi_extra=documents.problems(409),
)
async def release_in_emergency(
    delivery_id: UUID, body: EmergencyIn, granted: Emergency, parts: PartsDep
) -> EmergencyOut:
    """A person with authority releases what waits for its audit receipt. Vetoes hold all the same.

    The package carries a signed promise and is shown as promised, never as proven; the proof
    follows within the hour.
    """
    found, case = await parts.store.write(
        lambda tx: emergency.prepare_emergency(tx, granted, delivery_id)
    )
    state = await parts.checks.check(case.case_id, case.version, case.subjects)
    try:
        promise = await parts.promises.promise(found.record_id)
    except LookupError:
        raise RecordRefused from None
    why = emergency.Emergency(actor_of(granted.principal), body.code, body.reason)
    rests_on = OnPromise(promise, state, why)
    await parts.store.write(
        lambda tx: emergency.release_in_emergency(tx, parts.context, granted, delivery_id, rests_on)
    )
    return EmergencyOut(delivery_id=delivery_id, proof_due=promise.due)


def _disclosure(one: Disclosure) -> DisclosureOut:
    return DisclosureOut(
        delivery_id=one.id,
        recipient=one.recipient,
        clause=one.clause,
        kind=one.kind,
        state=one.state,
        reason=one.reason or "",
        standing=one.standing or "",
        decided_at=one.decided_at,
        released_at=one.released_at,
        saved_at=one.saved_at,
        acknowledged_at=one.acknowledged_at,
        withdrawn_at=one.withdrawn_at,
        answer_due=one.answer_due,
        answered_at=one.answered_at,
        answer=one.answer or "",
        duty=one.duty or "",
    )


def _stuck(each: Stuck) -> StuckOut:
    return StuckOut(
        state=each.state, reason=each.reason or "", count=each.count, oldest=each.oldest
    )


def _skipped(each: Withheld) -> SkippedOut:
    return SkippedOut(recipient=each.recipient, count=each.count, oldest=each.oldest)


def _unproven(each: Unproven) -> UnprovenOut:
    one = each.disclosure
    return UnprovenOut(
        delivery_id=one.id,
        case_reference=each.reference,
        recipient=one.recipient,
        clause=one.clause,
        kind=one.kind,
        standing=Standing.PROMISED if one.standing is Standing.PROMISED else "waiting",
        decided_at=one.decided_at,
        released_at=one.released_at,
        proof_due=one.proof_due,
        urgent=each.urgent,
    )
