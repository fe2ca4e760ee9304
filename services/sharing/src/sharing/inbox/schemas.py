"""Requests and answers of the inbox."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from common.models import ApiModel
from hubformats.agency_events import TakingUp
from sharing.inbox.model import InboxState


class InboxItem(ApiModel):
    """One delivery, sealed to the reading agency.

    `digest` is SHA-256 over the bytes in `envelopeBytes`; receipts name it.
    """

    delivery_id: UUID
    kind: Literal["disclosure", "correction", "withdrawal", "notice"]
    state: Literal[InboxState.DELIVERED, InboxState.SAVED, InboxState.ACKNOWLEDGED]
    digest: str
    delivered_at: datetime
    saved_at: datetime | None
    acknowledged_at: datetime | None
    answer_due: datetime | None = Field(
        description="When your answer to this correction or withdrawal is due; null if none is"
    )
    answered_at: datetime | None
    answer: str = Field(description="What your agency answered, or empty")
    duty: str = Field(description="The coded duty under which it keeps what was read, or empty")
    envelope: dict[str, Any] = Field(description="JWE General JSON, for reading")
    envelope_bytes: str = Field(description="The exact bytes of the envelope, base64url")


class InboxPage(ApiModel):
    """A page of the agency's inbox.

    Always ask on with `nextCursor`; it says nothing about what others received.
    """

    items: list[InboxItem]
    next_cursor: str


class StandingOut(ApiModel):
    """Whether a delivery still stands."""

    delivery_id: UUID
    stands: bool = Field(description="False: do not act on it; it is not served any more")
    taken_back_at: datetime | None = Field(description="Null while that is not decided yet")
    replaced: bool = Field(description="A correction takes its place")
    said_by: UUID | None = Field(
        description="The withdrawal or correction that says so; null until it has come"
    )


class ReceiptIn(ApiModel):
    """A signed receipt of the recipient's system of record."""

    receipt: str = Field(
        min_length=10, max_length=8_192, description="Compact JWS, typ hub-saved-receipt+jws"
    )


class SavedOut(ApiModel):
    """The delivery is saved."""

    delivery_id: UUID
    state: Literal[InboxState.SAVED] = InboxState.SAVED
    saved_at: datetime


class AcknowledgementIn(ApiModel):
    """Who has taken the delivery up, as a role code; never a name."""

    role: TakingUp = Field(description="Role code, such as idva; practitioner if none fits")


class AnswerIn(ApiModel):
    """What your agency did with what was corrected or taken back."""

    answer: str = Field(
        max_length=40,
        description="stopped_and_deleted or kept_under_duty; to a correction also corrected",
    )
    duty: str | None = Field(
        default=None,
        max_length=40,
        description="With kept_under_duty: the code of the duty, from the area's dated list",
    )


class AnsweredOut(ApiModel):
    """The answer as it stands."""

    delivery_id: UUID
    answer: str
    duty: str
    answered_at: datetime


class AcknowledgedOut(ApiModel):
    """The delivery is acknowledged."""

    delivery_id: UUID
    state: Literal[InboxState.ACKNOWLEDGED] = InboxState.ACKNOWLEDGED
    acknowledged_at: datetime
