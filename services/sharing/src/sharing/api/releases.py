"""Where disclosures stand, what is stuck, and the emergency path."""

from datetime import timedelta
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request

from common.access import Granted
from common.audit_trail import AuditTrail
from common.case_reference import normalised_reference
from common.problems import Problem
from common.web import documents, guard
from common.web.frame import actor_of
from sharing.api.shapes import DisclosureOut, DisclosuresOut, EmergencyIn, EmergencyOut, PassedOverOut, StuckOut, StuckPage
from sharing.permissions import ACTIONS
from sharing.ports import ReleaseChecks, Store
from sharing.usecases import deciding, releasing
from sharing.usecases.desk import Desk

router = APIRouter(prefix="/v1/disclosures", tags=["releases"])

Watch = Annotated[Granted, guard.requires("agency.manage", operation="operation")]
Ask = Annotated[Granted, guard.requires("sharing.request", operation="consultation")]
Emergency = Annotated[Granted, guard.requires(
    "sharing.request", operation="disclosure", roles=ACTIONS["release_in_emergency"].roles, step_up=timedelta(minutes=15),
)]  # fmt: skip
Reference = Annotated[
    str, Query(alias="caseReference", min_length=6, max_length=40, description="The reference your agency knows the case by")
]


@router.get("", summary="List a case's disclosures", openapi_extra=documents.problems(404))
async def list_disclosures(request: Request, granted: Ask, case_reference: Reference) -> DisclosuresOut:
    """Where each disclosure of your own referral stands: waiting for its proof, released, saved, blocked and why."""
    if not request.app.state.ready_to_read():
        raise Problem("audit-backlog")
    store = cast(Store, request.app.state.store)
    reference = normalised_reference(case_reference)
    found = await store.write(lambda tx: deciding.disclosures_of(tx, granted, actor_of(granted.principal), reference))
    names = DisclosureOut.model_fields.keys() - {"delivery_id"}
    items = [DisclosureOut.model_validate({"delivery_id": each.id} | {name: getattr(each, name) for name in names}) for each in found]
    return DisclosuresOut(items=items)


@router.get("/stuck", summary="Count what has not left")
async def list_stuck(request: Request, granted: Watch) -> StuckPage:
    """How many disclosures wait or are blocked, by reason, with the oldest of each; for the hub's desk."""
    store = cast(Store, request.app.state.store)
    desk = cast(Desk, request.app.state.desk)
    stuck, passed_over, overdue = await store.read(
        lambda view: (view.stuck(), view.withheld_while_suspended(), view.overdue_promises(desk.now()))
    )
    items = [StuckOut(state=each.state, reason=each.reason, count=each.count, oldest=each.oldest) for each in stuck]
    withheld = [PassedOverOut(recipient=each.recipient, count=each.count, oldest=each.oldest) for each in passed_over]
    return StuckPage(items=items, withheld_while_suspended=withheld, promises_overdue=overdue)


@router.post("/{delivery_id}/emergency-release", summary="Release in an emergency", openapi_extra=documents.problems(409))
async def release_in_emergency(request: Request, delivery_id: UUID, body: EmergencyIn, granted: Emergency) -> EmergencyOut:
    """A person with authority releases what waits for its audit receipt. Vetoes hold all the same.

    The package carries a signed promise and is shown as promised, never as proven; the proof follows within the hour.
    """
    store = cast(Store, request.app.state.store)
    desk = cast(Desk, request.app.state.desk)
    checks = cast(ReleaseChecks, request.app.state.checks)
    trail = cast(AuditTrail, request.app.state.trail)
    found, case = await store.write(lambda tx: releasing.prepare_emergency(tx, granted, delivery_id))
    state = await checks.check(case.case_id, case.version, case.subjects)
    try:
        promise = await trail.promise(found.record_id)
    except LookupError:
        raise Problem("conflict", "The log has refused this disclosure's record; it cannot be promised.") from None
    why = releasing.Emergency(body.code, body.reason)
    actor = actor_of(granted.principal)
    await store.write(lambda tx: releasing.release_in_emergency(tx, desk, granted, actor, delivery_id, state, promise, why))
    return EmergencyOut(delivery_id=delivery_id, proof_due=promise.due)
