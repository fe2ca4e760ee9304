"""The app factory: one FastAPI app per service with problems, guards, health, documents and
operator switch built in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.database import DatabaseStopped, DatabaseUnavailable
from common.problems import Problem
from common.web import correlation, documents, health, operator
from common.web.documents import calls_of
from common.web.edge import Edge, problem_response
from common.web.faults import faults
from common.web.frame import Frame
from common.web.guard import NEVER_PAUSED, Guard, Open
from common.web.provided import Provided, Provisions
from common.web.refusals import Refusals
from common.web.runtime import Runtime

ErrorPage = Callable[[Request, Problem], Awaitable[Response | None]]
Answers = Mapping[type[Exception], Callable[[Any], Problem]]
"""Domain errors and the functions that make the Problem of each."""


@dataclass(frozen=True, slots=True)
class Api:
    """What a service publishes: its routes and the words of its document.

    `tags` describes the tags of the routes. `media_types` are the request bodies taken. `headers`
    change the edge's response headers. `error_page` may answer a problem with a page, or None for
    JSON. `unpaused` are starts of paths that answer while the service is paused.
    """

    service: str
    title: str
    description: str
    routers: Sequence[APIRouter]
    tags: Mapping[str, str] = field(default_factory=dict)
    media_types: frozenset[str] = frozenset({"application/json"})
    headers: Mapping[str, str] = field(default_factory=dict)
    error_page: ErrorPage | None = None
    unpaused: tuple[str, ...] = ()


class HubApp(FastAPI):
    """A FastAPI app inside our edge.

    The edge is outermost, so even an unhandled error leaves with every header.
    """

    service: str
    runtime: Runtime
    provisions: Provisions
    background: Refusals
    edge: Edge
    unpaused: tuple[str, ...] = NEVER_PAUSED
    paused: bool = False
    ready: bool = False
    turn: operator.Turn
    frame: Frame | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an ASGI connection.

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
        """Return the OpenAPI 3.1 document, made once."""
        if not self.openapi_schema:
            self.openapi_schema = documents.openapi(self, self.runtime.settings.issuer)
        return self.openapi_schema


_PUBLISHER: dict[str, Any] = {
    "contact": {"name": "The hub's operator", "url": "https://example.org/hub"},
    "license_info": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}


def create_app(
    api: Api,
    runtime: Runtime,
    *,
    provides: Mapping[type[Any], object] | None = None,
    answers: Answers | None = None,
) -> HubApp:
    """Build a service's app.

    `provides` holds the objects that routes ask for by `provided(Type)`. `answers` says which
    Problem a domain error becomes, also for its subclasses; any other error stays a 500.

    Raises ValueError if a route has no guard, or two share an operation id.
    Raises ValueError, too, if one asks for a type that nobody provides.
    Raises TypeError for an object of another type than it stands under.
    """
    app = HubApp(
        title=api.title,
        description=api.description,
        version="0.1.0",
        servers=[{"url": runtime.settings.service_url, "description": "This installation"}],
        root_path_in_servers=False,
        openapi_tags=[
            {"name": name, "description": text}
            for name, text in {**api.tags, **operator.TAGS}.items()
        ],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=_operation_id,
        **_PUBLISHER,
    )
    app.service, app.runtime, app.provisions = api.service, runtime, Provisions(provides or {})
    app.turn = {}
    app.background = Refusals(runtime.on_refusal, runtime.clock)
    app.edge = Edge(api.service, api.media_types, api.headers)
    app.unpaused = (*NEVER_PAUSED, *api.unpaused)
    ours = (operator.router, health.router(app, runtime.readiness), documents.router(app))
    for router in (*api.routers, *ours):
        app.include_router(router)
    _register_handlers(app, api.error_page, answers or {})
    _check_routes(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)


def _check_routes(app: HubApp) -> None:
    """Deny by default: a route nobody decided about does not start."""
    seen: set[str] = set()
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute):
            if type(route.original_route).__name__ != "Mount":
                raise ValueError(f"{route.path} is not an API route, so it cannot have a guard")
            continue
        calls = list(calls_of(route.dependant))
        if not any(isinstance(call, Guard | Open) for call in calls):
            raise ValueError(f"{route.path} has no guard; use guard.action(…) or guard.anyone(…)")
        for call in calls:
            if isinstance(call, Provided) and call.kind not in app.provisions:
                name = getattr(call.kind, "__qualname__", repr(call.kind))
                raise ValueError(f"{route.path} asks for a {name}, which nobody provides")
        if route.include_in_schema:
            name = _operation_id(route.original_route)
            if name in seen:
                raise ValueError(f"two operations are called {name}")
            seen.add(name)


def _register_handlers(app: HubApp, error_page: ErrorPage | None, answers: Answers) -> None:
    if unanswerable := {Exception, BaseException} & answers.keys():
        raise ValueError(f"{unanswerable} would turn every fault of ours into a refusal")

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
        made = next((answers[kind] for kind in type(error).__mro__ if kind in answers), None)
        problem = _as_problem(app, request, error) if made is None else made(error)
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
        *answers,
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
    status = error.status_code if isinstance(error, HTTPException) else 500
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
    """List every method this path has: Starlette names only those of the first matching route."""
    found: set[str] = set()
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    for route in iter_route_contexts(app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            found |= route.methods or set()
    if "GET" in found:
        found.add("HEAD")
    return sorted(found)


async def _no_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
