"""The operator's switch on each service: pause and resume."""

from typing import Annotated, cast

from fastapi import APIRouter, Request

from common.access import Granted
from common.problems import Problem
from common.web import guard
from common.web.models import ApiModel

TAGS = {"operator": "Pausing and resuming this service.", "service": "Health, metrics and documents of this service."}

router = APIRouter(prefix="/v1/operator", tags=["operator"])

Manage = Annotated[Granted, guard.requires("agency.manage", operation="operation")]


class ServiceState(ApiModel):
    """Whether the service is paused."""

    service: str
    paused: bool


@router.post("/pause", summary="Pause the service")
async def pause_service(request: Request, _granted: Manage) -> ServiceState:
    """Holds consumers and the relay; the API answers 503 `paused` until resumed. Nothing accepted is lost."""
    return await _turn(request, paused=True)


@router.post("/resume", summary="Resume the service")
async def resume_service(request: Request, _granted: Manage) -> ServiceState:
    """Lets consumers, relay and API go on from where they held."""
    return await _turn(request, paused=False)


async def _turn(request: Request, *, paused: bool) -> ServiceState:
    switch = request.app.state.switch
    if switch is None:
        raise Problem("unavailable")
    await (switch.pause() if paused else switch.resume())
    return ServiceState(service=cast(str, request.app.state.service), paused=paused)
