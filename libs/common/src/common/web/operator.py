"""The operator's hand on each service: pause and resume, and what was set aside from the bus."""

from datetime import datetime
from typing import Annotated, Final, Literal, Protocol
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field

from common.access import Granted
from common.models import ApiModel
from common.problems import Fault, Problem
from common.web import guard, paging

TAGS = {
    "operator": "Pausing and resuming this service, and replaying what it set aside.",
    "service": "Health, metrics and documents of this service.",
}

router = APIRouter(prefix="/v1/operator", tags=["operator"])

Manage = Annotated[Granted, guard.requires("agency.manage", operation="operation")]

_TOPIC: Final = r"^[a-z0-9.-]{1,200}$"
_REASON: Final = r"^[a-z0-9-]{1,60}$"
TopicName = Annotated[
    str,
    Field(
        pattern=_TOPIC, description="Topic from which it was set aside", examples=["hub.case.v1"]
    ),
]
ReasonCode = Annotated[
    str,
    Field(
        pattern=_REASON, description="Reason code of the quarantine", examples=["agency-suspended"]
    ),
]
Digest = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{43}$", description="Names exactly the bytes that came")
]


class ServiceState(ApiModel):
    """Whether the service is paused."""

    service: str
    paused: bool


class SetAside(ApiModel):
    """One envelope in quarantine.

    Sender and event id stand only for an authentic one: a forger's word is worth nothing.
    """

    topic: TopicName
    digest: Digest
    received_at: datetime
    reason: str
    holds: Annotated[
        bool, Field(description="Authentic: nothing is released on its case until it was replayed")
    ]
    sender: str | None = None
    event_id: UUID | None = None


class ReplayOrder(ApiModel):
    """What to try again: a topic, exactly these of a topic, or all of one reason."""

    topic: TopicName | None = None
    reason: ReasonCode | None = None
    digests: Annotated[tuple[Digest, ...], Field(max_length=100)] = ()


class Replayed(ApiModel):
    """What a replay came to, each envelope counted once."""

    applied: Annotated[int, Field(description="Took effect now")]
    known: Annotated[int, Field(description="Had its effect before; nothing happened again")]
    still_aside: Annotated[
        int, Field(description="Refused again, by the same checks as a new arrival")
    ]
    absent: Annotated[
        int, Field(description="Its bytes are kept nowhere any more; its sender must send anew")
    ]


Why = Literal["forged", "unreadable", "sent-anew", "obsolete", "exercise"]
"""Why something set aside is let go of. `forged` is said only of what nobody vouches for."""


class DiscardOrder(ApiModel):
    """What to let go of, of one topic: exactly these, or all that nobody vouches for (of one
    reason), and why.
    """

    topic: TopicName
    why: Why
    reason: ReasonCode | None = None
    digests: Annotated[tuple[Digest, ...], Field(max_length=100)] = ()


class Discarded(ApiModel):
    """What was let go of."""

    discarded: int
    released: Annotated[
        int,
        Field(description="Of these, authentic ones, which held releases on their case until now"),
    ]
    more: Annotated[bool, Field(description="One call takes at most 1,000: call again for others")]


class Switch(Protocol):
    """What the operator's endpoints turn: a `Service`."""

    async def pause(self) -> None:
        """Hold the service's work."""
        ...

    async def resume(self) -> None:
        """Go on."""
        ...


class Operations(Protocol):
    """What a service lets its operator do beside the switch.

    Obligation: each act is an entry of the audit trail, durable first.
    """

    async def note(self, granted: Granted, act: Literal["pause", "resume"]) -> None:
        """Record that the service is paused or resumed. Raises Problem."""
        ...

    async def set_aside(
        self,
        granted: Granted,
        *,
        topic: str | None,
        reason: str | None,
        cursor: str | None,
        limit: int,
    ) -> paging.Page[SetAside]:
        """What waits in quarantine, oldest first; never content. Raises Problem."""
        ...

    async def replay(self, granted: Granted, order: ReplayOrder) -> Replayed:
        """Try again; repeats are recognised and nothing is believed that a new arrival would not
        be. Raises Problem.
        """
        ...

    async def discard(self, granted: Granted, order: DiscardOrder) -> Discarded:
        """Let go of what can never be applied, recorded in the same transaction. Raises Problem."""
        ...


@router.post("/pause", summary="Pause the service")
async def pause_service(request: Request, granted: Manage) -> ServiceState:
    """Holds consumers and the relay; the API answers 503 `paused` until resumed.

    Nothing accepted is lost.
    """
    return await _turn(request, granted, paused=True)


@router.post("/resume", summary="Resume the service")
async def resume_service(request: Request, granted: Manage) -> ServiceState:
    """Lets consumers, relay and API go on from where they held."""
    return await _turn(request, granted, paused=False)


@router.get("/quarantine", summary="What this service set aside from the bus")
async def read_quarantine(
    request: Request,
    granted: Manage,
    topic: Annotated[str | None, Query(pattern=_TOPIC, description="Only of this topic")] = None,
    reason: Annotated[
        str | None, Query(pattern=_REASON, description="Only for this reason")
    ] = None,
    cursor: paging.CursorText = None,
    limit: paging.Limit = 50,
) -> paging.Page[SetAside]:
    """Oldest first. What was replayed since is not in it."""
    return await _operations(request).set_aside(
        granted, topic=topic, reason=reason, cursor=cursor, limit=limit
    )


@router.post("/quarantine/replay", summary="Try again what was set aside")
async def replay_quarantine(request: Request, granted: Manage, order: ReplayOrder) -> Replayed:
    """Opens, checks and applies each as if it arrived now, at most 1,000 in one call; what fails
    again stays where it is.
    """
    if order.topic is None and (order.reason is None or order.digests):
        raise Problem(
            "validation-failed",
            errors=[Fault("/topic", "name a topic, or a reason without digests")],
        )
    if request.app.paused:
        raise Problem("paused")
    return await _operations(request).replay(granted, order)


@router.post("/quarantine/discard", summary="Let go of what was set aside")
async def discard_quarantine(request: Request, granted: Manage, order: DiscardOrder) -> Discarded:
    """For what can never be applied, such as a forgery: it leaves the list, holds nothing any more
    and cannot be replayed.

    An authentic envelope must be named by its digest, and its sender has to send anew whatever
    still matters in it.
    """
    return await _operations(request).discard(granted, order)


async def _turn(request: Request, granted: Granted, *, paused: bool) -> ServiceState:
    switch: Switch | None = request.app.switch
    operations: Operations | None = request.app.operations
    if switch is None:
        raise Problem("unavailable")
    if operations is not None:
        await operations.note(granted, "pause" if paused else "resume")
    await (switch.pause() if paused else switch.resume())
    return ServiceState(service=request.app.service, paused=paused)


def _operations(request: Request) -> Operations:
    operations: Operations | None = request.app.operations
    if operations is None:
        raise Problem("unavailable")
    return operations
