"""What the operator's endpoints do, on the parts of a service's frame. Each act is recorded before
it is done."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Literal
from uuid import UUID

from common.access import Granted
from common.bus import BusError
from common.database import Unit
from common.inbox import REPLAY_LIMIT, DirectoryUnavailable, Transient, Waiting
from common.problems import Fault, Problem
from common.web import paging
from common.web.frame import Frame, actor_of
from common.web.operator import Discarded, DiscardOrder, Replayed, ReplayOrder, SetAside
from hubformats.audit_record import AuditEntry

_LIST = "quarantine"
_NAMED = 500
"""Digests in one audit entry: what its sealed part holds."""
_log = logging.getLogger("hub.operations")


class FrameOperations:
    """The operator's acts on one service (an Operations)."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def note(self, granted: Granted, act: Literal["pause", "resume"]) -> None:
        """Record the switch.

        If we crash here it was meant and not done; a restart resumes anyway.
        """
        entry = AuditEntry(
            operation="config_change",
            outcome="done",
            actor=actor_of(granted.principal),
            resource_type="service",
            reason_code=act,
        )
        await self._frame.database.write(lambda unit: self._frame.trail.record(unit, entry))

    async def set_aside(
        self,
        granted: Granted,
        *,
        topic: str | None,
        reason: str | None,
        cursor: str | None,
        limit: int,
    ) -> paging.Page[SetAside]:
        """See Operations."""
        filters = {"topic": topic, "reason": reason}
        place = self._frame.cursors.read(_LIST, cursor, granted, filters=filters)
        after = UUID(str(place[0])) if place else None
        find = partial(
            self._frame.inbox.waiting, topic=topic, reason=reason, after=after, limit=limit + 1
        )
        found = await self._frame.database.read(find)
        rows, more = found[:limit], len(found) > limit
        following = (
            self._frame.cursors.make(_LIST, [str(rows[-1].place)], granted, filters=filters)
            if more
            else None
        )
        return paging.Page(items=[_shown(row) for row in rows], next_cursor=following)

    async def replay(self, granted: Granted, order: ReplayOrder) -> Replayed:
        """See Operations.

        If we crash half-way, what was applied is applied; the rest still waits and can be replayed.
        """
        frame = self._frame

        def begin(unit: Unit, count: int) -> None:
            entry = AuditEntry(
                operation="config_change",
                outcome="done",
                actor=actor_of(granted.principal),
                resource_type="quarantine",
                resource_id=order.topic or "",
                reason_code=order.reason or "",
                count=count,
                detail={"digests": list(order.digests)} if order.digests else {},
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

    async def discard(self, granted: Granted, order: DiscardOrder) -> Discarded:
        """See Operations.

        If we crash before the commit nothing was let go of and nothing is recorded.
        """

        def work(unit: Unit) -> Sequence[Waiting]:
            rows = self._frame.inbox.discard(
                unit, order.topic, digests=order.digests, reason=order.reason, limit=REPLAY_LIMIT
            )
            if order.why == "forged" and any(row.holds for row in rows):
                # Its sender signed it; whatever is wrong with it, nobody may write into the log
                # that it was not them.
                raise Problem(
                    "validation-failed",
                    errors=[Fault("/why", "one of these is authentic, so it is not forged")],
                )
            for start in range(0, len(rows), _NAMED):
                self._let_go(unit, granted, order, rows[start : start + _NAMED])
            return rows

        rows = await self._frame.database.write(work)
        held = sum(row.holds for row in rows)
        if rows:
            _log.warning(
                "set aside and let go of",
                extra={"alarm": "quarantine-discarded", "count": len(rows), "reason": order.why},
            )
        return Discarded(discarded=len(rows), released=held, more=len(rows) == REPLAY_LIMIT)

    def _let_go(
        self, unit: Unit, granted: Granted, order: DiscardOrder, rows: Sequence[Waiting]
    ) -> None:
        self._frame.trail.record(
            unit,
            AuditEntry(
                operation="config_change",
                outcome="done",
                actor=actor_of(granted.principal),
                resource_type="quarantine-discard",
                resource_id=order.topic,
                reason_code=order.why,
                count=len(rows),
                detail={"digests": [row.digest for row in rows]},
            ),
        )


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
