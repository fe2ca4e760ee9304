"""Where disclosures stand, what is stuck and can be decided on again, and the emergency path."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Final, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request

from common.access import Granted
from common.audit_trail import AuditTrail
from common.database import DatabaseStopped, DatabaseUnavailable
from common.problems import Fault, Problem
from common.telemetry import describe
from common.web import documents, guard
from common.web.frame import actor_of
from hubformats.audit_record import Actor
from hubformats.case_reference import normalised_reference
from sharing.api.shapes import (
    DecideAgainIn,
    DecidedAgainOut,
    DisclosureOut,
    DisclosuresOut,
    EmergencyIn,
    EmergencyOut,
    PassedOverOut,
    StuckOut,
    StuckPage,
    UnprovenOut,
    UnprovenPage,
)
from sharing.permissions import ACTIONS
from sharing.ports import ReleaseChecks, Store, Tx, Unproven
from sharing.usecases import asked_again, deciding, releasing
from sharing.usecases.desk import Desk

router = APIRouter(prefix="/v1/disclosures", tags=["releases"])

_log = logging.getLogger("hub.sharing")
_CASES: Final = 100
"""Cases in one call: an operator waits for its answer."""

Again = Annotated[Granted, guard.requires("agency.manage", operation="disclosure")]
Watch = Annotated[Granted, guard.requires("agency.manage", operation="operation")]
Ask = Annotated[Granted, guard.requires("sharing.request", operation="consultation")]
Emergency = Annotated[
    Granted,
    guard.requires(
        "sharing.request",
        operation="disclosure",
        roles=ACTIONS["release_in_emergency"].roles,
        step_up=timedelta(minutes=15),
    ),
]
Authority = Annotated[
    Granted,
    guard.requires(
        "sharing.request", operation="consultation", roles=ACTIONS["see_unproven"].roles
    ),
]
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


@router.get("", summary="List a case's disclosures", openapi_extra=documents.problems(404))
async def list_disclosures(
    request: Request, granted: Ask, case_reference: Reference
) -> DisclosuresOut:
    """Where each disclosure of your own referral stands: waiting for its proof, released, saved,
    blocked and why.
    """
    if not request.app.state.ready_to_read():
        raise Problem("audit-backlog")
    store = cast(Store, request.app.state.store)
    reference = normalised_reference(case_reference)
    found = await store.write(
        lambda tx: deciding.disclosures_of(tx, granted, actor_of(granted.principal), reference)
    )
    names = DisclosureOut.model_fields.keys() - {"delivery_id"}
    items = [
        DisclosureOut.model_validate(
            {"delivery_id": each.id} | {name: getattr(each, name) for name in names}
        )
        for each in found
    ]
    return DisclosuresOut(items=items)


@router.get("/stuck", summary="Count what has not left")
async def list_stuck(request: Request, granted: Watch) -> StuckPage:
    """How many disclosures wait or are blocked, by reason, with the oldest of each; for the hub's
    desk.
    """
    store = cast(Store, request.app.state.store)
    desk = cast(Desk, request.app.state.desk)
    stuck, passed_over, overdue = await store.read(
        lambda view: (
            view.stuck(),
            view.withheld_while_suspended(),
            view.overdue_promises(desk.now()),
        )
    )
    items = [
        StuckOut(state=each.state, reason=each.reason, count=each.count, oldest=each.oldest)
        for each in stuck
    ]
    withheld = [
        PassedOverOut(recipient=each.recipient, count=each.count, oldest=each.oldest)
        for each in passed_over
    ]
    return StuckPage(items=items, withheld_while_suspended=withheld, promises_overdue=overdue)


@router.get("/unproven", summary="List what has no proof yet")
async def list_unproven(
    request: Request, granted: Authority, delivery_id: OneDelivery = None
) -> UnprovenPage:
    """For a person who may release in an emergency: what of the own agency's referrals waits for
    its receipt, or left on a promise.

    What waits first, of that what is urgent, then the newest. With `deliveryId` only that one,
    whether the list has room for it or not.
    """
    store = cast(Store, request.app.state.store)
    found, more = await store.write(
        lambda tx: releasing.unproven_of(tx, granted, actor_of(granted.principal), delivery_id)
    )
    return UnprovenPage(items=[_unproven(each) for each in found], more=more)


@router.post(
    "/decide-again",
    summary="Decide again on what is blocked",
    openapi_extra=documents.problems(404),
)
async def decide_again(request: Request, body: DecideAgainIn, granted: Again) -> DecidedAgainOut:
    """A new decision on the kept facts, under the agreement in force now, with its own audit
    records.

    What it permits goes the ordinary road: receipt, vetoes once more, release. What had left and
    says the same is not sent again.
    """
    store, desk = cast(Store, request.app.state.store), cast(Desk, request.app.state.desk)
    actor = actor_of(granted.principal)
    named = (bool(body.delivery_ids), body.reason is not None, body.agency is not None)
    if sum(named) != 1 or (body.agency is None) != (body.case_reference is None):
        raise Problem(
            "validation-failed",
            errors=[
                Fault("", "name deliveries, or a reason, or an agency with its case reference")
            ],
        )
    if body.agency is not None and body.case_reference is not None:
        agency, reference = body.agency, normalised_reference(body.case_reference)
        done = [
            await _one(
                store,
                lambda tx: asked_again.decide_case(tx, desk, granted, actor, agency, reference),
            )
        ]
        return _counted(done, more=False)
    wanted = asked_again.Wanted(frozenset(body.delivery_ids), body.reason or "")
    found = await store.read(
        lambda view: view.blocked(wanted.deliveries, wanted.reason, _CASES + 1)
    )
    done = []
    for case_id in found[:_CASES]:
        done.append(
            await _one(
                store,
                partial(
                    _blocked,
                    desk=desk,
                    granted=granted,
                    actor=actor,
                    case_id=case_id,
                    wanted=wanted,
                ),
            )
        )
    return _counted(done, more=len(found) > _CASES)


def _unproven(each: Unproven) -> UnprovenOut:
    one = each.disclosure
    return UnprovenOut(
        delivery_id=one.id,
        case_reference=each.reference,
        recipient=one.recipient,
        clause=one.clause,
        kind=one.kind,
        standing="promised" if one.standing == "promised" else "waiting",
        decided_at=one.decided_at,
        released_at=one.released_at,
        proof_due=one.proof_due,
        urgent=each.urgent,
    )


def _blocked(
    tx: Tx, *, desk: Desk, granted: Granted, actor: Actor, case_id: UUID, wanted: asked_again.Wanted
) -> asked_again.Outcome:
    return asked_again.decide_blocked(tx, desk, granted, actor, case_id, wanted)


async def _one(
    store: Store, work: Callable[[Tx], asked_again.Outcome]
) -> asked_again.Outcome | None:
    """One case in a transaction of its own: one that cannot be decided on must not keep the others.

    None when it failed.
    """
    try:
        return await store.write(work)
    except (Problem, DatabaseUnavailable, DatabaseStopped):
        raise
    # It stays blocked, loudly, and can be asked for again
    except Exception as error:  # noqa: BLE001
        _log.error(
            "deciding again failed",
            extra={"alarm": "decide-again-failed", "error": describe(error)},
        )
        return None


def _counted(done: Sequence[asked_again.Outcome | None], *, more: bool) -> DecidedAgainOut:
    known = [each for each in done if each is not None]
    return DecidedAgainOut(
        cases=sum(each.decided for each in known),
        prepared=sum(each.prepared for each in known),
        unchanged=sum(not each.decided for each in known),
        failed=len(done) - len(known),
        more=more,
    )


@router.post(
    "/{delivery_id}/emergency-release",
    summary="Release in an emergency",
    openapi_extra=documents.problems(409),
)
async def release_in_emergency(
    request: Request, delivery_id: UUID, body: EmergencyIn, granted: Emergency
) -> EmergencyOut:
    """A person with authority releases what waits for its audit receipt. Vetoes hold all the same.

    The package carries a signed promise and is shown as promised, never as proven; the proof
    follows within the hour.
    """
    store = cast(Store, request.app.state.store)
    desk = cast(Desk, request.app.state.desk)
    checks = cast(ReleaseChecks, request.app.state.checks)
    trail = cast(AuditTrail, request.app.state.trail)
    found, case = await store.write(
        lambda tx: releasing.prepare_emergency(tx, granted, delivery_id)
    )
    state = await checks.check(case.case_id, case.version, case.subjects)
    try:
        promise = await trail.promise(found.record_id)
    except LookupError:
        raise Problem(
            "conflict", "The log has refused this disclosure's record; it cannot be promised."
        ) from None
    why = releasing.Emergency(body.code, body.reason)
    actor = actor_of(granted.principal)
    await store.write(
        lambda tx: releasing.release_in_emergency(
            tx, desk, granted, actor, delivery_id, state, promise, why
        )
    )
    return EmergencyOut(delivery_id=delivery_id, proof_due=promise.due)
