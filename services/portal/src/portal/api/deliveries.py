"""Routes of the work list and of one delivery."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from common.envelope import EnvelopeRefused
from common.package_proof import PackageRefused
from portal import usecases
from portal.api.visit import ANYONE, Visit, Visiting, desk, form, page, see_other
from portal.usecases import NoCustody

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])


@router.get("/work")
async def show_work(request: Request, here: Visit = Visiting) -> Response:
    """What came for the person's agency: new first, then accepted. No names: they show only when a delivery is opened."""
    found = (await here.hub.inbox()).items
    new = [item for item in found if item.state == "delivered"]
    taken = [item for item in found if item.state != "delivered"]
    custody = bool(desk(request).custody.opening(here.granted("disclosure.read", "consultation")))
    return page(request, "work.html", new=list(reversed(new)), taken=list(reversed(taken)), custody=custody)


@router.get("/deliveries/{delivery_id}")
async def show_delivery(request: Request, delivery_id: UUID, here: Visit = Visiting) -> Response:
    """One delivery, safe contact first; the look is in the audit log before this page is made."""
    try:
        granted = here.granted("disclosure.read", "consultation")
        delivery, state = await usecases.open_for(desk(request), granted, here.hub, str(delivery_id))
    except NoCustody:
        return page(request, "own_system.html")
    except (PackageRefused, EnvelopeRefused) as refused:
        return page(request, "not_verified.html", 200, code=refused.code, delivery_id=str(delivery_id))
    return page(request, "delivery.html", delivery=delivery, content=delivery.verdict.content, verdict=delivery.verdict, state=state)


@router.post("/deliveries/{delivery_id}/accept")
async def accept_delivery(request: Request, delivery_id: UUID, here: Visit = Visiting) -> Response:
    """Accept: signs a receipt for exactly what was delivered, then back to the page."""
    await form(request, here.session)
    try:
        accepting, reading = here.granted("disclosure.acknowledge", "operation"), here.granted("disclosure.read", "consultation")
        await usecases.accept(desk(request), accepting, reading, here.hub, str(delivery_id))
    except NoCustody:
        return page(request, "own_system.html")
    except (PackageRefused, EnvelopeRefused) as refused:
        return page(request, "not_verified.html", 200, code=refused.code, delivery_id=str(delivery_id))
    return see_other(f"/deliveries/{delivery_id}")
