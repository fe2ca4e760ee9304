"""The OpenAPI 3.1 document of an app and the page that shows it, all served by the app itself."""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import JSONResponse, Response

from common.problems import Problem, kinds
from common.web import guard
from common.web.idempotency import KeyDemand

_OPEN: Final = guard.anyone("the API's description is public")
# Swagger UI sets styles from script through the DOM, which CSP allows; its icons are data: images
# in the style sheet.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
    "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CACHED: Final = {"Cache-Control": "public, max-age=86400"}
_FILES: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "/docs": ("docs_page/index.html", "text/html", {"Content-Security-Policy": _POLICY}),
    "/docs/start.js": ("docs_page/start.js", "text/javascript", {}),
    "/docs/swagger-ui-bundle.js": ("swagger_ui/swagger-ui-bundle.js", "text/javascript", _CACHED),
    "/docs/swagger-ui.css": ("swagger_ui/swagger-ui.css", "text/css", _CACHED),
}
_ALSO: Final = "x-hub-problems"
_DEMANDED: Final = {"idempotency-key": '^("[A-Za-z0-9_-]{16,64}"|[A-Za-z0-9_-]{16,64})$'}


def router(app: FastAPI) -> APIRouter:
    """Serve /openapi.json and /docs. Links are relative, so both work under any prefix."""
    made = APIRouter(tags=["service"], dependencies=[_OPEN], include_in_schema=False)

    @made.get("/openapi.json")
    async def openapi_json() -> JSONResponse:
        """Serve the document."""
        return JSONResponse(app.openapi())

    def serve_file(path: str) -> None:
        name, media_type, headers = _FILES[path]

        async def docs_file() -> Response:
            return Response(_file(name).read_bytes(), media_type=media_type, headers=headers)

        made.add_api_route(path, docs_file, methods=["GET"], response_class=Response)

    for path in _FILES:
        serve_file(path)
    return made


def _file(name: str) -> Traversable:
    return resources.files("common.web").joinpath(name)


def problems(*statuses: int) -> dict[str, Any]:
    """Name problem statuses that do not follow from what a route asks for: its `openapi_extra`."""
    return {_ALSO: list(statuses)}


def openapi(app: FastAPI, issuer: str) -> dict[str, Any]:
    """Build the document: every operation says which problems it answers with."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        servers=app.servers,
        contact=app.contact,
        license_info=app.license_info,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for stock in ("HTTPValidationError", "ValidationError"):
        schemas.pop(stock, None)
    schemas.update(json.loads(_file("docs_page/schemas.json").read_bytes()))
    for scheme in components.get("securitySchemes", {}).values():
        scheme["flows"]["clientCredentials"]["tokenUrl"] = f"{issuer}/token"
    responses = components["responses"] = {"ProblemDefault": _content("Any other refusal.")}
    for path, method, route in _operations(app):
        operation = document["paths"][path][method.lower()]
        answers = operation["responses"]
        for status in _statuses(route, operation):
            if status in route.responses:
                answers[str(status)].setdefault("content", {}).update(_content("")["content"])
                continue
            responses.setdefault(f"Problem{status}", _response(status))
            answers[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        answers["default"] = {"$ref": "#/components/responses/ProblemDefault"}
        operation["security"] = operation.get("security", [])
        for parameter in operation.get("parameters", []):
            parameter.setdefault("description", _words(parameter["name"]))
            if parameter["in"] == "header" and parameter["name"].lower() in _DEMANDED:
                # FastAPI knows it as optional, because its absence has a problem of its own.
                pattern = _DEMANDED[parameter["name"].lower()]
                parameter.update(required=True, schema={"type": "string", "pattern": pattern})
    return document


def _operations(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and context.include_in_schema:
            for method in context.methods or ():
                yield str(context.path_format), method, route


def _statuses(route: APIRoute, operation: dict[str, Any]) -> list[int]:
    """List the problem statuses an operation can answer with, from what it asks for."""
    found = {405, 422, 500, 503, *operation.pop(_ALSO, ())}
    calls = list(calls_of(route.dependant))
    if any(isinstance(call, guard.Guard) for call in calls):
        found |= {401, 403, 429}
    if "requestBody" in operation:
        found |= {400, 413, 415}
    if any(isinstance(call, KeyDemand) for call in calls):
        found |= {400, 409}
    parameters = operation.get("parameters", [])
    names = {(parameter["in"], parameter["name"].lower()) for parameter in parameters}
    if ("query", "cursor") in names:
        found.add(400)
    if any(place == "path" for place, _ in names):
        found.add(404)
    return sorted(found)


def calls_of(dependant: Dependant) -> Iterator[object]:
    """Yield what a route calls before its own function: its dependencies and theirs."""
    yield dependant.call
    for child in dependant.dependencies:
        yield from calls_of(child)


def _response(status: int) -> dict[str, Any]:
    named = [kind for kind in kinds() if kind.status == status]
    made = _content("; ".join(f"`{kind.code}`: {kind.title}" for kind in named) + ".")
    example = Problem(named[0].code).body("0191d0ba-0000-7000-8000-000000000000")
    made["content"]["application/problem+json"]["example"] = example
    return made


def _content(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _words(name: str) -> str:
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return spaced.replace("_", " ").replace("-", " ").strip()
