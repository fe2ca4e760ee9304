"""Rate limits per caller and per agency, with capacity set aside for what is urgent."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

from common.access import Principal
from common.problems import Problem
from hubformats.canonical import CanonicalError, parse

HEADERS: Final = "hub_rate_headers"  # scope["state"] member: what the edge adds to the answer
URGENT: Final = "urgent"

Classify = Callable[[Request], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` requests per `window` seconds for one caller, `agency_quota` for all callers of its
    agency.
    """

    quota: int
    window: int
    agency_quota: int


DEFAULT_POLICIES: Final[Mapping[str, Policy]] = {
    "default": Policy(quota=1200, window=60, agency_quota=6000),
    URGENT: Policy(quota=600, window=60, agency_quota=3000),
}


def urgent_when(field: str, value: str) -> Classify:
    """For `guard.requires(rate=…)`: urgent if the JSON body says `field: value`.

    A body that cannot be read is ordinary.
    """

    literal = f'"{value}"'.encode()

    async def classify(request: Request) -> str:
        raw = await request.body()
        if literal not in raw and b"\\u" not in raw:
            # the word is nowhere, not even escaped: no need to read the whole body once more
            return "default"
        try:
            body = parse(raw)
        except CanonicalError:
            return "default"
        return URGENT if isinstance(body, dict) and body.get(field) == value else "default"

    return classify


class Rates:
    """Counts in this process only: with several replicas each allows its share of the load
    balancer's traffic.
    """

    def __init__(self, policies: Mapping[str, Policy] = DEFAULT_POLICIES) -> None:
        """`policies` by class; "default" must be among them. Class "urgent" is a reserve used only
        when "default" is exhausted.
        """
        self._policies = dict(policies)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def demand(self, principal: Principal, kind: str) -> dict[str, str]:
        """Count one request; gives the RateLimit headers (draft-ietf-httpapi-ratelimit-headers-11).

        Raises Problem `rate-limited`.

        An urgent request takes from "default" first and then from the reserve that nothing else may
        touch.
        """
        tries = ("default", URGENT) if kind == URGENT and URGENT in self._policies else (kind,)
        for name in tries:
            fine, headers = await self._hit(principal, name)
            if fine:
                return headers
        raise Problem("rate-limited", headers=headers)

    async def _hit(self, principal: Principal, name: str) -> tuple[bool, dict[str, str]]:
        policy = self._policies[name]
        mine = (
            RateLimitItemPerSecond(policy.quota, policy.window),
            f"{name}|{principal.issuer}|{principal.client_id}|{principal.subject}",
        )
        ours = (
            RateLimitItemPerSecond(policy.agency_quota, policy.window),
            f"{name}|agency|{principal.agency}",
        )
        fine = await self._limiter.hit(*mine) and await self._limiter.hit(*ours)
        stats = [await self._limiter.get_window_stats(*pair) for pair in (mine, ours)]
        left = min(entry.remaining for entry in stats)
        wait = max(1, math.ceil(max(entry.reset_time for entry in stats) - time.time()))
        headers = {
            "RateLimit-Policy": f'"{name}";q={policy.quota};w={policy.window}',
            "RateLimit": f'"{name}";r={left};t={wait}',
        }
        return fine, headers if fine else {**headers, "Retry-After": str(wait)}
