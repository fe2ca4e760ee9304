"""Routes of the work list and of one delivery."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from hubformats.envelope import EnvelopeRefused
from hubformats.package_proof import PackageRefused
from portal import usecases
from portal.api.visit import ANYONE, Visit, Visiting, Watching, desk, form, page, see_other
from portal.domain.dates import london_day
from portal.domain.shown import held_back, names_referrer, risk_level, sections, strip
from portal.domain.wording import reasons
from portal.usecases import NoCustody

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])


@router.get("/work")
async def show_work(request: Request, here: Visit = Visiting, still: bool = False) -> Response:
    """What came for the person's agency: to accept first, then accepted.

    No names: they show only when a delivery is opened.

    `still` is for whom a list that changes by itself disturbs (WCAG 2.2.2).
    """
    return await _work_page(request, here, still=still)


@router.get("/work/renewed")
async def renew_work(request: Request, here: Visit = Watching) -> Response:
    """The same list as the open page asks for it once a minute: a screen left alone at night shows
    what came, and still signs out.
    """
    return await _work_page(request, here)


async def _work_page(request: Request, here: Visit, *, still: bool = False) -> Response:
    granted = here.granted("disclosure.read", "consultation")
    rows = await usecases.work_list(desk(request), granted, here.hub)
    groups = [
        (
            "new",
            "To accept",
            "Nothing is waiting for you.",
            [row for row in rows if row.state != "accepted"],
        ),
        (
            "accepted",
            "Accepted",
            "Nothing accepted yet.",
            [row for row in rows if row.state == "accepted"],
        ),
    ]
    return page(
        request,
        "work.html",
        groups=groups,
        still=still,
        custody=bool(desk(request).custody.opening(granted)),
    )


@router.get("/deliveries/{delivery_id}")
async def show_delivery(request: Request, delivery_id: UUID, here: Visit = Visiting) -> Response:
    """One delivery, safe contact first; the look is in the audit log before this page is made."""
    granted = here.granted("disclosure.read", "consultation")
    try:
        opened = await usecases.open_for(desk(request), granted, here.hub, str(delivery_id))
    except NoCustody:
        return page(request, "own_system.html")
    except (PackageRefused, EnvelopeRefused) as refused:
        return page(request, "not_verified.html", code=refused.code)
    content, today = opened.delivery.verdict.content, london_day(here.clock.now())
    return page(
        request,
        "delivery.html",
        delivery_id=str(delivery_id),
        content=content,
        verdict=opened.delivery.verdict,
        standing=opened.standing,
        known=opened.known,
        urgent=opened.known.urgent or opened.known.promised,
        may_accept=here.session.grantings.allows("disclosure.acknowledge"),
        strip=strip(content.get("safeContact"), today),
        sections=sections(content, today),
        risk=risk_level(content),
        held_back=held_back(content),
        referrer=names_referrer(content),
        reasons=reasons(content),
    )


@router.post("/deliveries/{delivery_id}/accept")
async def accept_delivery(request: Request, delivery_id: UUID, here: Visit = Visiting) -> Response:
    """Accept: signs a receipt for exactly what was delivered, then back to the page."""
    await form(request, here.session)
    accepting, reading = (
        here.granted("disclosure.acknowledge", "operation"),
        here.granted("disclosure.read", "consultation"),
    )
    try:
        await usecases.accept(desk(request), accepting, reading, here.hub, str(delivery_id))
    except NoCustody:
        return page(request, "own_system.html")
    except (PackageRefused, EnvelopeRefused) as refused:
        return page(request, "not_verified.html", code=refused.code)
    return see_other(f"/deliveries/{delivery_id}")
