"""What intake's routes take and answer beside the forms."""

from typing import Final, Literal
from uuid import UUID

from pydantic import Field

from common.models import ApiModel, Timestamp
from referral.cases.schemas import ReferralOut, RiskOut, risk_out
from referral.intake.use_cases import Intake


class WarningOut(ApiModel):
    """A place of the form that was taken in, and that somebody should look at now."""

    pointer: str = Field(description="JSON Pointer (RFC 6901) into the form")
    detail: str


_WARNINGS: Final = (
    "Where the form contradicts itself on how the victim can be reached: passed on as doubtful, "
    "do not use"
)


class SubmittedOut(ReferralOut):
    """A referral as it was taken in."""

    warnings: tuple[WarningOut, ...] = Field(default=(), description=_WARNINGS)


class DryRunOut(ApiModel):
    """What a referral would be taken in as; nothing was stored and nothing was sent."""

    dry_run: bool = True
    risk: RiskOut
    rules_version: str
    people: int
    categories: tuple[str, ...] = Field(
        description="Data categories the form would store facts under"
    )
    warnings: tuple[WarningOut, ...] = Field(default=(), description=_WARNINGS)


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


def dry_run_out(intake: Intake) -> DryRunOut:
    """Answer a dry run."""
    outline = intake.case.outline
    return DryRunOut(
        risk=risk_out(outline.risk),
        rules_version=outline.rules_version,
        people=len(outline.subjects),
        categories=tuple(sorted({fact.category for fact in intake.case.told})),
        warnings=warnings_out(intake),
    )


def warnings_out(intake: Intake) -> tuple[WarningOut, ...]:
    """Show where the form contradicts itself; never what it says there."""
    return tuple(WarningOut(pointer=one.pointer, detail=one.sentence) for one in intake.doubts)
