"""What waits for the audit log, for everybody who could act on it."""

from typing import Annotated

from fastapi import APIRouter, Depends

from common.access import Granted
from common.web.frame import actor_of
from common.web.provided import provided
from sharing.context import Store
from sharing.delays import use_cases
from sharing.delays.ports import DelayView
from sharing.delays.schemas import DelaysOut, delays_out
from sharing.depends import guard

router = APIRouter(prefix="/v1/disclosures", tags=["releases"])

See = Annotated[Granted, guard.action("see_delays")]


@router.get("/delayed", summary="Count what waits for the audit log")
async def count_delayed(
    granted: See, store: Annotated[Store[object, DelayView], Depends(provided(Store))]
) -> DelaysOut:
    """Deliveries to your agency, and of your agency's referrals, that may leave and have not.

    It names no case. It is answered also while nothing else is, because the audit log is too far
    behind.
    """
    found = await use_cases.delays_of(store, granted, actor_of(granted.principal))
    return delays_out(found)
