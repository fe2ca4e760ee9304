"""Published by referral on ``hub.case.v1``: the whole facts of a case, so that deciding needs no
call back."""

from datetime import date, datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from hubformats.event import Event, Part

SubjectRole = Literal["victim", "perpetrator", "child", "household_member", "reporter"]
Cause = Literal[
    "referral_submitted",
    "urgent_referral",
    "referral_completed",
    "marking_changed",
    "agreement_changed",
    "facts_changed",
]


class Fact(Part):
    """One field of one form, under exactly one data category of `hubformats.categories`."""

    path: str
    """Where it stood in the form, such as ``people.0.name``; stable within a snapshot, never shown.
    """
    category: str
    subject: UUID | None = None
    label: str
    """Plain-English name of the field for a practitioner."""
    value: Any
    """A JSON value; shown as it is, never interpreted."""
    quality: Literal["fact", "professional_opinion", "third_party_report", "self_report"] = "fact"


class CaseSubject(Part):
    """A person on the case. The role lives on this link, not on the person."""

    subject_id: UUID
    role: SubjectRole
    address_shielded: bool = False
    under_18: bool = False


class RiskSummary(Part):
    """Score, what is not known, and the level with its rule, by a dated instrument and rule set."""

    instrument: str
    instrument_version: str
    score: int | None = None
    dont_know: int = 0
    level: Literal["standard", "medium", "high", "not_assessed"]
    rule: str
    critical: tuple[str, ...] = ()


class Marking(Part):
    """A veto; ``*`` means all. A shield's `category` may be the path of the address it covers."""

    marking_id: UUID
    kind: Literal[
        "must_not_disclose",
        "location_shield",
        "conflict",
        "employee_subject",
        "informant",
        "legal_hold",
    ]
    agency: str = "*"
    category: str = "*"
    subject: UUID | None = None


class Consent(Part):
    """Three separate facts, none of which implies another."""

    aware: Literal["yes", "no", "not_safe_to_tell", "unknown"]
    agrees_to_support: Literal["yes", "no", "not_asked", "unknown"]
    lawful_basis: str
    condition: str = "none"
    gateway: str = ""


class CaseSnapshot(Event):
    """Every categorised fact of a case at one version; sealed to sharing alone."""

    TYPE: ClassVar[str] = "hub.case-snapshot"
    VERSION: ClassVar[int] = 1

    case_id: UUID
    version: int
    cause: Cause
    provisional: bool = False
    """True for an urgent referral that has not been completed."""
    urgent: bool = False
    referral_id: UUID
    referrer_agency: str
    source: str = ""
    """How the referral came to be; who reports for a third party hears only that it arrived."""
    area: str
    kind: str
    occurred_at: datetime
    received_at: datetime
    rules_version: str
    safe_contact_days: int = 0
    """For how many days after it was verified these rules count safe contact as safe; 0 vouches for
    none.
    """
    effective_on: date
    subjects: tuple[CaseSubject, ...]
    risk: RiskSummary
    consent: Consent
    markings: tuple[Marking, ...] = ()
    facts: tuple[Fact, ...]


class SecondLookDue(Event):
    """People did what somebody else must look at again."""

    TYPE: ClassVar[str] = "hub.second-look-due"
    VERSION: ClassVar[int] = 1

    look_id: UUID
    case_id: UUID
    act: str
    reason_code: str
    actors: tuple[tuple[str, ...], ...]
    """Issuer with subject, agency and role of each, as the audit log names them."""
    at: datetime


class SubjectErased(Event):
    """A subject's keys were destroyed at the owner; every other keeper must now destroy theirs."""

    TYPE: ClassVar[str] = "hub.subject-erased"
    VERSION: ClassVar[int] = 1

    subject_id: UUID
    case_ids: tuple[UUID, ...]
    erased_at: datetime
