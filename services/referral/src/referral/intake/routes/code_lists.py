"""The route for code lists, instruments and rules in force."""

from typing import Annotated

from fastapi import APIRouter, Depends

from common.access import Granted
from common.web.provided import provided
from hubformats.categories import CATEGORIES
from referral.depends import ContextDep, guard
from referral.intake.model.wording import MEANINGS
from referral.intake.schemas import CodeListsOut, CodeOut, InstrumentOut, RulesOut
from referral.risk.model import AreaRules

router = APIRouter(prefix="/v1", tags=["lists"])


@router.get("/code-lists", summary="Code lists, instruments and rules")
async def read_code_lists(
    _granted: Annotated[Granted, guard.action("read_code_lists")],
    context: ContextDep,
    rules: Annotated[AreaRules, Depends(provided(AreaRules))],
) -> CodeListsOut:
    """The codes, instruments and dated rules in force today.

    They change by date, never silently: compare `version`.
    """
    today, book = context.clock.now().date(), rules.book
    dated = tuple(book.for_area(area, today) for area in sorted(book.areas()))
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
            for r in dated
        ),
    )


def _codes(codes: dict[str, str]) -> tuple[CodeOut, ...]:
    return tuple(CodeOut(code=code, meaning=meaning) for code, meaning in codes.items())
