"""What an app runs on: settings, clock, who tells callers apart, limits and checks."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import Request

from common.access import Principal
from common.settings import Settings
from common.web.rates import Rates
from common.web.refusals import OnRefusal
from hubformats.clock import Clock, SystemClock

Check = Callable[[], bool | Awaitable[bool]]


class Authenticator(Protocol):
    """Tells who a request comes from.

    Obligation: raises Problem for anything short of certainty, and never guesses.
    """

    async def authenticate(self, request: Request) -> Principal:
        """Return the caller.

        Raises Problem: `unauthorized`, `dpop-proof-refused`, `agency-suspended`, `directory-stale`,
        `issuer-unreachable`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of a running service that its app needs; `Frame.runtime` gives a service's own.

    `readiness` names the checks of /readyz. `on_refusal` accounts for refused requests. Without an
    `authenticator` every guarded route answers 503.
    """

    settings: Settings
    authenticator: Authenticator | None
    clock: Clock = field(default_factory=SystemClock)
    readiness: Mapping[str, Check] = field(default_factory=dict)
    on_refusal: OnRefusal | None = None
    rates: Rates = field(default_factory=Rates)
