"""Static files under a versioned path: cached for ever, because a new version has a new path."""

from typing import Annotated, Final

from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.responses import Response

from common.problems import Problem
from portal.shell.routes.layout import STATIC, PagesDep
from portal.shell.routes.session import ANYONE

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FILES: Final = {
    path.name: path
    for folder in ("vendor", "own")
    for path in (STATIC / folder).iterdir()
    if path.suffix in _TYPES
}
_Name = Annotated[str, PathParameter(pattern=r"^[a-z-]+\.[a-z]+$", max_length=40)]


@router.get("/assets/{version}/{name}")
async def read_asset(pages: PagesDep, version: str, name: _Name) -> Response:
    """Serve one of a closed list of files. No path is ever built from what was asked."""
    found = _FILES.get(name)
    if found is None or version != pages.assets_version:
        raise Problem("not-found")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.read_bytes(), media_type=_TYPES[found.suffix], headers=headers)
