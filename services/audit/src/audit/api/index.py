"""For the operator: are the search rows what the entries say, and make them anew."""

from typing import Annotated

from fastapi import APIRouter, Request

from audit.api import desk
from audit.usecases import queries
from common.access import Granted
from common.models import ApiModel
from common.web import guard

router = APIRouter(prefix="/v1/search-rows", tags=["search rows"])
Manage = Annotated[Granted, guard.requires("agency.manage", operation="operation")]
_SHOWN = 100


class CheckOut(ApiModel):
    """Entries whose search rows are not what the entry says; at most a hundred are named."""

    entries: int
    different: int
    first: tuple[int, ...]


class RebuildOut(ApiModel):
    """How many entries were indexed anew."""

    entries: int


@router.post("/check", summary="Compare the search rows with the entries")
async def check_search_rows(request: Request, _granted: Manage) -> CheckOut:
    """Reads every entry, so run it at a quiet hour.

    A difference is an insider's edit or a bug: rebuild, and ask who.
    """
    wrong, size = await desk.of(request).store.read(
        lambda view: (view.index_differences(), view.log_size())
    )
    return CheckOut(entries=size, different=len(wrong), first=tuple(wrong[:_SHOWN]))


@router.post("/rebuild", summary="Make the search rows anew")
async def rebuild_search_rows(request: Request, granted: Manage) -> RebuildOut:
    """Replaces every search row in one transaction; the log takes no records while it runs.

    The log itself is never touched.
    """
    return RebuildOut(
        entries=await desk.writable(request).store.write(lambda tx: queries.rebuild(tx, granted))
    )
