"""Did every producer log everything?"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends

from audit.completeness.ports import BoardStore
from audit.completeness.schemas import CompletenessOut, GapOut, ProducerOut
from audit.depends import guard
from audit.log.routes import LogDep
from audit.questions.model import Entitlements, micros_of
from common.access import Granted
from common.web.provided import provided

router = APIRouter(prefix="/v1", tags=["questions"])
StoreDep = Annotated[BoardStore, Depends(provided(BoardStore))]
EntitlementsDep = Annotated[Entitlements, Depends(provided(Entitlements))]


@router.get("/completeness", summary="Did every producer log everything?")
async def read_completeness(
    granted: Annotated[Granted, guard.action("read_completeness")],
    store: StoreDep,
    log: LogDep,
    entitlements: EntitlementsDep,
) -> CompletenessOut:
    """The producers' sequences with their gaps, and how far the log is signed.

    Holds no entry, so it needs no question.
    """
    entitlements.sight(granted)
    board, now = await store.board(), micros_of(granted)
    return CompletenessOut(
        verdict=board.verdict(log.halted),
        log_size=board.log_size,
        signed_size=log.signed_size,
        published_size=log.published_size,
        halted=log.halted or "",
        producers=tuple(
            ProducerOut(
                service=one.service,
                src=one.src,
                epoch=one.epoch,
                highest_seq=one.highest,
                last_heard=datetime.fromtimestamp(one.heard / 1_000_000, UTC),
                silent=one.silent(now),
                gaps=tuple(GapOut(first=first, last=last) for first, last in one.gaps),
            )
            for one in board.producers
        ),
    )
