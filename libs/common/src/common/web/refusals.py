"""Accounts for refused requests: an entry each for known callers, one a minute for unknown ones."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request

from common.access import Operation, Principal, Refusal, Sent
from common.problems import Problem
from common.telemetry import describe
from common.web import correlation
from common.web.edge import BODY
from common.web.idempotency import bare
from common.web.observe import route_template
from hubformats.clock import Clock

OnRefusal = Callable[[Refusal], Awaitable[None]]

_WINDOW_SECONDS: Final = 60.0
_log = logging.getLogger("hub.web")


class Refusals:
    """Passes refusals to the audit trail. A crash loses at most one minute's anonymous count."""

    def __init__(self, on_refusal: OnRefusal | None, clock: Clock) -> None:
        self._on_refusal = on_refusal
        self._clock = clock
        self._anonymous: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    async def report(self, request: Request, problem: Problem) -> None:
        """Account for one refusal, durably before the answer if the caller is known."""
        principal: Principal | None = getattr(request.state, "principal", None)
        if principal is None:
            self._anonymous[problem.code] += 1
            return
        operation: Operation = getattr(request.state, "operation", "operation")
        route = route_template(request.scope)
        correlation_id = correlation.current() or correlation.accept(None)
        key = bare(request.headers.get("idempotency-key", ""))
        sent = Sent(key, request.scope["state"].get(BODY, b""))
        reasons, now = {problem.code: 1}, self._clock.now()
        await self._pass(Refusal(now, principal, route, operation, correlation_id, reasons, sent))

    async def start(self) -> None:
        """Begin the minute."""
        self._task = asyncio.create_task(self._every_minute())

    async def stop(self) -> None:
        """Account for what the last minute holds."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self.flush()

    async def flush(self) -> None:
        """Pass on the anonymous count, if any."""
        if not self._anonymous:
            return
        counts, self._anonymous = dict(self._anonymous), Counter()
        now, id_ = self._clock.now(), correlation.accept(None)
        await self._pass(Refusal(now, None, "", "operation", id_, counts))

    async def _every_minute(self) -> None:
        while True:
            await asyncio.sleep(_WINDOW_SECONDS)
            await self.flush()

    async def _pass(self, refusal: Refusal) -> None:
        if self._on_refusal is None:
            return
        try:
            await self._on_refusal(refusal)
        # The request is refused all the same; the operator must learn of the gap
        except Exception as error:  # noqa: BLE001
            _log.error("refusal not recorded", extra={"error": describe(error)})
