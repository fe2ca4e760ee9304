"""What a record of the audit log says, in plain words with each code beside its meaning."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hubformats import field_sets
from hubformats.categories import CATEGORIES
from hubformats.wording import (
    BASES,
    CONDITIONS,
    GATEWAYS,
    SHARING_PURPOSES,
    agency,
    sentence,
)
from portal.auditing.rules.meanings import FORMS, REASONS, ROLES, SIGN_INS

PURPOSES: Final[dict[str, str]] = {
    "verify_lawfulness": "Check that processing was lawful",
    "self_monitoring": "Self-monitoring, including internal disciplinary proceedings",
    "integrity_and_security": "Protect the integrity and security of personal data",
    "criminal_proceedings": "Criminal proceedings",
    "subject_right": "Answer a person's own request about their data",
}
"""The uses DPA 2018 s.62(4) allows of a log, and a data subject's right under UK GDPR."""
_OUTCOMES: Final[dict[str, str]] = {
    "permit": "Allowed",
    "withhold": "Withheld",
    "done": "Done",
    "refused": "Refused",
    "failed": "Failed",
}
_NOT_DONE: Final = frozenset({"withhold", "refused", "failed"})
_OPERATIONS: Final[dict[str, str]] = {
    "collection": "Taken in",
    "alteration": "Changed",
    "consultation": "Read",
    "disclosure": "Sent to an agency",
    "combination": "Put together with other information",
    "erasure": "Erased",
    "denied": "Refused",
    "login": "Signed in",
    "login_failed": "Sign-in failed",
    "audit_query": "The log was searched",
    "emergency_release": "Sent to an agency before its entry was in the log",
    "resealed": "Sealed again to a new key",
    "delivered": "Delivered",
    "saved": "Saved in the recipient's records",
    "acknowledged": "Accepted by a practitioner",
    "blocked": "Stopped before it left",
}
_MEANINGS: Final[dict[str, Mapping[str, str]]] = {
    "op": _OPERATIONS,
    "out": _OUTCOMES,
    "pu": {**SHARING_PURPOSES, **PURPOSES},
    "lb": BASES,
    "cond": CONDITIONS,
    "gw": GATEWAYS,
    "aal": SIGN_INS,
}

_LABELS: Final[dict[str, str]] = {
    "op": "What happened",
    "out": "Outcome",
    "te": "When, by the producer's clock",
    "svc": "Service",
    "org": "Agency that acted",
    "role": "Role",
    "aal": "Strength of sign-in",
    "rcp": "Recipient agency",
    "ch": "Channel",
    "dl": "Delivery",
    "cl": "Clause of the sharing agreement",
    "pu": "Purpose",
    "lb": "Lawful basis",
    "cond": "Condition",
    "gw": "Statutory gateway",
    "jc": "Justification code",
    "why": "Reason",
    "fs": "Kinds of information",
    "rt": "Kind of thing",
    "rv": "Its version",
    "subn": "People it was about",
    "n": "How many",
    "bg": "Emergency path",
    "ag": "Agreement, SHA-256",
    "dc": "Commitment to the content",
    "ed": "Envelope, SHA-256",
    "rd": "Receipt, SHA-256",
    "id": "Record id",
}


def operation(code: str, ended: str = "") -> str:
    """Say what happened. A disclosure that was withheld, refused or failed was not sent."""
    if code == "disclosure" and ended in _NOT_DONE:
        return "Not sent to an agency"
    return _OPERATIONS.get(code, sentence(code))


def outcome(code: str) -> str:
    """Say how it ended."""
    return _OUTCOMES.get(code, sentence(code))


def reason(codes: str) -> str:
    """Say why. A record may name several reasons, parted by commas."""
    return "; ".join(REASONS.get(one, sentence(one)) for one in codes.split(",") if one)


def record_rows(
    record: Mapping[str, Any], agencies: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """List label, text and code of every field worth reading, in reading order.

    Handles are left out: they mean nothing outside the entry.
    """
    rows = [
        (label, *_worded(code, record[code], agencies))
        for code, label in _LABELS.items()
        if code in record
    ]
    happened = operation(str(record.get("op", "")), str(record.get("out", "")))
    return [
        (label, happened if label == _LABELS["op"] else text, code) for label, text, code in rows
    ]


def _worded(field: str, value: Any, agencies: Mapping[str, str]) -> tuple[str, str]:
    if field in {"org", "rcp"}:
        return agency(str(value), agencies), str(value)
    if field == "te":
        return datetime.fromtimestamp(value / 1_000_000, UTC).isoformat(
            timespec="milliseconds"
        ).replace("+00:00", "Z"), ""
    if field == "fs":
        return _kinds_of_information(str(value)), ""
    if value is True:
        return "yes", ""
    if field == "why":
        return reason(str(value)), str(value)
    if field == "role":
        return "; ".join(ROLES.get(one, sentence(one)) for one in str(value).split(",")), str(value)
    meaning = _MEANINGS.get(field, {}).get(str(value))
    if meaning is not None:
        return meaning, str(value)
    return (sentence(value) if field in _MEANINGS or field == "rt" else str(value)), ""


def _kinds_of_information(codes: str) -> str:
    """Write category codes as labels.

    Records older than numbered sets cut a long list and end it with a count such as "+5".
    """
    named, more = field_sets.read(codes)
    text = "; ".join(
        CATEGORIES[code].label if code in CATEGORIES else FORMS.get(code, sentence(code))
        for code in named
    )
    return (
        f"{text}; and {more} more kinds, which the record counts but does not name"
        if more
        else text
    )
