"""Requests and answers of previews, and of deciding again."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from common.models import ApiModel
from sharing.disclosures.model.disclosure import Hold


class PreviewIn(ApiModel):
    """Which case to look at, by the reference your agency knows it by."""

    case_reference: str = Field(min_length=6, max_length=40)


class AgreementRef(ApiModel):
    """Which agreement decided, and the hash that every disclosure names."""

    id: str
    version: str
    hash: str


class WithheldOut(ApiModel):
    """A category that this recipient would not get, and why."""

    category: str
    label: str
    reason: str
    text: str


class PreviewedOut(ApiModel):
    """What one agency would get. `content` is exactly what the sealed package would hold."""

    agency: str
    outcome: Literal["permit", "withhold"]
    withheld: list[WithheldOut]
    reason: str = ""
    text: str = ""
    content: dict[str, Any] | None = None


class PreviewOut(ApiModel):
    """Who would get what and why, at the current facts. Nothing was disclosed."""

    case_reference: str
    as_of: datetime
    agreement: AgreementRef
    recipients: list[PreviewedOut]


class DecideAgainIn(ApiModel):
    """What to decide on again, named in exactly one way.

    It is blocked deliveries, a reason of blocking, or a case by its referrer's reference.
    """

    delivery_ids: tuple[UUID, ...] = Field(default=(), max_length=100)
    reason: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]{1,40}$",
        description="As `stuck` shows it",
        examples=[Hold.AUDIT_REJECTED.value],
    )
    agency: str | None = Field(
        default=None, pattern=r"^[a-z0-9-]{1,64}$", description="The agency that referred"
    )
    case_reference: str | None = Field(
        default=None, min_length=6, max_length=40, description="As that agency knows the case"
    )


class DecidedAgainOut(ApiModel):
    """Counts alone: no case and no person."""

    cases: int = Field(description="Cases decided on again, each as a new decision")
    prepared: int = Field(
        description="Deliveries prepared anew; each waits for its receipt and the last look as "
        "any other"
    )
    unchanged: int = Field(
        description="Cases on which nothing is left to decide: moved on, erased, or no clause "
        "serves the recipient"
    )
    failed: int = Field(description="Cases that could not be decided on; the hub's log says why")
    more: bool = Field(description="Whether others with this reason are still blocked: call again")
