"""The app factory: one FastAPI app per service with problems, guards, health, documents and
operator switch built in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.database import DatabaseStopped, DatabaseUnavailable
from common.problems import Problem
from common.settings import Settings
from common.web import correlation, documents, health, operator
from common.web.edge import Edge, problem_response
from common.web.faults import faults
from common.web.guard import NEVER_PAUSED, Authenticator, Guard, Open
from common.web.rates import Rates
from common.web.refusals import OnRefusal, Refusals
from hubformats.clock import Clock, SystemClock

Check = Callable[[], bool | Awaitable[bool]]
ErrorPage = Callable[[Request, Problem], Awaitable[Response | None]]


class Switch(Protocol):
    """What the operator endpoints turn: a `Service`."""

    async def pause(self) -> None:
        """Hold the service's work."""
        ...

    async def resume(self) -> None:
        """Go on."""
        ...


class HubApp(FastAPI):
    """A FastAPI app inside our edge.

    The edge is outermost, so even an unhandled error leaves with every header.
    """

    paused: bool = False
    unpaused: tuple[str, ...] = NEVER_PAUSED
    ready: bool = False
    background: Refusals
    edge: Edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry.

        Lifespan messages do nothing: `Service.start` and `stop` say when parts run, also under a
        mount.
        """
        if scope["type"] == "http":
            await self.edge.run(super().__call__, scope, receive, send)
        elif scope["type"] == "lifespan":
            await _no_lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document, made once."""
        if not self.openapi_schema:
            self.openapi_schema = documents.openapi(self)
        return self.openapi_schema


_PUBLISHER: dict[str, Any] = {
    "contact": {"name": "The hub's operator", "url": "https://example.org/hub"},
    "license_info": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}


def create_app(
    service: str,
    settings: Settings,
    *,
    title: str,
    description: str,
    routers: Sequence[APIRouter],
    authenticator: Authenticator | None,
    readiness: Mapping[str, Check] | None = None,
    on_refusal: OnRefusal | None = None,
    tags: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    media_types: frozenset[str] = frozenset({"application/json"}),
    headers: Mapping[str, str] | None = None,
    error_page: ErrorPage | None = None,
    rates: Rates | None = None,
    unpaused: tuple[str, ...] = (),
    state: Mapping[str, object] | None = None,
) -> HubApp:
    """Build a service's app.

    Raises ValueError if a route has no guard or two share an operation id.

    `state` is put on `app.state`. `readiness` names checks for /readyz. `headers` change the edge's
    response headers (portal: its
    CSP). `error_page` may answer a problem with a page, or None for JSON. `unpaused`: starts of
    paths that answer while paused.
    """
    clock = clock or SystemClock()
    app = HubApp(
        title=title,
        description=description,
        version="0.1.0",
        servers=[{"url": settings.service_url, "description": "This installation"}],
        root_path_in_servers=False,
        openapi_tags=[
            {"name": name, "description": text}
            for name, text in {**(tags or {}), **operator.TAGS}.items()
        ],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=_operation_id,
        **_PUBLISHER,
    )
    app.background = Refusals(on_refusal, clock)
    app.edge, app.unpaused = Edge(service, media_types, headers or {}), (*NEVER_PAUSED, *unpaused)
    known = {
        "service": service,
        "settings": settings,
        "authenticator": authenticator,
        "clock": clock,
        "switch": None,
    }
    app.state._state.update({**known, "rates": rates or Rates(), **(state or {})})
    for router in (
        *routers,
        operator.router,
        health.router(app, readiness or {}),
        documents.router(app),
    ):
        app.include_router(router)
    _register_handlers(app, error_page)
    _demand_guards(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)


def _demand_guards(app: FastAPI) -> None:
    """Deny by default: a route nobody decided about does not start."""
    seen: set[str] = set()
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute):
            if type(route.original_route).__name__ != "Mount":
                raise ValueError(f"{route.path} is not an API route, so it cannot have a guard")
            continue
        if not _has_guard(route.dependant):
            raise ValueError(f"{route.path} has no guard; use guard.requires(…) or guard.anyone(…)")
        if route.include_in_schema:
            name = _operation_id(route.original_route)
            if name in seen:
                raise ValueError(f"two operations are called {name}")
            seen.add(name)


def _has_guard(dependant: Dependant) -> bool:
    return isinstance(dependant.call, Guard | Open) or any(
        _has_guard(child) for child in dependant.dependencies
    )


def _register_handlers(app: HubApp, error_page: ErrorPage | None) -> None:
    async def answer(request: Request, problem: Problem) -> Response:
        page = await error_page(request, problem) if error_page is not None else None
        if page is not None:
            return page
        status, pairs, body = problem_response(
            problem, correlation.current() or correlation.accept(None)
        )
        response = Response(body, status)
        response.raw_headers = pairs
        return response

    async def refused(request: Request, error: Exception) -> Response:
        problem = _as_problem(app, request, error)
        if 400 <= problem.status < 500:
            await app.background.report(request, problem)
        return await answer(request, problem)

    async def failed(request: Request, _error: Exception) -> Response:
        return await answer(request, Problem("internal-error"))

    for kind in (
        Problem,
        RequestValidationError,
        HTTPException,
        DatabaseUnavailable,
        DatabaseStopped,
    ):
        app.add_exception_handler(kind, refused)
    app.add_exception_handler(Exception, failed)


def _as_problem(app: HubApp, request: Request, error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return Problem("validation-failed", errors=faults(error.errors(), error.body))
    if isinstance(error, DatabaseUnavailable | DatabaseStopped):
        return Problem("unavailable", headers={"Retry-After": "5"})
    status = cast(HTTPException, error).status_code
    if status == 405:
        return Problem("method-not-allowed", headers={"Allow": ", ".join(_allowed(app, request))})
    codes = {
        400: "malformed-request",
        401: "unauthorized",
        403: "forbidden",
        404: "not-found",
        406: "not-acceptable",
        413: "body-too-large",
    }
    return Problem(codes.get(status, "internal-error" if status >= 500 else "malformed-request"))


def _allowed(app: HubApp, request: Request) -> list[str]:
    """Every method this path has: Starlette names only those of the first route that matches."""
    found: set[str] = set()
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    for route in iter_route_contexts(app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            found |= route.methods or set()
    return sorted(found)


async def _no_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
