"""The OpenAPI 3.1 document of an app and the page that shows it, all served by the app itself."""

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse

from common.web import guard

if TYPE_CHECKING:
    from fastapi import FastAPI

_OPEN = guard.anyone("the API's description is public")
_PROBLEM: Final[dict[str, Any]] = {"$ref": "#/components/schemas/Problem"}


def router(app: "FastAPI") -> APIRouter:
    """/openapi.json and /docs."""
    made = APIRouter(tags=["service"], dependencies=[_OPEN])

    @made.get("/openapi.json", include_in_schema=False)
    async def openapi_json() -> JSONResponse:
        """The document."""
        return JSONResponse(app.openapi())

    return made


def openapi(app: "FastAPI") -> dict[str, Any]:
    """Build the document: every operation says which problems it answers with."""
    return get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags, servers=app.servers
    )
