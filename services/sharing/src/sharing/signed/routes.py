"""The operator's list of what compromised keys had signed that was used."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from common.access import Granted
from common.web import paging
from common.web.provided import gathered, provided
from sharing.context import Store
from sharing.depends import ContextDep, CursorsDep, guard
from sharing.signed.ports import SignedView
from sharing.signed.schemas import KeyUseOut, use_out

router = APIRouter(prefix="/v1/compromised-key-uses", tags=["releases"])

See = Annotated[Granted, guard.action("see_key_uses")]
_LIST: Final = "key-uses"
Agency = Annotated[
    str | None,
    Query(pattern=r"^[a-z0-9-]{1,64}$", description="Only of this agency's keys"),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of the list is asked for."""

    agency: Agency = None
    cursor: paging.CursorText = None
    limit: paging.Limit = 25


@router.get("", summary="List what compromised keys had signed that was used")
async def list_key_uses(
    granted: See,
    store: Annotated[Store[object, SignedView], Depends(provided(Store))],
    context: ContextDep,
    cursors: CursorsDep,
    asked: Annotated[Asked, Depends(gathered(Asked))],
) -> paging.Page[KeyUseOut]:
    """Messages that a key signed, or that came, since its compromise and before it was retired.

    Besides, what may rest on it. That is messages of before the hub kept keys, and cases of that
    agency of which a new version came. Nothing of it is undone by itself.
    """
    agency, limit = asked.agency, asked.limit
    filters = {"agency": agency}
    place = cursors.read(_LIST, asked.cursor, granted, filters=filters)
    after = (str(place[0]), UUID(str(place[1]))) if place else None
    found = await store.read(lambda view: view.signed.used(agency, after, limit + 1))
    shown, following = found[:limit], None
    if len(found) > limit:
        last = [shown[-1].key_id, str(shown[-1].reference)]
        following = cursors.make(_LIST, last, granted, filters=filters)
    return paging.Page(items=[use_out(one, context) for one in shown], next_cursor=following)
