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
from portal.auditing.rules.labels import LABELS, OPERATIONS, OUTCOMES, operation
from portal.auditing.rules.meanings import CLOCKS, FORMS, HUMANS, REASONS, ROLES, SIGN_INS

PURPOSES: Final[dict[str, str]] = {
    "verify_lawfulness": "Check that processing was lawful",
    "self_monitoring": "Self-monitoring, including internal disciplinary proceedings",
    "integrity_and_security": "Protect the integrity and security of personal data",
    "criminal_proceedings": "Criminal proceedings",
    "subject_right": "Answer a person's own request about their data",
}
"""The uses DPA 2018 s.62(4) allows of a log, and a data subject's right under UK GDPR."""
_MEANINGS: Final[dict[str, Mapping[str, str]]] = {
    "op": OPERATIONS,
    "out": OUTCOMES,
    "pu": {**SHARING_PURPOSES, **PURPOSES},
    "aal": SIGN_INS,
    "hum": HUMANS,
    "cks": CLOCKS,
    **dict.fromkeys(("lb", "dlb", "rlb"), BASES),
    **dict.fromkeys(("cond", "dsp", "dcr", "rsp", "rcr"), CONDITIONS),
    **dict.fromkeys(("gw", "dgw"), GATEWAYS),
}


def happened(entry: Mapping[str, Any]) -> str:
    """Say what happened, of an entry as the log lists it."""
    record = {"op": entry["operation"], "out": entry["outcome"], **entry["record"]}
    return operation(record, str(entry.get("reason") or ""))


def outcome(code: str) -> str:
    """Say how it ended."""
    return OUTCOMES.get(code, sentence(code))


def reason(codes: str) -> str:
    """Say why. A record may name several reasons, parted by commas."""
    return "; ".join(REASONS.get(one, sentence(one)) for one in codes.split(",") if one)


def record_rows(
    record: Mapping[str, Any], agencies: Mapping[str, str], why: str = ""
) -> list[tuple[str, str, str]]:
    """List label, text and code of every field worth reading, in reading order.

    `why` is the reason of something withheld, which a record only commits to.

    Handles are left out: they mean nothing outside the entry.
    """
    said = {**record, "why": why} if why else record
    rows = [
        (label, *_worded(code, said[code], agencies))
        for code, label in LABELS.items()
        if code in said
    ]
    what = operation(said)
    return [(label, what if label == LABELS["op"] else text, code) for label, text, code in rows]


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
    if isinstance(value, list):
        return ", ".join(map(str, value)), ""
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
