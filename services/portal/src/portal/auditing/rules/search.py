"""An auditor's search as typed: what is wrong with it, and what it asks for."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final
from uuid import UUID

from hubformats.case_reference import normalised_reference
from portal.auditing.rules.records import PURPOSES

FIELDS: Final = ("caseReference", "delivery", "recipient", "purpose", "justification")
"""In page order, so that an error summary lists them as they are met."""
_ASK: Final = 1_000
_REFERENCE: Final = (
    "Check the case reference: after NM come 12 letters and digits, as in NM-7F3K-9QXA-2C4T"
)
_STORED: Final = re.compile(r"NM(-[0-9ABCDEFGHJKMNPQRSTVWXYZ]{4}){3}")
"""Crockford base 32, which has no U; I, L and O are read as 1, 1 and 0 before."""
STATE_AGAIN: Final = (
    "Say again why you need to look. The purpose you stated has run out, so "
    "nothing was shown. What you typed is kept: press Search"
)
STATE_FIRST: Final = "Say first why you need to look, and for what. Nothing was shown"
NO_ANSWER: Final = (
    "The audit log does not answer, so nothing was searched. What you typed is "
    "kept: try again in a minute"
)


def problems(typed: Mapping[str, str], agencies: AbstractSet[str]) -> dict[str, str]:
    """Say field by field what to do about it. Empty when the search can be made."""
    found: dict[str, str] = {}
    if not any(typed.get(name, "").strip() for name in ("caseReference", "delivery", "recipient")):
        found["caseReference"] = "Enter a case reference, a delivery id or a recipient agency"
    elif typed.get("caseReference", "").strip() and not _STORED.fullmatch(
        normalised_reference(typed["caseReference"].strip())
    ):
        found["caseReference"] = _REFERENCE
    if typed.get("delivery", "").strip() and _uuid(typed["delivery"]) is None:
        found["delivery"] = "Enter a delivery id as the entry or your records show it"
    if typed.get("recipient", "") and typed["recipient"] not in agencies:
        found["recipient"] = "Select an agency from the list"
    if typed.get("purpose") not in PURPOSES:
        found["purpose"] = "Select why you need to look"
    reason = typed.get("justification", "").strip()
    if len(reason) < 3:
        found["justification"] = "Say in a sentence what you are looking into"
    elif len(reason) > _ASK:
        found["justification"] = "What you are looking into must be 1,000 characters or less"
    return found


def refused_by_log() -> dict[str, str]:
    """Say what is wrong when the log's own check found more than ours."""
    return {"caseReference": _REFERENCE}


def wanted(typed: Mapping[str, str]) -> dict[str, str]:
    """Make the filter that a sound search asks for. Every part given must hold."""
    made: dict[str, str] = {}
    if typed.get("caseReference", "").strip():
        made["caseReference"] = normalised_reference(typed["caseReference"])
    if typed.get("delivery", "").strip():
        made["delivery"] = str(_uuid(typed["delivery"]))
    if typed.get("recipient", ""):
        made["recipient"] = typed["recipient"]
    return made


def asked(kept: Mapping[str, str], agencies: Mapping[str, str]) -> list[tuple[str, str]]:
    """List what a search looked for and why, for whoever made it: label and text."""
    rows = [("Why you looked", PURPOSES.get(kept.get("purpose", ""), ""))]
    rows += [
        (label, kept.get(name, ""))
        for name, label in (("caseReference", "Case reference"), ("delivery", "Delivery id"))
    ]
    recipient = kept.get("recipient", "")
    rows.append(("Recipient agency", agencies.get(recipient, recipient)))
    return [(label, text) for label, text in rows if text]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
