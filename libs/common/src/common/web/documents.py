"""The OpenAPI 3.1 document of an app and the page that shows it, all served by the app itself."""

from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import JSONResponse, Response

from common.problems import kinds
from common.web import guard
from common.web.idempotency import KeyDemand

_OPEN: Final = guard.anyone("the API's description is public")
_FILES: Final = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

# Swagger UI sets styles from script through the DOM, which CSP allows; its icons are data: images
# in the style sheet.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
    "'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API documents</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js" defer></script>
<script src="docs/start.js" defer></script>
</head>
<body><div id="swagger-ui"></div><noscript>
This page needs JavaScript; <a href="openapi.json">the document itself</a> does not.</noscript>
</body>
</html>
"""
# Requests need a DPoP proof, which this page cannot make, so it can only try what is open to read.
_START: Final = (
    'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, '
    'validatorUrl: null, supportedSubmitMethods: ["get"]});\n'
)

_ALSO: Final = "x-hub-problems"
_DEMANDED: Final = {"idempotency-key": "^[A-Za-z0-9_-]{16,64}$"}

_PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "A refusal (RFC 9457). Nothing the caller sent is repeated in it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "correlationId"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What to do about it."},
        "instance": {"type": "string", "format": "uri"},
        "code": {"type": "string", "description": "The stable word for this kind of refusal."},
        "correlationId": {"type": "string", "format": "uuid"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
}
_FAULT_SCHEMA: Final[dict[str, Any]] = {
    "title": "Fault",
    "type": "object",
    "required": ["in", "pointer", "detail"],
    "properties": {
        "in": {"type": "string", "enum": ["body", "query", "path", "header"]},
        "pointer": {"type": "string", "description": "RFC 6901 pointer within that part."},
        "detail": {"type": "string"},
    },
}


def router(app: FastAPI) -> APIRouter:
    """/openapi.json and /docs with its files. Links are relative, so both work under any prefix."""
    made = APIRouter(tags=["service"], dependencies=[_OPEN], include_in_schema=False)

    @made.get("/openapi.json")
    async def openapi_json() -> JSONResponse:
        """The document."""
        return JSONResponse(app.openapi())

    @made.get("/docs")
    async def docs_page() -> Response:
        """The page."""
        return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    @made.get("/docs/start.js")
    async def docs_start() -> Response:
        """What opens the document in the page."""
        return Response(_START, media_type="text/javascript")

    def serve_file(name: str, media_type: str) -> None:
        async def docs_file() -> Response:
            content = resources.files("common.web").joinpath("swagger_ui", name).read_bytes()
            return Response(
                content, media_type=media_type, headers={"Cache-Control": "public, max-age=86400"}
            )

        made.add_api_route(f"/docs/{name}", docs_file, methods=["GET"], response_class=Response)

    for file_name, kind in _FILES.items():
        serve_file(file_name, kind)
    return made


def problems(*statuses: int) -> dict[str, Any]:
    """For a route's `openapi_extra`: problem statuses it answers with beyond those that follow from
    what it asks for.
    """
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
    schemas.update({"Problem": _PROBLEM_SCHEMA, "Fault": _FAULT_SCHEMA})
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
                parameter.update(
                    {
                        "required": True,
                        "schema": {
                            "type": "string",
                            "pattern": _DEMANDED[parameter["name"].lower()],
                        },
                    }
                )
    return document


def _operations(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and context.include_in_schema:
            for method in context.methods or ():
                yield str(context.path_format), method, route


def _statuses(route: APIRoute, operation: dict[str, Any]) -> list[int]:
    """The problem statuses an operation can answer with, from what it asks for."""
    found = {405, 422, 500, 503, *operation.pop(_ALSO, ())}
    calls = list(calls_of(route.dependant))
    if any(isinstance(call, guard.Guard) for call in calls):
        found |= {401, 403, 429}
    if "requestBody" in operation:
        found |= {400, 413, 415}
    if any(isinstance(call, KeyDemand) for call in calls):
        found |= {400, 409}
    names = {
        (parameter["in"], parameter["name"].lower())
        for parameter in operation.get("parameters", [])
    }
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
    example = named[0]
    occurrence = "0191d0ba-0000-7000-8000-000000000000"
    made["content"]["application/problem+json"]["example"] = {
        "type": example.type,
        "title": example.title,
        "status": status,
        "detail": example.advice,
        "instance": f"urn:uuid:{occurrence}",
        "code": example.code,
        "correlationId": occurrence,
    }
    return made


def _content(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _words(name: str) -> str:
    return (
        "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
        .replace("_", " ")
        .replace("-", " ")
        .strip()
    )
