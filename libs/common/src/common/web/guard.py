"""Route guards: each route states who may call it; a guard answers with a `Granted`, or a problem
that is accounted for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Protocol, cast

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security.base import SecurityBase

from common.access import SCOPES, Granted, Operation, Principal, grant
from common.problems import Problem
from common.web.edge import FAULT, inner_path
from common.web.queries import check_query
from common.web.rates import HEADERS, Classify, Rates
from hubformats.clock import Clock

_TRUE = frozenset(
    {"true", "t", "yes", "y", "on", "1"}
)  # what a boolean query parameter reads as yes


NEVER_PAUSED: Final = ("/healthz", "/readyz", "/metrics", "/v1/operator/")
"""Starts of the paths that answer while the operator has paused the service."""


class Authenticator(Protocol):
    """Tells who a request comes from.

    Obligation: raises Problem for anything short of certainty, and never guesses.
    """

    async def authenticate(self, request: Request) -> Principal:
        """The caller.

        Raises Problem: `unauthorized`, `dpop-proof-refused`, `agency-suspended`, `directory-stale`,
        `issuer-unreachable`.
        """
        ...


class _Scheme(SecurityBase):
    """Only describes the token to OpenAPI; the checking is done by the guard."""

    def __init__(self) -> None:
        flows = OAuthFlows(
            clientCredentials=OAuthFlowClientCredentials(
                tokenUrl="token", scopes=dict.fromkeys(sorted(SCOPES), "")
            )
        )
        self.model = OAuth2Model(
            flows=flows,
            description="RFC 9068 access token bound to a DPoP key (RFC 9449), sent as "
            "`Authorization: DPoP <token>`.",
        )
        self.scheme_name = "hubToken"

    async def __call__(self, request: Request) -> None:
        """Nothing to check here."""


SCHEME = _Scheme()


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets a request pass with `scope`.

    `person`: only people; `step_up`: authenticated at most so long ago (RFC 9470).

    `clients`: only these clients acting for themselves; `roles`: only people with one of these.
    Both are asked before the body is
    looked at, so that who may not call learns nothing of what a call needs.
    `rehearsal` names the query parameter with which nothing is done: its refusals are accounted for
    as an `operation`.
    """

    scope: str
    operation: Operation
    person: bool = False
    step_up: timedelta | None = None
    rate: str | Classify = "default"
    clients: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    rehearsal: str = ""

    async def __call__(
        self, request: Request, _scheme: Annotated[None, Security(SCHEME)]
    ) -> Granted:
        """The proof of access. Raises Problem."""
        request.state.operation = "operation" if self._rehearsed(request) else self.operation
        demand_running(request)
        authenticator = cast(Authenticator | None, request.app.state.authenticator)
        if authenticator is None:
            raise Problem("unavailable")
        principal = await authenticator.authenticate(request)
        request.state.principal = principal
        clock = cast(Clock, request.app.state.clock)
        self._check(principal, clock)
        await self._count(request, principal)
        raise_fault(request)
        check_query(request)
        granted = grant(principal, scope=self.scope, operation=self.operation, at=clock.now())
        request.state.granted = granted
        return granted

    def _rehearsed(self, request: Request) -> bool:
        return (
            bool(self.rehearsal) and request.query_params.get(self.rehearsal, "").lower() in _TRUE
        )

    async def _count(self, request: Request, principal: Principal) -> None:
        rates = cast(Rates, request.app.state.rates)
        kind = self.rate if isinstance(self.rate, str) else await self.rate(request)
        request.scope["state"][HEADERS] = await rates.demand(principal, kind)

    def _check(self, principal: Principal, clock: Clock) -> None:
        if self.scope not in principal.scopes:
            challenge = f'DPoP error="insufficient_scope", scope="{self.scope}"'
            raise Problem("insufficient-scope", headers={"WWW-Authenticate": challenge})
        person = principal.kind == "person"
        if (self.person or self.roles) and not person:
            raise Problem("forbidden")
        if self.roles and self.roles.isdisjoint(principal.roles):
            raise Problem("forbidden")
        if self.clients and (person or principal.client_id not in self.clients):
            raise Problem("forbidden")
        if self.step_up is not None:
            limit = int(self.step_up.total_seconds())
            age = (
                None
                if principal.auth_time is None
                else clock.now().timestamp() - principal.auth_time
            )
            if age is None or age > limit:
                challenge = f'DPoP error="insufficient_user_authentication", max_age="{limit}"'
                raise Problem("step-up-required", headers={"WWW-Authenticate": challenge})


@dataclass(frozen=True, slots=True)
class Open:
    """Marks a route that anybody may call, and says why that is right."""

    reason: str

    async def __call__(self, request: Request) -> None:
        """Raises the Problem of a faulty body; nothing else is asked."""
        request.state.operation = "operation"
        demand_running(request)
        raise_fault(request)
        check_query(request)


def requires(
    scope: str,
    *,
    operation: Operation,
    person: bool = False,
    step_up: timedelta | None = None,
    rate: str | Classify = "default",
    clients: Collection[str] = (),
    roles: Collection[str] = (),
    rehearsal: str = "",
) -> Any:
    """The dependency of a route: ``Annotated[Granted, guard.requires("referral.write",
    operation="collection")]``.

    `rate` is a class of `app.state.rates`, or an async function that tells it from the request (it
    may read the body).
    `rehearsal` names the boolean query parameter of a dry run.
    """
    if scope not in SCOPES:
        raise ValueError(f"{scope} is not a scope of this hub")
    return Security(
        Guard(
            scope, operation, person, step_up, rate, frozenset(clients), frozenset(roles), rehearsal
        ),
        scopes=[scope],
    )


def anyone(reason: str) -> Any:
    """The dependency of a route without authentication: ``dependencies=[guard.anyone("public log:
    reveals counts only")]``.
    """
    return Depends(Open(reason))


def demand_running(request: Request) -> None:
    """Raise Problem `paused` if the operator holds this service, before anything is asked of the
    caller.
    """
    if request.app.paused and not inner_path(request.scope).startswith(request.app.unpaused):
        raise Problem("paused", headers={"Retry-After": "5"})


def raise_fault(request: Request) -> None:
    """Raise what the edge found wrong with the body, now that the caller is known."""
    fault = request.scope.get("state", {}).get(FAULT)
    if isinstance(fault, Problem):
        raise fault
