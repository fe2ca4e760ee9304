"""Where disclosures stand, as the API shows them, and emergency releases."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from common.models import ApiModel
from common.texts import Reason
from sharing.disclosures.model.disclosure import Standing, State


class DisclosureOut(ApiModel):
    """Where one disclosure of your own referral stands."""

    delivery_id: UUID
    recipient: str
    clause: str
    kind: str
    state: str
    reason: str
    standing: str
    decided_at: datetime
    released_at: datetime | None
    saved_at: datetime | None
    acknowledged_at: datetime | None
    withdrawn_at: datetime | None
    answer_due: datetime | None = Field(
        description="When the recipient's answer to a correction or withdrawal is due; null if none"
    )
    answered_at: datetime | None
    answer: str = Field(description="corrected, stopped_and_deleted, kept_under_duty, or empty")
    duty: str = Field(description="The coded duty under which it is kept, or empty")


class DisclosuresOut(ApiModel):
    """Disclosures of one case, oldest first."""

    items: list[DisclosureOut]


class StuckOut(ApiModel):
    """How many disclosures wait or are blocked for one reason."""

    state: str
    reason: str
    count: int
    oldest: datetime


class SkippedOut(ApiModel):
    """How many cases an agency was told nothing of, because it was suspended when they were
    decided.

    Once it is restored they are decided on again.
    """

    recipient: str
    count: int
    oldest: datetime


class StuckPage(ApiModel):
    """What has not left, by reason; no case and no person."""

    items: list[StuckOut]
    withheld_while_suspended: list[SkippedOut]
    promises_overdue: int


class UnprovenOut(ApiModel):
    """A disclosure of your own referral without a proof.

    It waits for its receipt, or left on a promise that is due.
    """

    delivery_id: UUID
    case_reference: str
    recipient: str
    clause: str
    kind: str
    standing: Literal["waiting", Standing.PROMISED]
    decided_at: datetime
    released_at: datetime | None
    proof_due: datetime | None
    urgent: bool = Field(description="Whether your referral said that there is danger now")


class UnprovenPage(ApiModel):
    """At most a hundred: what waits first, of that what is urgent, then the newest.

    `more` says that there are others.
    """

    items: list[UnprovenOut]
    more: bool


class EmergencyIn(ApiModel):
    """Why waiting for the log is the greater danger. The text is sealed into the audit record."""

    code: Literal["imminent_danger_to_life", "imminent_serious_harm", "child_in_immediate_danger"]
    reason: Reason = Field(min_length=10, max_length=2_000)


class EmergencyOut(ApiModel):
    """Released on a promise: the proof follows."""

    delivery_id: UUID
    state: Literal[State.RELEASED] = State.RELEASED
    standing: Literal[Standing.PROMISED] = Standing.PROMISED
    proof_due: datetime
