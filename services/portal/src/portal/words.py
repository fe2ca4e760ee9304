"""An audit record in plain words for an auditor; codes stay beside them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

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
    "why": "Reason code",
    "fs": "What was shown",
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


def record_rows(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and text of every field worth reading, in reading order; handles mean nothing outside the entry and are left out."""
    rows: list[tuple[str, str]] = []
    for code, label in _LABELS.items():
        if code in record:
            rows.append((label, _text(code, record[code])))
    return rows


def _text(code: str, value: Any) -> str:
    if code == "te":
        return datetime.fromtimestamp(value / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if value is True:
        return "yes"
    return str(value).replace("_", " ") if code in {"op", "out", "pu", "role"} else str(value)
