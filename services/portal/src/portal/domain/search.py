"""An auditor's search as typed: what is wrong with it, and what it asks for."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final
from uuid import UUID

from common.case_reference import normalised_reference
from portal.domain.wording import PURPOSES

FIELDS: Final = ("caseReference", "delivery", "recipient", "purpose", "justification")
"""In page order, so that an error summary lists them as they are met."""
_ASK: Final = 1_000
_REFERENCE: Final = "Enter a case reference in the form NM-7F3K-9QXA-2C4T"


def problems(typed: Mapping[str, str], agencies: AbstractSet[str]) -> dict[str, str]:
    """Field → what to do about it, empty when the search can be made."""
    found: dict[str, str] = {}
    if not any(typed.get(name, "").strip() for name in ("caseReference", "delivery", "recipient")):
        found["caseReference"] = "Enter a case reference, a delivery id or a recipient agency"
    elif typed.get("caseReference", "").strip() and not 4 <= len(typed["caseReference"].strip()) <= 40:
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
    """What to say when the log's own check found more wrong than ours."""
    return {"caseReference": _REFERENCE}


def wanted(typed: Mapping[str, str]) -> dict[str, str]:
    """The filter a sound search asks for; every part given must hold."""
    made: dict[str, str] = {}
    if typed.get("caseReference", "").strip():
        made["caseReference"] = normalised_reference(typed["caseReference"])
    if typed.get("delivery", "").strip():
        made["delivery"] = str(_uuid(typed["delivery"]))
    if typed.get("recipient", ""):
        made["recipient"] = typed["recipient"]
    return made


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
