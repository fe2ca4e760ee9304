"""The route by which a sender finds what it sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from common.access import Granted
from common.models import Timestamp
from common.texts import DangerLine
from common.web import paging
from common.web.provided import gathered, provided
from referral.depends import ContextDep, TrailDep, guard, refuse_on_backlog
from referral.sent import use_cases
from referral.sent.model import Place, Wanted
from referral.sent.ports import SentStore
from referral.sent.schemas import SentReferralOut, sent_out

router = APIRouter(prefix="/v1/referrals", tags=["referrals"])
_LIST: Final = "sent-referrals"
Reference = Annotated[
    str | None,
    Query(
        alias="externalReference",
        min_length=1,
        max_length=300,
        description="Only those sent under this reference of yours, urgent ones too",
    ),
    DangerLine,
]
Since = Annotated[
    Timestamp | None,
    Query(
        alias="changedSince",
        description="Only those changed at this time or later, such as 2026-01-31T21:40:00Z; ask "
        "from two minutes before the newest changedAt you have seen",
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller asks for."""

    external_reference: Reference = None
    changed_since: Since = None
    cursor: paging.CursorText = None
    limit: paging.Limit = paging.MAX_LIMIT

    @property
    def filters(self) -> dict[str, str | None]:
        """What a cursor is bound to beside the caller."""
        since = None if self.changed_since is None else self.changed_since.isoformat()
        return {"externalReference": self.external_reference, "changedSince": since}


@dataclass(frozen=True, slots=True)
class SentParts:
    """What the list needs beside the request."""

    context: ContextDep
    store: Annotated[SentStore, Depends(provided(SentStore))]
    cursors: Annotated[paging.Cursors, Depends(provided(paging.Cursors))]


@router.get("", summary="List the referrals you sent")
async def list_sent_referrals(
    granted: Annotated[Granted, guard.action("list_sent_referrals")],
    trail: TrailDep,
    asked: Annotated[Asked, Depends(gathered(Asked))],
    parts: Annotated[SentParts, Depends(gathered(SentParts))],
) -> paging.Page[SentReferralOut]:
    """Your agency's own referrals, page by page, the oldest change first.

    With `externalReference` you find what you sent when you lost both answer and key. To keep up,
    ask with `changedSince` two minutes before the newest `changedAt` you have seen. A change may
    become visible a little after its time, so you see some again and miss none. `changedAt` moves
    when a referral is taken in or completed or gets a veto. It does not move with outcomes
    (released, saved). For these, and its risk, read `GET /v1/referrals/{referral_id}`. One listing
    is one entry in the audit log.
    """
    refuse_on_backlog(trail)
    after = _place(parts.cursors.read(_LIST, asked.cursor, granted, filters=asked.filters))
    wanted = Wanted(asked.limit, after, asked.changed_since, asked.external_reference)
    page = await parts.store.write(lambda tx: use_cases.list_sent(tx, granted, wanted))
    following = None
    if page.more:
        last = page.items[-1]
        place = [last.changed_at.isoformat(), str(last.referral_id)]
        following = parts.cursors.make(_LIST, place, granted, filters=asked.filters)
    agency = granted.principal.agency
    shown = [sent_out(item, agency, parts.context) for item in page.items]
    return paging.Page(items=shown, next_cursor=following)


def _place(place: list[str | int] | None) -> Place | None:
    return None if place is None else (datetime.fromisoformat(str(place[0])), UUID(str(place[1])))
