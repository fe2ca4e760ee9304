"""What an agency was told of its envelopes that were set aside; the other door is its topic."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends

from common.access import Granted
from common.web import paging
from common.web.provided import provided
from sharing.context import Store
from sharing.depends import CursorsDep, guard
from sharing.notices.ports import NoticeView
from sharing.notices.schemas import NoticesOut, notice_out

router = APIRouter(prefix="/v1/notices", tags=["inbox"])

Read = Annotated[Granted, guard.action("read_notices")]
_LIST: Final = "notices"


@router.get("", summary="List what you are told of what you signed")
async def list_notices(
    granted: Read,
    store: Annotated[Store[object, NoticeView], Depends(provided(Store))],
    cursors: CursorsDep,
    cursor: paging.CursorText = None,
    limit: paging.Limit = 25,
) -> NoticesOut:
    """Events that your agency sent on its topic, that are authentic, and that took no effect.

    Each says why and what to do. The same comes, sealed, on your topic. One with `used` tells what
    a compromised key of yours had signed that was used before you retired it.
    """
    place = cursors.read(_LIST, cursor, granted)
    after = UUID(str(place[0])) if place else None
    found = await store.read(lambda view: view.notices.told(granted, after, limit + 1))
    shown = found[:limit]
    following = cursors.make(_LIST, [str(shown[-1].id)], granted) if len(found) > limit else None
    return NoticesOut(items=[notice_out(one) for one in shown], next_cursor=following)
