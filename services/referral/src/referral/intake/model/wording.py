"""Code lists of a referral (domain reference 7.2); their values are data that partners build
against."""

from typing import Literal

from hubformats import legal_codes

Kind = Literal["domestic_abuse"]
Source = Literal[
    "999",
    "999_then_55",
    "101",
    "online",
    "front_counter",
    "partner",
    "third_party",
    "proactive_visit",
]
Role = Literal["victim", "perpetrator", "child", "household_member"]
Relationship = Literal[
    "current_partner",
    "former_partner",
    "spouse",
    "former_spouse",
    "parent",
    "child",
    "sibling",
    "other_family",
    "none",
    "unknown",
]
Answer = Literal["yes", "no", "dont_know", "not_asked"]
AnswerSource = Literal["victim", "police_officer", "professional", "record", "other"]
Aware = Literal["yes", "no", "not_safe_to_tell", "unknown"]
Agrees = Literal["yes", "no", "not_asked", "unknown"]
Gateway = Literal[legal_codes.Gateway, "none"]
"""A referrer need not know its power."""
Channel = Literal["phone", "sms", "email", "post", "in_person", "via_idva", "via_school"]
Safe = Literal["yes", "no", "unknown"]
Voicemail = Literal["never", "code_name", "yes", "unknown"]
Yes = Literal["yes", "no", "unknown"]
Quality = Literal["fact", "professional_opinion", "third_party_report", "self_report"]

MEANINGS: dict[str, dict[str, str]] = {
    "kind": {"domestic_abuse": "Domestic abuse (Domestic Abuse Act 2021 s.1)"},
    "source": {
        "999": "Emergency call",
        "999_then_55": "Silent emergency call answered with 55: no narrative, never ring back by "
        "default",
        "101": "Non-emergency call",
        "online": "Online report",
        "front_counter": "At a front counter",
        "partner": "From a partner agency",
        "third_party": "From a third party; receives an acknowledgement only",
        "proactive_visit": "Found during a proactive visit",
    },
    "role": {
        "victim": "Victim or survivor",
        "perpetrator": "Person causing harm",
        "child": "Child who sees, hears or experiences the abuse (Domestic Abuse Act 2021 s.3)",
        "household_member": "Other member of the household",
    },
    "aware": {
        "yes": "The victim knows of this referral",
        "no": "The victim does not know",
        "not_safe_to_tell": "Telling the victim would add danger",
        "unknown": "Not known",
    },
    "agreesToSupport": {
        "yes": "Agrees to be offered support",
        "no": "Does not agree; stops support offers, not protection",
        "not_asked": "Not asked",
        "unknown": "Not known",
    },
    "lawfulBasis": {
        "6c": "UK GDPR Article 6(1)(c) legal obligation",
        "6d": "UK GDPR Article 6(1)(d) vital interests",
        "6e": "UK GDPR Article 6(1)(e) public task",
        "6ea_crime": "UK GDPR Article 6(1)(ea) crime",
        "6ea_safeguarding": "UK GDPR Article 6(1)(ea) safeguarding vulnerable individuals",
        "6ea_emergency": "UK GDPR Article 6(1)(ea) emergency",
        "6ea_public_request": "UK GDPR Article 6(1)(ea) request of a public body",
        "6f": "UK GDPR Article 6(1)(f) legitimate interests",
        "6a": "UK GDPR Article 6(1)(a) consent",
        "P3_necessary": "DPA 2018 s.35(2)(b) necessary for a law-enforcement task",
        "P3_consent": "DPA 2018 s.35(2)(a) consent",
    },
    "safe": {"yes": "Safe to use", "no": "Not safe to use", "unknown": "Not known: do not use"},
    "answer": {"yes": "Yes", "no": "No", "dont_know": "Don't know", "not_asked": "Not asked"},
}
