"""Requests and answers of sharing's API."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from common.models import ApiModel
from hubformats.agency_events import TakingUp


class InboxItem(ApiModel):
    """One delivery, sealed to the reading agency.

    `digest` is SHA-256 over the bytes in `envelopeBytes`; receipts name it.
    """

    delivery_id: UUID
    kind: Literal["disclosure", "correction", "withdrawal", "notice"]
    state: Literal["delivered", "saved", "acknowledged"]
    digest: str
    delivered_at: datetime
    saved_at: datetime | None
    acknowledged_at: datetime | None
    envelope: dict[str, Any] = Field(description="JWE General JSON, for reading")
    envelope_bytes: str = Field(description="The exact bytes of the envelope, base64url")


class InboxPage(ApiModel):
    """A page of the agency's inbox.

    Always ask on with `nextCursor`; it says nothing about what others received.
    """

    items: list[InboxItem]
    next_cursor: str


class ReceiptIn(ApiModel):
    """A signed receipt of the recipient's system of record."""

    receipt: str = Field(
        min_length=10, max_length=8_192, description="Compact JWS, typ hub-saved-receipt+jws"
    )


class SavedOut(ApiModel):
    """The delivery is saved."""

    delivery_id: UUID
    state: Literal["saved"] = "saved"
    saved_at: datetime


class AcknowledgementIn(ApiModel):
    """Who has taken the delivery up, as a role code; never a name."""

    role: TakingUp = Field(description="Role code, such as idva; practitioner if none fits")


class AcknowledgedOut(ApiModel):
    """The delivery is acknowledged."""

    delivery_id: UUID
    state: Literal["acknowledged"] = "acknowledged"
    acknowledged_at: datetime


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


class ObligationOut(ApiModel):
    """What a recipient undertakes."""

    code: str
    text: str


class ClauseOut(ApiModel):
    """One clause, in words and in effect."""

    id: str
    title: str
    text: str
    purpose: str
    necessity: str
    gateway: str
    recipient_types: list[str]
    categories: list[str]
    essential: list[str]
    obligations: list[ObligationOut]
    lawful_basis: dict[str, dict[str, str]]


class AgreementOut(ApiModel):
    """A sharing agreement as it is in force. `rules` is the text that decides."""

    id: str
    version: str
    hash: str
    title: str
    area: str
    effective_from: str
    review_by: str
    lapsed: bool
    owner: str
    parties: list[str]
    clauses: list[ClauseOut]
    vetoes: dict[str, str]
    rules: dict[str, str]


class AgreementsOut(ApiModel):
    """All agreements this hub decides by."""

    items: list[AgreementOut]


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


class DisclosuresOut(ApiModel):
    """Disclosures of one case, oldest first."""

    items: list[DisclosureOut]


class StuckOut(ApiModel):
    """How many disclosures wait or are blocked for one reason."""

    state: str
    reason: str
    count: int
    oldest: datetime


class PassedOverOut(ApiModel):
    """How many cases an agency was told nothing of because it was suspended when they were decided;
    restored, it is decided on again.
    """

    recipient: str
    count: int
    oldest: datetime


class StuckPage(ApiModel):
    """What has not left, by reason; no case and no person."""

    items: list[StuckOut]
    withheld_while_suspended: list[PassedOverOut]
    promises_overdue: int


class DecideAgainIn(ApiModel):
    """What to decide on again, named in exactly one way: blocked deliveries, a reason of blocking,
    or a case by its referrer's reference.
    """

    delivery_ids: tuple[UUID, ...] = Field(default=(), max_length=100)
    reason: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]{1,40}$",
        description="As `stuck` shows it",
        examples=["audit-rejected"],
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


class UnprovenOut(ApiModel):
    """A disclosure of your own referral without a proof: it waits for its receipt, or left on a
    promise that is due.
    """

    delivery_id: UUID
    case_reference: str
    recipient: str
    clause: str
    kind: str
    standing: Literal["waiting", "promised"]
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
    reason: str = Field(min_length=10, max_length=2_000)


class EmergencyOut(ApiModel):
    """Released on a promise: the proof follows."""

    delivery_id: UUID
    state: Literal["released"] = "released"
    standing: Literal["promised"] = "promised"
    proof_due: datetime
