"""What codes of audit records mean: reasons, roles, strengths of sign-in, and forms."""

from typing import Final

from hubformats.wording import ANSWERS

REASONS: Final[dict[str, str]] = {
    "must-not-disclose": "A must-not-disclose marking covers this agency or this information",
    "location-shield": "The address is shielded; what gives it away leaves to nobody",
    "conflict": "A conflict of interest is recorded for this agency",
    "employee-subject": "Somebody on the case works for this agency",
    "informant": "The identity of the person who reported is protected",
    "informant-never": "Who reported is never shared automatically",
    "legal-hold": "A legal hold covers this information",
    "own-facts": "This agency made the referral; it is not told its own facts",
    "immigration-firewall": "Immigration status is never shared with police or enforcement",
    "suspended": "The agency is suspended",
    "no-clause": "No clause of the agreement covers this",
    "review-lapsed": "The agreement's review date has passed",
    "not-in-force": "The agreement is not in force yet",
    "essential-withheld": "Without what is withheld, the rest would serve no purpose",
    "rule-failed": "A rule could not be evaluated, so nothing left",
    "nothing-new": "The agency has been told all of this already",
    "no-answer": "Nobody could say whether it may leave, so it waited",
    "newer-version": "The case had changed since it was decided",
    "stream-held": "An earlier message about the case was not settled",
    "directory-stale": "The list of agencies and keys was too old to rely on",
    "recipient-suspended": "The recipient agency is suspended",
    "recipient-without-key": "The recipient agency has no key to seal to",
    "release-failed": "It could not be sent",
    "audit-rejected": "The log did not accept its entry",
    "proof-wrong": "Its proof did not verify",
    "veto": "Somebody has said that it must not leave",
    "stopped": "It was taken back, or a correction took its place",
    "altered": "What is stored of it was changed behind the service's back",
    "superseded": "A newer decision took its place",
    "key-destroyed": "Its content has been erased",
    "promise-overdue": "The proof that was promised had not come within the hour",
    "promise-kept": "The proof that was promised has followed",
    "answer-overdue": "Nobody answered in time",
    "answer-asked-late": "It turned out to have been read",
    **ANSWERS,
    "in-force-already": "The same veto was in force already",
    "lifting-asked": "Somebody asked to lift a veto",
    "lifting-lapsed": "Nobody confirmed a lifting in time; the veto stays",
    "lifting-confirmed": "A second person confirmed, and the veto was lifted",
    "lifting-refused": "The veto was left in force",
    "second-look-taken": "A privacy officer took it to look at",
    "second-look-reasonable": "Reasonable",
    "second-look-ask-the-person": "The person is to be asked",
    "second-look-escalate": "Escalated",
    "second-look-acted-on": "Something was done about it",
}
"""Codes of refusals to share (the agreement's vetoes), of what stops a release, and answers."""

ROLES: Final[dict[str, str]] = {
    "idva": "Independent domestic violence adviser (IDVA)",
    "idva_manager": "IDVA service manager",
    "marac_coordinator": "MARAC coordinator",
    "privacy_officer": "Privacy officer",
    "auditor": "Auditor",
    "operator": "Hub operator",
}
SIGN_INS: Final[dict[str, str]] = {
    "urn:hub:acr:demo": "Demonstration sign-in, without a second factor",
    "urn:hub:acr:passkey": "Passkey",
    "urn:hub:acr:totp": "Password and one-time code",
}
FORMS: Final[dict[str, str]] = {
    "referral.full": "The full referral form",
    "referral.urgent": "The urgent referral form",
    "marking.must_not_disclose": "A must-not-disclose marking",
    "marking.location_shield": "An address shield",
    "marking.conflict": "A conflict of interest",
    "marking.employee_subject": "A person of the case who works for an agency",
    "marking.informant": "Protection of who told",
    "marking.legal_hold": "A legal hold",
    "marking": "The vetoes on the case",
}
"""What stands in place of categories where a form or a marking was taken in whole."""
HUMANS: Final[dict[str, str]] = {
    "named": "A named person",
    "instruction": "A rule, on a person's lawful instruction",
    "none": "A rule, and no person",
}
CLOCKS: Final[dict[str, str]] = {"system": "The machine's own clock"}
