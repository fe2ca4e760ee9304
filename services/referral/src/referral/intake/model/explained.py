"""Says what each field of the referral forms asks for.

A partner's developer reads these words in the OpenAPI document.
"""

from collections.abc import Mapping
from typing import Final

EXPLAINED: Final[Mapping[str, Mapping[str, str]]] = {
    "Name": {
        "full": "The name as known, also when it is only part of one.",
        "knownAs": "The name to use when speaking with the person.",
    },
    "Address": {
        "lines": "The address without its postcode, one line an entry.",
        "postcode": "The postcode, with or without its space.",
        "areaCode": "One of the area's own names for its parts, from areaCodes of GET "
        "/v1/code-lists.",
        "landlord": "Who lets the home, if known.",
        "shielded": "true when nobody may learn this address: it is sent to nobody, and is taken "
        "out of texts.",
    },
    "Person": {
        "ref": "A name of your choice for this entry, used within this form only: small letters, "
        "digits and hyphens.",
        "role": "What this person is in the case. Exactly one entry is the victim.",
        "name": "The person's name. The victim needs one.",
        "aliases": "Other names the person goes by.",
        "birthDates": "Every date of birth that is possible, such as 2026-01-31; more than one "
        "when reports differ.",
        "nhsNumber": "Ten digits with a right check digit; spaces are taken out.",
        "gender": "As the person says, in your own words.",
        "phone": "A number on record. It says nothing about being safe to call: that is "
        "safeContact.",
        "addresses": "Where the person lives or stays. The victim needs a date of birth or an "
        "address.",
        "language": "The language the person speaks best.",
        "interpreterNeeded": "Whether an interpreter is needed.",
        "careAndSupportNeeds": "Disability, health, care or support needs, in your own words.",
        "relationshipToVictim": "What this person is to the victim.",
        "school": "The school or nursery.",
        "doctor": "The GP practice.",
        "whereabouts": "Where the person is now, such as in custody or released.",
        "employer": "Where the person works or studies.",
        "immigrationStatus": "Kept, and never shared with police or enforcement.",
    },
    "ContactMeans": {
        "channel": "The kind of contact. A postal or meeting address is treated as an address.",
        "value": "The number or address itself.",
        "safe": "Whether it is safe to use. Unknown counts as not safe.",
        "times": "On which days, at what times.",
        "voicemail": "Whether a message may be left; never, if left out.",
        "whoMayAnswer": "Who else may pick up, and what may be said to them.",
    },
    "SafeContact": {
        "status": "known needs at least one entry in means; unknown is a good answer and means "
        "that nobody contacts her.",
        "means": "Each way to reach the victim, the unsafe ones too.",
        "deviceMonitored": "Whether somebody watches her phone or other device.",
        "codeWord": "A word by which she knows that a caller is who they say.",
        "safeToTalkTo": "People who may be spoken to about it.",
        "notSafeToTalkTo": "People who must not hear of it.",
        "lastVerified": "The day she last said that this holds. Without it, or when it is older "
        "than the area's rules allow, nobody contacts her.",
    },
    "Incident": {
        "occurredAt": "When it happened, with its time zone, such as 2026-01-31T21:40:00Z; not in "
        "the future.",
        "place": "Where it happened.",
        "summary": "What happened, in your own words.",
        "crimeReference": "The police's crime reference.",
        "officerInCase": "Who leads the investigation.",
        "childrenPresent": "Whether children saw or heard it. Yes tells children's social care.",
        "weapons": "Weapons used, shown or threatened.",
    },
    "RiskAnswer": {
        "concept": "Which question of the instrument this answers; its concepts are in GET "
        "/v1/code-lists.",
        "answer": "The answer. dont_know is an answer of its own, and is not counted as no.",
        "source": "Who said so: the victim, if left out.",
        "note": "What was said beside the answer; shown with it.",
    },
    "Judgement": {
        "raises": "Always true: professional judgement can raise the level and never lower it.",
        "reason": "Why the level should be higher than the answers make it.",
    },
    "Risk": {
        "instrument": "Which risk assessment was used.",
        "version": "Its version, one of those in GET /v1/code-lists.",
        "assessedOn": "The day of the assessment; not in the future.",
        "assessorRole": "The role of whoever made it.",
        "answers": "Each concept at most once; what is left out counts as not asked.",
        "judgement": "Leave it out unless professional judgement raises the level.",
    },
    "ConsentAnswers": {
        "aware": "Whether the victim knows of this referral.",
        "agreesToSupport": "Whether she agrees to be offered support. Only yes tells victim "
        "support.",
        "lawfulBasis": "On which basis you send this; the codes are in GET /v1/code-lists.",
        "condition": "The condition for special-category data; none if there is none.",
        "gateway": "The law that lets you share; none if there is none.",
        "withoutAgreementReason": "Why it is sent although she does not agree or was not asked.",
        "victimsView": "What she wants to happen, in her words if possible.",
    },
    "Referrer": {
        "role": "The role or desk that sends this and can be asked about it.",
        "phone": "Its telephone number.",
        "email": "Its e-mail address.",
    },
    "FullReferral": {
        "form": "full: this is the whole form.",
        "kind": "What the referral is about.",
        "area": "The area whose rules and agreement apply, such as northmoor.",
        "source": "How it reached you. third_party when somebody else told you: you then hear "
        "only that it was taken in.",
        "externalReference": "Your own reference, shown back to you only. A full form that stands "
        "alone needs one that you did not use before.",
        "completes": "The referralId (a UUID, from the answer to the urgent form; not your "
        "reference) of your urgent referral that this form completes. "
        "It can be completed once; sent again, the form is answered 409 already-completed with "
        "the referral it became.",
        "referrer": "Who sends this and can be asked about it.",
        "reason": "Why you refer, in your own words.",
        "people": "Everybody on the case, with exactly one victim.",
        "incident": "What happened.",
        "risk": "The risk assessment. Leave it out when none was made; the hub computes the level.",
        "safeContact": "How the victim may be reached safely.",
        "consent": "Whether she knows, whether she agrees to support, and on what basis you send "
        "this.",
    },
    "Callback": {
        "phone": "The number to call back on.",
        "note": "When and how, and who may answer.",
    },
    "UrgentReferral": {
        "form": "urgent: somebody is in danger now.",
        "externalReference": "Your own reference, shown back to you only; it may have been used "
        "before.",
        "area": "The area whose rules apply; your own area if left out.",
        "name": "Who is in danger, as far as known; left out when nobody knows, as after a silent "
        "call.",
        "place": "Where the danger is.",
        "danger": "What the danger is, in your own words.",
        "callback": "How she may be called back, do_not_call, or unknown. Left out it is unknown, "
        "which means: do not call.",
        "placeShielded": "true when nobody may learn this place: it is sent to nobody, and is "
        "taken out of texts.",
    },
}
