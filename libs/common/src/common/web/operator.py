"""The operator's hand on each service: pause and resume, and what was set aside from the bus.

Each act is recorded before it is done."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from common.access import Granted, Permission
from common.bus import BusError
from common.database import Unit
from common.inbox import REPLAY_LIMIT, DirectoryUnavailable, Transient, Waiting
from common.models import ApiModel
from common.problems import Fault, Problem
from common.web import paging
from common.web.frame import Frame, actor_of
from common.web.guard import Guards
from hubformats.audit_record import AuditEntry

TAGS = {
    "operator": "Pausing and resuming this service, and replaying what it set aside.",
    "service": "Health, metrics and documents of this service.",
}

router = APIRouter(prefix="/v1/operator", tags=["operator"])

_GUARDS: Final = Guards({"operate": Permission("agency.manage", "operation")})
Manage = Annotated[Granted, _GUARDS.action("operate")]
Act = Literal["pause", "resume"]
Turn = Mapping[Act, Callable[[], Awaitable[None]]]
"""What the switch does to the service."""

_LIST: Final = "quarantine"
_NAMED: Final = 500
"""Digests in one audit entry: what its sealed part holds."""
_log = logging.getLogger("hub.operations")

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
    """What to let go of, of one topic, and why. Exactly these, or all that nobody vouches for (of
    one reason).
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


async def _frame(request: Request) -> Frame:
    frame: Frame | None = request.app.frame
    if frame is None:
        raise Problem("unavailable")
    return frame


FrameDep = Annotated[Frame, Depends(_frame)]


@router.post("/pause", summary="Pause the service")
async def pause_service(request: Request, granted: Manage) -> ServiceState:
    """Holds consumers and the relay; the API answers 503 `paused` until resumed.

    Nothing accepted is lost.
    """
    return await _switch(request, granted, "pause")


@router.post("/resume", summary="Resume the service")
async def resume_service(request: Request, granted: Manage) -> ServiceState:
    """Lets consumers, relay and API go on from where they held."""
    return await _switch(request, granted, "resume")


@router.get("/quarantine", summary="What this service set aside from the bus")
async def read_quarantine(
    frame: FrameDep,
    granted: Manage,
    topic: Annotated[str | None, Query(pattern=_TOPIC, description="Only of this topic")] = None,
    reason: Annotated[
        str | None, Query(pattern=_REASON, description="Only for this reason")
    ] = None,
    cursor: paging.CursorText = None,
    limit: paging.Limit = 50,
) -> paging.Page[SetAside]:
    """Oldest first. What was replayed since is not in it."""
    filters = {"topic": topic, "reason": reason}
    place = frame.cursors.read(_LIST, cursor, granted, filters=filters)
    after = UUID(str(place[0])) if place else None
    find = partial(frame.inbox.waiting, topic=topic, reason=reason, after=after, limit=limit + 1)
    found = await frame.database.read(find)
    following = None
    if len(found) > limit:
        last = [str(found[limit - 1].place)]
        following = frame.cursors.make(_LIST, last, granted, filters=filters)
    return paging.Page(items=[_shown(row) for row in found[:limit]], next_cursor=following)


@router.post("/quarantine/replay", summary="Try again what was set aside")
async def replay_quarantine(
    request: Request, frame: FrameDep, granted: Manage, order: ReplayOrder
) -> Replayed:
    """Opens, checks and applies each as if it arrived now, at most 1,000 in one call. What fails
    again stays where it is.
    """
    if order.topic is None and (order.reason is None or order.digests):
        raise _faulty("/topic", "name a topic, or a reason without digests")
    if request.app.paused:
        raise Problem("paused")

    def begin(unit: Unit, count: int) -> None:
        # If we crash after this, what was applied is applied and the rest can be replayed again.
        why, named = order.reason or "", {"digests": list(order.digests)} if order.digests else {}
        entry = _entry(
            granted, "quarantine", order.topic or "", reason_code=why, count=count, detail=named
        )
        frame.trail.record(unit, entry)

    try:
        tally = await frame.inbox.replay_quarantine(
            frame.bus, order.topic, reason=order.reason, digests=order.digests, begin=begin
        )
    except (Transient, DirectoryUnavailable, BusError):
        raise Problem("unavailable", headers={"Retry-After": "5"}) from None
    return Replayed(
        applied=tally.applied,
        known=tally.repeats,
        still_aside=tally.quarantined,
        absent=tally.absent,
    )


@router.post("/quarantine/discard", summary="Let go of what was set aside")
async def discard_quarantine(frame: FrameDep, granted: Manage, order: DiscardOrder) -> Discarded:
    """For what can never be applied, such as a forgery. It leaves the list, holds nothing any more
    and cannot be replayed.

    An authentic envelope must be named by its digest. Its sender has to send anew whatever still
    matters in it.
    """

    def work(unit: Unit) -> Sequence[Waiting]:
        # If we crash before the commit, nothing was let go of and nothing is recorded.
        rows = frame.inbox.discard(
            unit, order.topic, digests=order.digests, reason=order.reason, limit=REPLAY_LIMIT
        )
        if order.why == "forged" and any(row.holds for row in rows):
            # Its sender signed it: nobody may write into the log that it was not them.
            raise _faulty("/why", "one of these is authentic, so it is not forged")
        for start in range(0, len(rows), _NAMED):
            named = [row.digest for row in rows[start : start + _NAMED]]
            more = {"reason_code": order.why, "count": len(named), "detail": {"digests": named}}
            frame.trail.record(unit, _entry(granted, "quarantine-discard", order.topic, **more))
        return rows

    rows = await frame.database.write(work)
    if rows:
        told = {"alarm": "quarantine-discarded", "count": len(rows), "reason": order.why}
        _log.warning("set aside and let go of", extra=told)
    held = sum(row.holds for row in rows)
    return Discarded(discarded=len(rows), released=held, more=len(rows) == REPLAY_LIMIT)


async def _switch(request: Request, granted: Granted, act: Act) -> ServiceState:
    turn: Turn = request.app.turn
    frame: Frame | None = request.app.frame
    if act not in turn:
        raise Problem("unavailable")
    if frame is not None:
        # If we crash after this, it was meant and not done; a restart resumes anyway.
        trail, entry = frame.trail, _entry(granted, "service", reason_code=act)
        await frame.database.write(lambda unit: trail.record(unit, entry))
    await turn[act]()
    return ServiceState(service=request.app.service, paused=act == "pause")


def _entry(granted: Granted, kind: str, id_: str = "", **more: Any) -> AuditEntry:
    who = actor_of(granted.principal)
    return AuditEntry("config_change", "done", who, resource_type=kind, resource_id=id_, **more)


def _faulty(pointer: str, sentence: str) -> Problem:
    return Problem("validation-failed", errors=[Fault(pointer, sentence)])


def _shown(row: Waiting) -> SetAside:
    return SetAside(
        topic=row.topic,
        digest=row.digest,
        received_at=row.at,
        reason=row.reason,
        holds=row.holds,
        sender=row.source,
        event_id=row.event_id,
    )
