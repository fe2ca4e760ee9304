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
    """`quota` requests per `window` seconds for one caller, `agency_quota` for its agency."""

    quota: int
    window: int
    agency_quota: int


DEFAULT_POLICIES: Final[Mapping[str, Policy]] = {
    "default": Policy(quota=1200, window=60, agency_quota=6000),
    URGENT: Policy(quota=600, window=60, agency_quota=3000),
}


def urgent_when(field: str, value: str) -> Classify:
    """Make the `rate` of a guard: urgent if the JSON body says `field: value`, else ordinary."""
    literal = f'"{value}"'.encode()

    async def classify(request: Request) -> str:
        raw = await request.body()
        if literal not in raw and b"\\u" not in raw:
            return "default"  # the word is nowhere, not even escaped
        try:
            body = parse(raw)
        except CanonicalError:
            return "default"
        return URGENT if isinstance(body, dict) and body.get(field) == value else "default"

    return classify


class Budgets:
    """Counts what is no granted request: sign-in, and what comes before anybody is known."""

    def __init__(self, quotas: Mapping[str, int], window: int = 60) -> None:
        """`quotas` by name, each for `window` seconds and one key."""
        self._items = {
            name: RateLimitItemPerSecond(quota, window) for name, quota in quotas.items()
        }
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def spend(self, name: str, key: str) -> int:
        """Count one. Return 0 when it was within the quota, else the seconds to wait."""
        item, who = self._items[name], f"{name}|{key}"
        if await self._limiter.hit(item, who):
            return 0
        stats = await self._limiter.get_window_stats(item, who)
        return max(1, math.ceil(stats.reset_time - time.time()))


class Rates:
    """Counts in this process only: each replica allows its share of the traffic."""

    def __init__(self, policies: Mapping[str, Policy] = DEFAULT_POLICIES) -> None:
        """`policies` by class, with "default". "urgent" is a reserve for when that is used up."""
        self._policies = dict(policies)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def demand(self, principal: Principal, kind: str) -> dict[str, str]:
        """Count one request. Returns the headers of draft-ietf-httpapi-ratelimit-headers-11.

        An urgent request takes from "default" first, then from the reserve that only it may touch.

        Raises Problem `rate-limited`.
        """
        tries = ("default", URGENT) if kind == URGENT and URGENT in self._policies else (kind,)
        for name in tries:
            fine, headers = await self._hit(principal, name)
            if fine:
                return headers
        raise Problem("rate-limited", headers=headers)

    async def _hit(self, principal: Principal, name: str) -> tuple[bool, dict[str, str]]:
        policy = self._policies[name]
        who = f"{name}|{principal.issuer}|{principal.client_id}|{principal.subject}"
        mine = RateLimitItemPerSecond(policy.quota, policy.window), who
        agency = f"{name}|agency|{principal.agency}"
        ours = RateLimitItemPerSecond(policy.agency_quota, policy.window), agency
        fine = await self._limiter.hit(*mine) and await self._limiter.hit(*ours)
        stats = [await self._limiter.get_window_stats(*pair) for pair in (mine, ours)]
        left = min(entry.remaining for entry in stats)
        wait = max(1, math.ceil(max(entry.reset_time for entry in stats) - time.time()))
        headers = {
            "RateLimit-Policy": f'"{name}";q={policy.quota};w={policy.window}',
            "RateLimit": f'"{name}";r={left};t={wait}',
        }
        return fine, headers if fine else {**headers, "Retry-After": str(wait)}
