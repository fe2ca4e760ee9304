"""Invented case snapshots for tests of deciding and showing. Nobody in them is real."""

from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from common.events.case import CaseSnapshot, CaseSubject, Consent, Fact, Marking, RiskSummary

CASE = UUID("01932000-0000-7000-8000-000000000001")
REFERRAL = UUID("01932000-0000-7000-8000-000000000002")
VICTIM = UUID("01932000-0000-7000-8000-00000000000a")
SUSPECT = UUID("01932000-0000-7000-8000-00000000000b")
ELDER = UUID("01932000-0000-7000-8000-00000000000c")
YOUNGER = UUID("01932000-0000-7000-8000-00000000000d")

ADDRESS = ["14 Larkspur Row", "Fellgate"]
POSTCODE = "ZZ99 3VZ"


# path, category, subject, label, value
ROWS: Final[list[tuple[str, str, UUID | None, str, Any]]] = [
    ("people.0.name.full", "victim_identity", VICTIM, "Full name", "Marta Quillfeather"),
    ("people.0.phone", "victim_phone", VICTIM, "Phone", "07700 900123"),
    ("people.0.addresses.0.lines", "victim_address", VICTIM, "Address", ADDRESS),
    ("people.0.addresses.0.postcode", "victim_address", VICTIM, "Postcode", POSTCODE),
    ("people.0.addresses.0.area_code", "victim_area", VICTIM, "Area", "Northmoor"),
    ("people.0.doctor", "victim_health_contact", VICTIM, "GP practice", "Fellgate Surgery"),
    (
        "people.0.immigration_status",
        "immigration_status",
        VICTIM,
        "Immigration status",
        "Spouse visa",
    ),
    ("people.1.name.full", "perpetrator_identity", SUSPECT, "Full name", "Dorian Vexley"),
    (
        "people.1.addresses.0.lines",
        "perpetrator_address",
        SUSPECT,
        "Address",
        ["3 Quarry Bank"],
    ),
    (
        "people.1.relationship_to_victim",
        "relationship",
        SUSPECT,
        "Relationship to the victim",
        "former_partner",
    ),
    ("people.2.name.full", "child_identity", ELDER, "Full name", "Ines Quillfeather"),
    ("people.2.school", "child_school", ELDER, "School", "Northmoor Academy"),
    ("people.3.name.full", "child_identity", YOUNGER, "Full name", "Oskar Quillfeather"),
    ("people.3.addresses.0.lines", "child_address", YOUNGER, "Address", ADDRESS),
    ("incident.occurred_at", "incident", VICTIM, "When", "2026-11-20T21:30:00+00:00"),
    (
        "incident.summary",
        "incident_narrative",
        VICTIM,
        "What happened",
        "He waited outside and said he would come back.",
    ),
    ("risk.level", "risk_summary", VICTIM, "Risk level", "High"),
    ("risk.answers.0", "risk_answers", VICTIM, "Strangulation", "Yes (said by: victim)"),
    ("safe_contact.status", "victim_safe_contact", VICTIM, "Safe contact", "known"),
    ("safe_contact.means.0.channel", "victim_safe_contact", VICTIM, "Channel", "phone"),
    (
        "safe_contact.means.0.value",
        "victim_phone",
        VICTIM,
        "Number or address of this channel",
        "07700 900456",
    ),
    ("safe_contact.means.0.safe", "victim_safe_contact", VICTIM, "Safe to use", "yes"),
    (
        "safe_contact.last_verified",
        "victim_safe_contact",
        VICTIM,
        "Last verified",
        "2026-11-19",
    ),
    ("consent.agrees_to_support", "consent", VICTIM, "Agrees to be offered support", "yes"),
    ("referrer.role", "referrer", None, "Referred by", "Response officer"),
]


def facts() -> tuple[Fact, ...]:
    """What a full referral says, in the paths and categories the referral service uses."""
    return tuple(
        Fact(path=path, category=code, subject=who, label=label, value=value)
        for path, code, who, label, value in ROWS
    )


def snapshot(**changes: Any) -> CaseSnapshot:
    """A high-risk referral by police with two children and a victim who agrees to support;
    `changes` replace fields.
    """
    made: dict[str, Any] = {
        "case_id": CASE,
        "version": 1,
        "cause": "referral_submitted",
        "referral_id": REFERRAL,
        "referrer_agency": "northmoor-police",
        "area": "northmoor",
        "kind": "domestic_abuse",
        "occurred_at": datetime(2026, 11, 20, 21, 30, tzinfo=UTC),
        "received_at": datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
        "rules_version": "northmoor/2026-04-01",
        "safe_contact_days": 30,
        "effective_on": date(2026, 11, 21),
        "subjects": (
            CaseSubject(subject_id=VICTIM, role="victim"),
            CaseSubject(subject_id=SUSPECT, role="perpetrator"),
            CaseSubject(subject_id=ELDER, role="child", under_18=True),
            CaseSubject(subject_id=YOUNGER, role="child", under_18=True),
        ),
        "risk": RiskSummary(
            instrument="dash",
            instrument_version="1",
            score=16,
            dont_know=2,
            level="high",
            rule="VHR: 14 or more yes",
        ),
        "consent": Consent(aware="yes", agrees_to_support="yes", lawful_basis="6e"),
        "facts": facts(),
    }
    return CaseSnapshot(**{**made, **changes})


def urgent(**changes: Any) -> CaseSnapshot:
    """The urgent form: name, place, danger, callback only."""
    rows = (
        ("name", "victim_identity", "Name", "Marta Quillfeather"),
        ("place", "danger_place", "Where the danger is", "14 Larkspur Row, Fellgate"),
        ("danger", "danger_summary", "The danger", "He is outside 14 larkspur  row with a knife."),
        ("callback", "callback", "Call back on", "Do not call"),
    )
    told = tuple(
        Fact(path=path, category=code, subject=VICTIM, label=label, value=value)
        for path, code, label, value in rows
    )
    made: dict[str, Any] = {
        "cause": "urgent_referral",
        "provisional": True,
        "urgent": True,
        "subjects": (CaseSubject(subject_id=VICTIM, role="victim"),),
        "risk": RiskSummary(
            instrument="none", instrument_version="none", level="high", rule="urgent"
        ),
        "consent": Consent(aware="unknown", agrees_to_support="unknown", lawful_basis="6d"),
        "facts": told,
    }
    return snapshot(**{**made, **changes})


def marking(kind: Any, number: int = 1, **scope: Any) -> Marking:
    """A veto; `scope` narrows it by agency, category or subject."""
    return Marking(
        marking_id=UUID(int=0x0193_2000_0000_7000_8000_0000_0000_0100 + number), kind=kind, **scope
    )
