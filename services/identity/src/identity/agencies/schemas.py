"""Shapes of agencies and their suspension."""

from typing import Annotated, Literal

from pydantic import Field

from common.models import ApiModel, Timestamp
from common.texts import Reason
from identity.agencies.model import AgencyState

SuspensionReason = Literal[
    "key-compromise",
    "data-breach",
    "left-partnership",
    "agency-request",
    "investigation",
    "exercise",
]
RestorationReason = Literal[
    "resolved", "rejoined-partnership", "exercise-ended", "suspended-in-error"
]


class AgencyOut(ApiModel):
    """An agency of the partnership."""

    id: str
    name: str
    type: str
    area: str
    custodial: bool
    """Whether the hub keeps its keys because it works through the portal."""

    suspended: bool
    suspended_at: Timestamp | None = None


class SuspensionIn(ApiModel):
    """Why an agency is stopped.

    The note is sealed into the audit record and stored nowhere else.
    """

    reason_code: SuspensionReason
    note: Annotated[Reason, Field(max_length=2000)] = ""


def shown(agency: AgencyState) -> AgencyOut:
    """Give an agency its shape."""
    return AgencyOut(
        id=agency.id,
        name=agency.name,
        type=agency.type,
        area=agency.area,
        custodial=agency.custodial,
        suspended=agency.suspended_at is not None,
        suspended_at=agency.suspended_at,
    )
