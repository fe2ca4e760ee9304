"""Codes in plain words, as pages and `hubctl` write them. The law stands by its own name."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hubformats import dates

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
SHARING_PURPOSES: Final[dict[str, str]] = {
    "protect_victim": "Protect the victim",
    "protect_child": "Protect a child",
    "support_offer": "Offer support",
}
_KINDS: Final[dict[str, str]] = {
    "disclosure": "New referral",
    "correction": "Correction",
    "withdrawal": "Withdrawal",
    "notice": "Notice",
}

DUTIES: Final[dict[str, str]] = {
    "criminal_investigation": "A criminal investigation (CPIA 1996 Part II)",
    "court_order": "A court order, or proceedings under way",
    "statutory_review": "A review the law requires, such as a domestic homicide review",
    "child_protection_record": "A child protection record (Children Act 1989)",
    "health_record": "A health record",
    "legal_claim": "A legal claim (UK GDPR Article 17(3)(e))",
    "complaint": "A complaint that is being looked into",
}
"""Duties under which an agency may keep what was taken back."""
ANSWERS: Final[dict[str, str]] = {
    "stopped_and_deleted": "Stopped and deleted",
    "kept_under_duty": "Kept under a duty",
    "corrected": "Corrected",
}

CHANNELS: Final[dict[str, str]] = {
    "sms": "Text message",
    "email": "Email",
    "via_idva": "Through the IDVA",
    "via_school": "Through the school",
}
CODED: Final[dict[str, Mapping[str, str]]] = {
    "Lawful basis": BASES,
    "Condition for special-category data": CONDITIONS,
    "Statutory gateway": GATEWAYS,
    "Channel": CHANNELS,
    "Safe to use": {"doubtful": "Doubtful: the same form contradicts it. Do not use"},
}
"""Labels of facts whose values are codes of a list."""
_RULES: Final[dict[str, str]] = {
    "VHR: ": "Visible high risk: ",
    "PJ: professional judgement raises": "Professional judgement raised it",
    "PE: ": "Potential escalation: ",
    "RPT: ": "Repeat: ",
    "urgent: ": "Urgent: ",
}
"""How a rule that gave the level begins, in words instead of letters."""
HOLDS: Final[dict[str, str]] = {
    "": "waits for its entry in the audit log",
    "no-answer": "nobody can say now whether it may leave; it is tried again",
    "newer-version": "the case has changed; the newer version is decided on first",
    "stream-held": "an earlier message about the case is set aside and not settled",
    "directory-stale": "the list of agencies and keys is too old to rely on; it is tried again",
    "recipient-suspended": "the recipient is suspended",
    "recipient-without-key": "the recipient has no key to seal to",
    "release-failed": "sending failed; it is tried again",
    "audit-rejected": "the audit log did not accept its entry",
    "proof-wrong": "its proof does not verify",
    "veto": "somebody has said that it must not leave",
    "superseded": "a newer decision took its place",
    "key-destroyed": "its content has been erased",
    "promise-overdue": "the proof that was promised has not come within the hour",
}
"""Why a delivery waits or will not leave, for whoever looks after the hub."""
UNCHECKED: Final = (
    "Before it shows a delivery, the hub asks whether somebody has said that your agency must not "
    "see it. No answer comes now, so none is shown. Nothing is lost, and withdrawals are still "
    "shown. Whether something new or urgent has come for you is not known. The hub's support has "
    "been alarmed."
)
"""Why an inbox is not shown (problem `deliveries-unchecked`)."""
COMPARE: Final = (
    "Compare everything you hold on this case with this page.",
    (
        "What is no longer here (an address, a number, a name) must not be used or passed on. "
        "Take it out of your records."
    ),
)
"""What a correction asks, because what was taken out of it leaves no trace."""
RULE_LABEL: Final = "Rule that gave the level"


def rule(text: str) -> str:
    """Write the rule that gave the level of risk with words where its letters stood."""
    for code, words in _RULES.items():
        if text.startswith(code):
            return words + text.removeprefix(code)
    return text


def told(label: str, value: Any) -> str:
    """Write a fact as `fact` does, a value of a code list by its meaning."""
    meaning = CODED.get(label, {}).get(str(value))
    if meaning:
        return meaning
    return rule(str(value)) if label == RULE_LABEL else fact(value)


def plain(value: Any) -> str:
    """Write a fact's value as text: lists joined, yes and no, codes without underscores.

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
    """Write a disclosed fact as `plain` does, with dates and moments as people read them."""
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
    """Write `plain` with a capital letter, for a cell of its own."""
    text = plain(value)
    return text[:1].upper() + text[1:]


def kind(code: str, fuller: bool = False) -> str:
    """Say what a delivery is. An update that fills in an urgent one is a fuller referral."""
    if fuller and code == "correction":
        return "Fuller referral"
    return _KINDS.get(code, "Delivery")


def not_left(urgent: int, others: int, whose: str, since: str) -> str:
    """Say how many deliveries `whose` have not left, and since when. Empty when there are none."""
    told = [
        f"{count} {word}{'delivery' if count == 1 else 'deliveries'}"
        for count, word in ((urgent, "urgent "), (others, "other " if urgent else ""))
        if count
    ]
    if not told:
        return ""
    verb = "has" if urgent + others == 1 else "have"
    return f"{' and '.join(told)} {whose} {verb} not left, since {dates.moment(since)}"


def agency(code: str, names: Mapping[str, str]) -> str:
    """Name an agency. The hub's own services act as "svc:<service>"."""
    service = code.removeprefix("svc:")
    return names.get(code) or (f"The hub ({service})" if service != code else code)
