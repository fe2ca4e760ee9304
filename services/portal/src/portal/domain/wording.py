"""Codes in plain words. For an auditor a code stays beside its meaning; a practitioner reads the
law's own name instead."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hubformats import field_sets
from hubformats.categories import CATEGORIES
from portal.domain import dates
from portal.domain.meanings import FORMS, REASONS, ROLES, SIGN_INS

PURPOSES: Final[dict[str, str]] = {
    "verify_lawfulness": "Check that processing was lawful",
    "self_monitoring": "Self-monitoring, including internal disciplinary proceedings",
    "integrity_and_security": "Protect the integrity and security of personal data",
    "criminal_proceedings": "Criminal proceedings",
    "subject_right": "Answer a person's own request about their data",
}
"""The uses DPA 2018 s.62(4) allows of a log, and a data subject's right under UK GDPR."""

BASES: Final[dict[str, str]] = {
    "6a": "Consent (UK GDPR Article 6(1)(a))",
    "6c": "Legal obligation (UK GDPR Article 6(1)(c))",
    "6d": "Vital interests (UK GDPR Article 6(1)(d))",
    "6e": "Public task (UK GDPR Article 6(1)(e))",
    "6ea_crime": "Preventing or detecting crime (UK GDPR Article 6(1)(ea))",
    "6ea_safeguarding": "Safeguarding vulnerable individuals (UK GDPR Article 6(1)(ea))",
    "6ea_emergency": "Responding to an emergency (UK GDPR Article 6(1)(ea))",
    "6ea_public_request": "Request of a public body (UK GDPR Article 6(1)(ea))",
    "6f": "Legitimate interests (UK GDPR Article 6(1)(f))",
    "P3_necessary": "Necessary for a law-enforcement task (DPA 2018 s.35(2)(b))",
    "P3_consent": "Consent, for a law-enforcement task (DPA 2018 s.35(2)(a))",
}
CONDITIONS: Final[dict[str, str]] = {
    "9c": "Vital interests (UK GDPR Article 9(2)(c))",
    "9f": "Legal claims (UK GDPR Article 9(2)(f))",
    "9g_para6": "Statutory and government purposes (DPA 2018 Schedule 1 paragraph 6)",
    "9g_para10": "Preventing or detecting unlawful acts (DPA 2018 Schedule 1 paragraph 10)",
    "9g_para18": "Safeguarding children and individuals at risk (DPA 2018 Schedule 1 paragraph 18)",
    "9h": "Health or social care (UK GDPR Article 9(2)(h))",
    "sch8_safeguarding": "Safeguarding children and individuals at risk (DPA 2018 Schedule 8 "
    "paragraph 4)",
    "none": "None needed: no special category data",
}
GATEWAYS: Final[dict[str, str]] = {
    "CDA115": "Crime and Disorder Act 1998 section 115",
    "CA2014_42": "Care Act 2014 section 42",
    "ChA2004_10": "Children Act 2004 section 10",
    "ChA2004_11": "Children Act 2004 section 11",
    "ChA2004_16LA": "Children Act 2004 section 16LA",
    "ChA1989_47": "Children Act 1989 section 47",
    "VPA2024_13": "Victims and Prisoners Act 2024 section 13",
    "common_law": "Common law",
    "none": "None",
}
_PURPOSES_OF_SHARING: Final[dict[str, str]] = {
    "protect_victim": "Protect the victim",
    "protect_child": "Protect a child",
    "support_offer": "Offer support",
}
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
    "pu": {**_PURPOSES_OF_SHARING, **PURPOSES},
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
_KINDS: Final[dict[str, str]] = {
    "disclosure": "New information",
    "correction": "Update",
    "withdrawal": "Withdrawal",
    "notice": "Notice",
}


def plain(value: Any) -> str:
    """A fact's value as text: lists joined, yes and no, single-word codes without underscores.

    Free text stays as it is.
    """
    if isinstance(value, list):
        return ", ".join(plain(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return (
        text.replace("_", " ")
        if text.isascii() and text.replace("_", "").isalpha() and text.islower()
        else text
    )


_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})")


def fact(value: Any) -> str:
    """A disclosed fact as text: `plain`, with dates and moments as people read them."""
    if isinstance(value, list):
        return ", ".join(fact(one) for one in value)
    text = plain(value)
    if _DATE.fullmatch(text):
        return dates.day(text)
    if _MOMENT.fullmatch(text):
        try:
            return dates.moment(text)
        except ValueError:  # the shape of a moment, but no such moment: shown as it was given
            return text
    return text


def sentence(value: Any) -> str:
    """`plain` with a capital letter, for a cell of its own."""
    text = plain(value)
    return text[:1].upper() + text[1:]


def operation(code: str, ended: str = "") -> str:
    """What an audit record says happened: a disclosure that was withheld, refused or failed was not
    sent.
    """
    if code == "disclosure" and ended in _NOT_DONE:
        return "Not sent to an agency"
    return _OPERATIONS.get(code, sentence(code))


def outcome(code: str) -> str:
    """How it ended."""
    return _OUTCOMES.get(code, sentence(code))


def reason(codes: str) -> str:
    """Why, in words; a record may name several reasons, parted by commas."""
    return "; ".join(REASONS.get(one, sentence(one)) for one in codes.split(",") if one)


def kind(code: str, fuller: bool = False) -> str:
    """What a delivery is; an update that fills in an urgent one is called by what it brings."""
    if fuller and code == "correction":
        return "Fuller referral"
    return _KINDS.get(code, "Delivery")


def reasons(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Why a disclosure was made: label and meaning."""
    clause = content["clause"]
    others = ", ".join(one["id"] for one in content["otherClauses"])
    agreement = (
        f"{clause['id']} of the {sentence(clause['agreement'])} sharing agreement, "
        f"version {clause['version']}"
    )
    rows = [("Clause", agreement)]
    if others:
        rows.append(("Also under", others))
    rows.append(("Why it is needed", str(content["necessity"])))
    for label, name, meanings in (
        ("Purpose", "purpose", _PURPOSES_OF_SHARING),
        ("Lawful basis", "lawfulBasis", BASES),
        ("Condition", "condition", CONDITIONS),
        ("Statutory gateway", "gateway", GATEWAYS),
    ):
        code = str(content[name])
        rows.append((label, meanings.get(code, sentence(code))))
    return rows


def agency(code: str, names: Mapping[str, str]) -> str:
    """An agency's name; the hub's own services act as "svc:<service>"."""
    service = code.removeprefix("svc:")
    return names.get(code) or (f"The hub ({service})" if service != code else code)


def record_rows(
    record: Mapping[str, Any], agencies: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Label, text and code of every field worth reading, in reading order; handles mean nothing
    outside the entry and are left out.
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
    """Category codes as labels.

    Only a record of before sets had numbers cuts a long list and says how many more there were, as
    "+5".
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
