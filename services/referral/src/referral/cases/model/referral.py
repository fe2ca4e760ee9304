"""A referral as it was sent."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from referral.cases.model.authority import AuthorisedCase


class FormKind(StrEnum):
    """Which form a referral came on."""

    FULL = "full"
    URGENT = "urgent"


class ReferralState(StrEnum):
    """What the desk did with a referral; triage brings more."""

    SUBMITTED = "submitted"


@dataclass(frozen=True, slots=True)
class Referral:
    """A referral as its own agency may see it again. Times are UTC."""

    referral_id: UUID
    case_id: UUID
    agency: str
    form: FormKind
    kind: str
    area: str
    source: str
    state: ReferralState
    external_reference: str | None
    claims_reference: bool
    """Whether no other may come under its external reference: a full form that stands alone, which
    may be a repeat.

    Danger is never refused for its reference: the next urgent form of an incident is new danger,
    and the full form that completes one comes under the incident's own number.
    """
    received_at: datetime
    rules_version: str


@dataclass(frozen=True, slots=True)
class OwnReferral:
    """A referral found by the agency that sent it, with the proof that it did."""

    referral: Referral
    case: AuthorisedCase
