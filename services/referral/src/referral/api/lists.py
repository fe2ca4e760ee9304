"""Routes for code lists, instruments and rules in force, and for a sender's own refused intakes."""

from datetime import datetime
from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from common.access import Granted
from common.models import ApiModel, Timestamp
from common.web import documents, guard, paging
from hubformats.categories import CATEGORIES
from referral import usecases
from referral.domain.wording import MEANINGS
from referral.ports import RefusedPlace, Store
from referral.usecases import Desk

router = APIRouter(prefix="/v1", tags=["lists"])
Read = Annotated[Granted, guard.requires("referral.read", operation="operation")]
Write = Annotated[Granted, guard.requires("referral.write", operation="alteration")]

_REFUSED = "refused-intakes"


class CodeOut(ApiModel):
    """One value of a code list."""

    code: str
    meaning: str


class InstrumentOut(ApiModel):
    """A risk instrument: concepts to answer, with our own plain subjects."""

    instrument: str
    version: str
    items: tuple[CodeOut, ...]


class RulesOut(ApiModel):
    """Rules of an area in force today."""

    area: str
    version: str
    high_from: int = Field(description="Items answered yes from which the level is high")
    area_codes: tuple[str, ...] = Field(
        description="What an address's areaCode may say to count as an area and not as part of "
        "the address"
    )


class CodeListsOut(ApiModel):
    """Every list a referral's fields are checked against."""

    lists: dict[str, tuple[CodeOut, ...]]
    categories: tuple[CodeOut, ...]
    instruments: tuple[InstrumentOut, ...]
    rules: tuple[RulesOut, ...]


class RefusedIntakeOut(ApiModel):
    """An intake of yours that was refused, when first, and the code of the newest refusal."""

    id: UUID
    at: Timestamp
    code: str


class AcknowledgementIn(ApiModel):
    """What became of a refused intake: sent as another referral, told by other means (telephone,
    another system), or not needed.
    """

    reason: Literal["sent-again", "told-otherwise", "not-needed"]


class RefusedIntakesOut(ApiModel):
    """Open alarms of your desk.

    `total` counts all that stand now, on whatever page; `next_cursor` is absent on the last page.
    """

    refused: tuple[RefusedIntakeOut, ...]
    total: int
    next_cursor: str | None = None


@router.get("/code-lists", summary="Code lists, instruments and rules")
async def read_code_lists(request: Request, granted: Read) -> CodeListsOut:
    """The codes, instruments and dated rules in force today.

    They change by date, never silently: compare `version`.
    """
    desk = cast(Desk, request.app.state.desk)
    today = desk.clock.now().date()
    book = desk.rules
    rules = tuple(book.for_area(area, today) for area in sorted(book.areas()))
    return CodeListsOut(
        lists={name: _codes(codes) for name, codes in MEANINGS.items()},
        categories=tuple(
            CodeOut(code=code, meaning=category.label) for code, category in CATEGORIES.items()
        ),
        instruments=tuple(
            InstrumentOut(instrument=i.name, version=i.version, items=_codes(dict(i.items)))
            for i in book.instruments
        ),
        rules=tuple(
            RulesOut(area=r.area, version=r.version, high_from=r.high_from, area_codes=r.area_codes)
            for r in rules
        ),
    )


@router.get("/refused-intakes", summary="Your refused intakes")
async def read_refused_intakes(
    request: Request,
    granted: Read,
    cursor: paging.CursorText = None,
    limit: paging.Limit = paging.MAX_LIMIT,
) -> RefusedIntakesOut:
    """Referrals of your agency that were refused and stand so, oldest first, page by page; without
    what they held.

    Each stands until a referral with the same `externalReference` or Idempotency-Key is accepted,
    or your desk acknowledges it; none falls off the list, however many there are.
    """
    store, cursors = (
        cast(Store, request.app.state.store),
        cast(paging.Cursors, request.app.state.cursors),
    )
    after = _place(cursors.read(_REFUSED, cursor, granted))
    found = await store.write(lambda tx: usecases.refused_intakes(tx, granted, after, limit))
    last = found.items[-1] if found.more else None
    following = (
        None
        if last is None
        else cursors.make(_REFUSED, [last.at.isoformat(), str(last.id)], granted)
    )
    items = tuple(RefusedIntakeOut(id=one.id, at=one.at, code=one.code) for one in found.items)
    return RefusedIntakesOut(refused=items, total=found.total, next_cursor=following)


@router.post(
    "/refused-intakes/{refused_id}/acknowledgement",
    summary="Acknowledge a refused intake",
    openapi_extra=documents.problems(404),
)
async def acknowledge_refused_intake(
    request: Request, refused_id: UUID, body: AcknowledgementIn, granted: Write
) -> RefusedIntakeOut:
    """End the alarm of a refused intake that no accepted referral will correct, saying what became
    of it. It is in the audit log.
    """
    store = cast(Store, request.app.state.store)
    ended = await store.write(
        lambda tx: usecases.acknowledge_refused_intake(tx, granted, refused_id, reason=body.reason)
    )
    return RefusedIntakeOut(id=ended.id, at=ended.at, code=ended.code)


def _place(place: list[str | int] | None) -> RefusedPlace | None:
    return None if place is None else (datetime.fromisoformat(str(place[0])), UUID(str(place[1])))


def _codes(codes: dict[str, str]) -> tuple[CodeOut, ...]:
    return tuple(CodeOut(code=code, meaning=meaning) for code, meaning in codes.items())
