"""Route guards: each route states who may call it; a guard gives a `Granted` or a Problem."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security.base import SecurityBase

from common.access import SCOPES, Granted, Operation, Permission, Principal, grant
from common.problems import Problem
from common.web.edge import FAULT, inner_path
from common.web.queries import check_query
from common.web.rates import HEADERS, Classify
from common.web.runtime import Runtime

_TRUE: Final = frozenset({"true", "t", "yes", "y", "on", "1"})
"""What a boolean query parameter reads as yes."""
NEVER_PAUSED: Final = ("/healthz", "/readyz", "/metrics", "/v1/operator/")
"""Starts of the paths that answer while the operator has paused the service."""


class _Scheme(SecurityBase):
    """Only describes the token to OpenAPI; the checking is done by the guard."""

    def __init__(self) -> None:
        scopes = dict.fromkeys(sorted(SCOPES), "")
        flow = OAuthFlowClientCredentials(tokenUrl="token", scopes=scopes)
        text = "RFC 9068 access token bound to a DPoP key (RFC 9449), sent as "
        text += "`Authorization: DPoP <token>`."
        self.model = OAuth2Model(flows=OAuthFlows(clientCredentials=flow), description=text)
        self.scheme_name = "hubToken"

    async def __call__(self, request: Request) -> None:
        """Check nothing."""


SCHEME = _Scheme()


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets a request pass that has the permission of `action`.

    All of it is asked before the body is looked at. So who may not call learns nothing of what a
    call needs. `rehearsal` names the query parameter with which nothing is done: its refusals are
    accounted for as an `operation`.
    """

    action: str
    permission: Permission
    rate: str | Classify = "default"
    rehearsal: str = ""

    @property
    def scope(self) -> str:
        """The scope that the permission asks for."""
        return self.permission.scope

    @property
    def operation(self) -> Operation:
        """What the action does to personal data."""
        return self.permission.operation

    async def __call__(
        self, request: Request, _scheme: Annotated[None, Security(SCHEME)]
    ) -> Granted:
        """Return the proof of access. Raises Problem."""
        runtime: Runtime = request.app.runtime
        request.state.operation = "operation" if self._rehearsed(request) else self.operation
        demand_running(request)
        if runtime.authenticator is None:
            raise Problem("unavailable")
        principal = await runtime.authenticator.authenticate(request)
        request.state.principal = principal
        granted = permit(self.action, self.permission, principal, at=runtime.clock.now())
        kind = self.rate if isinstance(self.rate, str) else await self.rate(request)
        request.scope["state"][HEADERS] = await runtime.rates.demand(principal, kind)
        raise_fault(request)
        check_query(request)
        request.state.granted = granted
        return granted

    def _rehearsed(self, request: Request) -> bool:
        asked = request.query_params.get(self.rehearsal, "") if self.rehearsal else ""
        return asked.lower() in _TRUE


class Guards:
    """Makes the guards of a service from its table of actions; nothing else reads the table."""

    def __init__(self, actions: Mapping[str, Permission]) -> None:
        """Take the table. Raises ValueError for a scope that this hub does not have."""
        for permission in actions.values():
            if permission.scope not in SCOPES:
                raise ValueError(f"{permission.scope} is not a scope of this hub")
        self._actions = dict(actions)

    def action(self, name: str, *, rate: str | Classify = "default", rehearsal: str = "") -> Any:
        """Make the dependency of a route: ``Annotated[Granted, guard.action("read_inbox")]``.

        `rate` is a class of `Runtime.rates`, or an async function that tells it. It gets the
        request and may read the body. `rehearsal` names the boolean query parameter of a dry run.

        Raises ValueError for an action that is not in the table.
        """
        permission = self._permission(name)
        return Security(Guard(name, permission, rate, rehearsal), scopes=[permission.scope])

    def permit(self, name: str, principal: Principal, *, at: datetime) -> Granted:
        """Return the proof for a caller whom something else than a token made known: a session.

        Raises Problem as a guard does, ValueError for an action that is not in the table.
        """
        return permit(name, self._permission(name), principal, at=at)

    def demand_role(self, name: str, principal: Principal) -> None:
        """Refuse a caller whom no newer sign-in would give this action, for want of the role.

        Raises Problem(forbidden), ValueError for an action that is not in the table.
        """
        roles = self._permission(name).roles
        if roles and roles.isdisjoint(principal.roles):
            raise Problem("forbidden")

    def sign_in_for(self, name: str) -> dict[str, str]:
        """Say what the sign-in for an action must bring. Raises ValueError for no such action."""
        permission = self._permission(name)
        return {"scope": permission.scope, **_authentication(permission)}

    def _permission(self, name: str) -> Permission:
        if name not in self._actions:
            raise ValueError(f"{name} is not an action of this service")
        return self._actions[name]


def permit(action: str, asks: Permission, principal: Principal, *, at: datetime) -> Granted:
    """Return the proof that `principal` may do this now.

    Raises Problem: `insufficient-scope`, `forbidden`, `step-up-required`.
    """
    if asks.scope not in principal.scopes:
        challenge = f'DPoP error="insufficient_scope", scope="{asks.scope}"'
        raise Problem("insufficient-scope", headers={"WWW-Authenticate": challenge})
    person = principal.kind == "person"
    for_people = asks.person or asks.roles or asks.acr
    if (
        (for_people and not person)
        or (asks.roles and asks.roles.isdisjoint(principal.roles))
        or (asks.clients and (person or principal.client_id not in asks.clients))
    ):
        raise Problem("forbidden")
    signed_in, wanted = principal.auth_time, _authentication(asks)
    old = signed_in is None or at.timestamp() - signed_in > int(wanted.get("max_age", "0"))
    if (asks.acr and principal.acr not in asks.acr) or (asks.step_up is not None and old):
        named = "".join(f', {name}="{value}"' for name, value in wanted.items())
        challenge = f'DPoP error="insufficient_user_authentication"{named}'
        raise Problem("step-up-required", headers={"WWW-Authenticate": challenge})
    return grant(principal, scope=asks.scope, operation=asks.operation, at=at, action=action)


def _authentication(asks: Permission) -> dict[str, str]:
    """Name what an action asks of the sign-in itself (RFC 9470 section 3)."""
    acr = {"acr_values": " ".join(sorted(asks.acr))} if asks.acr else {}
    age = asks.step_up
    return acr if age is None else {**acr, "max_age": str(int(age.total_seconds()))}


@dataclass(frozen=True, slots=True)
class Open:
    """Marks a route that anybody may call, and says why that is right."""

    reason: str
    any_query: bool = False

    async def __call__(self, request: Request) -> None:
        """Refuse a faulty body with its Problem; ask nothing else."""
        request.state.operation = "operation"
        demand_running(request)
        raise_fault(request)
        if not self.any_query:
            check_query(request)


def anyone(reason: str, *, any_query: bool = False) -> Any:
    """Make the dependency of an open route: ``dependencies=[anyone("public log")]``.

    With `any_query` undeclared query parameters are ignored (RFC 6749 section 3.1).
    """
    return Depends(Open(reason, any_query))


def demand_running(request: Request) -> None:
    """Raise Problem `paused` if the operator holds this service."""
    if request.app.paused and not inner_path(request.scope).startswith(request.app.unpaused):
        raise Problem("paused", headers={"Retry-After": "5"})


def raise_fault(request: Request) -> None:
    """Raise what the edge found wrong with the body, now that the caller is known."""
    fault = request.scope.get("state", {}).get(FAULT)
    if isinstance(fault, Problem):
        raise fault
