"""Operations and outcomes of a record in plain words, and the label of each field."""

from collections.abc import Mapping
from typing import Any, Final

from hubformats.wording import ANSWERS, sentence

OPERATIONS: Final[dict[str, str]] = {
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
    "acknowledged": "Accepted",
    "blocked": "Stopped: nobody can open it",
    "notice_sent": "Notice sent to an agency",
    "alert_sent": "Alert sent",
    "alert_failed": "Alert could not be sent",
    "request": "Information was asked for",
    "answer": "A request was answered",
    "nil_return": "Answered: nothing is known",
    "refusal": "A request was refused",
    "not_shared": "Decided not to share",
    "correction": "Correction sent to an agency",
    "withdrawal": "Taken back from an agency",
    "lapse": "Ran out",
    "release": "Released by a person",
    "review": "Looked at again",
    "restrict": "Restricted",
    "hold_set": "A legal hold was set",
    "hold_lifted": "A legal hold was lifted",
    "triage_decision": "Triage decision",
    "risk_raised": "Risk raised",
    "link": "Linked",
    "split": "Separated",
    "allocate": "Allocated to somebody",
    "hand_over": "Handed over",
    "escalate": "Escalated",
    "complaint": "Complaint",
    "rights_request": "A person asked about their own data",
    "agreement_published": "Agreement published",
    "roster_changed": "Duty roster changed",
    "listing": "A list was shown",
    "cover": "Stands for nothing: it hides how many entries a decision made",
}
OUTCOMES: Final[dict[str, str]] = {
    "permit": "Allowed",
    "withhold": "Withheld",
    "done": "Done",
    "refused": "Refused",
    "failed": "Failed",
}
LABELS: Final[dict[str, str]] = {
    "op": "What happened",
    "out": "Outcome",
    "st": "Stage",
    "te": "When, by the producer's clock",
    "svc": "Service",
    "org": "Agency that acted",
    "role": "Role",
    "aal": "Strength of sign-in",
    "hum": "Who decided",
    "rcp": "Recipient agency",
    "ch": "Channel",
    "dl": "Delivery",
    "cl": "Clause of the sharing agreement",
    "agv": "Version of the agreement",
    "pu": "Purpose",
    "lb": "Lawful basis",
    "cond": "Condition",
    "gw": "Statutory gateway",
    "dlb": "Lawful basis to disclose",
    "dsp": "Condition to disclose special categories",
    "dcr": "Condition to disclose offences",
    "dgw": "Statutory gateway",
    "dau": "Authority in law to disclose",
    "dcf": "Ground in confidence",
    "rlb": "Lawful basis to receive",
    "rsp": "Condition to receive special categories",
    "rcr": "Condition to receive offences",
    "jc": "Justification code",
    "why": "Reason",
    "fs": "Kinds of information",
    "rt": "Kind of thing",
    "rv": "Its version",
    "tpl": "Template",
    "subn": "People it was about",
    "n": "How many",
    "bg": "Emergency path",
    "rlv": "Rules applied",
    "ag": "Agreement, SHA-256",
    "dc": "Commitment to the content",
    "vd": "Commitment to what was shown",
    "ih": "Commitment to what was decided on",
    "vc": "Commitment to the last check before it left",
    "whc": "Commitment to the reason",
    "ed": "Envelope, SHA-256",
    "rd": "Receipt, SHA-256",
    "rel": "Entries it answers",
    "id": "Record id",
    "sw": "Software, SHA-256",
    "cfg": "Configuration, SHA-256",
    "cks": "Clock",
    "cko": "Clock right within, ms",
}
"""Fields worth reading, in reading order. Handles are not: they mean nothing outside the entry."""

_NOT_DONE: Final = frozenset({"withhold", "refused", "failed"})
_STOPPED: Final = "Stopped: nobody can open it any more"
_SYSTEM: Final = frozenset({"system", ""})
_ANSWERED: Final[dict[str, str]] = {
    "withdrawal": "Answered a withdrawal",
    "correction": "Answered a correction",
}


def operation(record: Mapping[str, Any], reason: str = "") -> str:
    """Say what happened. One operation stands for several acts, which its other fields tell apart.

    `reason` is why something was withheld, where the record itself only commits to it.
    """
    code, failed = str(record.get("op", "")), record.get("out") in _NOT_DONE
    why = str(record.get("why") or reason)
    if code == "disclosure" and failed:
        return "Not sent to an agency"
    if code == "blocked" and why:
        return _STOPPED if why == "stopped" else "Stopped before it left"
    if code == "delivered" and failed:
        return "Delivered on a promise, and its proof did not come"
    if code in _ANSWERED and why == "answer-asked-late":
        return "An answer was asked for after all"
    if code == "acknowledged":
        return _taken_up(record, why)
    return OPERATIONS.get(code, sentence(code))


def _taken_up(record: Mapping[str, Any], why: str) -> str:
    """Say who accepted, or that it was an answer to what was taken back or corrected."""
    if record.get("out") in _NOT_DONE:
        return "Did not answer in time" if why == "answer-overdue" else "Not accepted"
    answered = _ANSWERED.get(str(record.get("rt", "")))
    if answered or why in ANSWERS:
        return answered or "Answered a withdrawal or correction"
    role = str(record.get("role", ""))
    return OPERATIONS["acknowledged"] + ("" if role in _SYSTEM else " by a practitioner")
