"""Routes for code lists, instruments and rules in force, and for a sender's own refused intakes."""

from typing import Annotated, cast

from fastapi import APIRouter, Request
from pydantic import Field

from common.access import Granted
from common.views import CATEGORIES
from common.web import guard
from common.web.models import ApiModel, Timestamp
from referral import usecases
from referral.domain.wording import MEANINGS
from referral.ports import Store
from referral.usecases import Desk

router = APIRouter(prefix="/v1", tags=["lists"])
Read = Annotated[Granted, guard.requires("referral.read", operation="operation")]


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


class CodeListsOut(ApiModel):
    """Every list a referral's fields are checked against."""

    lists: dict[str, tuple[CodeOut, ...]]
    categories: tuple[CodeOut, ...]
    instruments: tuple[InstrumentOut, ...]
    rules: tuple[RulesOut, ...]


class RefusedIntakeOut(ApiModel):
    """An intake of yours that was refused and has not been followed by an accepted one."""

    at: Timestamp
    code: str


class RefusedIntakesOut(ApiModel):
    """Open alarms of your desk."""

    refused: tuple[RefusedIntakeOut, ...]


@router.get("/code-lists", summary="Code lists, instruments and rules")
async def read_code_lists(request: Request, granted: Read) -> CodeListsOut:
    """The codes, instruments and dated rules in force today. They change by date, never silently: compare `version`."""
    desk = cast(Desk, request.app.state.desk)
    today = desk.clock.now().date()
    book = desk.rules
    rules = tuple(book.for_area(area, today) for area in sorted(book.areas()))
    return CodeListsOut(
        lists={name: _codes(codes) for name, codes in MEANINGS.items()},
        categories=tuple(CodeOut(code=code, meaning=category.label) for code, category in CATEGORIES.items()),
        instruments=tuple(InstrumentOut(instrument=i.name, version=i.version, items=_codes(dict(i.items))) for i in book.instruments),
        rules=tuple(RulesOut(area=r.area, version=r.version, high_from=r.high_from) for r in rules),
    )


@router.get("/refused-intakes", summary="Your refused intakes")
async def read_refused_intakes(request: Request, granted: Read) -> RefusedIntakesOut:
    """When and why referrals of your agency were refused since the last accepted one; without what they held."""
    store = cast(Store, request.app.state.store)
    found = await store.write(lambda tx: usecases.refused_intakes(tx, granted))
    return RefusedIntakesOut(refused=tuple(RefusedIntakeOut(at=at, code=code) for at, code in found))


def _codes(codes: dict[str, str]) -> tuple[CodeOut, ...]:
    return tuple(CodeOut(code=code, meaning=meaning) for code, meaning in codes.items())
