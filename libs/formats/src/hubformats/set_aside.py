"""Why an envelope was set aside, in words, and what its sender should do about it."""

from collections.abc import Mapping
from typing import Final, Literal

Advice = Literal["correct-and-send-anew", "wait", "ask-the-hub"]

ADVICE: Final[Mapping[Advice, str]] = {
    "correct-and-send-anew": "Correct it and send it anew, as a new event; this one is not tried "
    "again.",
    "wait": "Do not send it again: it is kept, and the hub's desk tries it again.",
    "ask-the-hub": "Ask the hub's desk before you send anything again.",
}
"""What to do, for people."""

JUDGE_EACH: Final = (
    "Nothing is undone by itself. Of each that was not yours: see that your own system holds the "
    "delivery it names, and tell the hub's desk; forbid disclosure on a referral that was not "
    "yours."
)
"""What to do about what a compromised key had signed and the hub had used."""

REASONS: Final[Mapping[str, str]] = {
    # said of an envelope whose sender is proven
    "event-unknown": "the hub does not know this kind of event, or not this version of it",
    "event-malformed": "the event's fields are not those of its kind",
    "event-not-handled": "this service has no use for this kind of event",
    "wrong-topic": "this kind of event does not belong on this topic",
    "handler-failed": "the hub failed on it; its desk has been told",
    "agency-suspended": "the sending agency was suspended",
    "not-found": "the sender was not given such a delivery",
    "validation-failed": "a field holds what the hub does not know, such as a role",
    "nothing-to-answer": "only a correction or a withdrawal is answered",
    "receipt-malformed": "the receipt cannot be read",
    "receipt-refused": "the receipt does not fit what was delivered",
    "not-referral": "only the referral service may say this",
    "not-the-log": "only the audit log may say this",
    "time-went-back": "it tells of a time before one that was told already",
    # said of bytes that nobody vouches for
    "bad-signature": "its signature is wrong: a forgery, or damaged on the way",
    "key-compromised": "its key was somebody else's too when it was signed, or when it came",
    "unknown-key": "nobody in the directory has the key that signed it",
    "wrong-algorithm": "it is signed or sealed by an algorithm that is not allowed",
    "wrong-source": "its sender may not speak on this topic",
    "wrong-recipient": "it is for somebody else",
    "not-for-us": "it is sealed to somebody else",
    "not-decryptable": "no key of this service opens it, or it was changed",
    "claims-mismatch": "what is signed inside differs from what stands outside",
    "digest-mismatch": "its content differs from its digest",
    "headers-mismatch": "its headers differ from the envelope",
    "malformed": "it is not an envelope of the hub",
    "too-large": "it is too large",
}
"""What each reason code means."""

_WAIT: Final = frozenset({"handler-failed", "agency-suspended", "time-went-back"})


def advice_for(reason: str) -> Advice:
    """Say what the proven sender of an envelope set aside for `reason` should do."""
    if reason in _WAIT:
        return "wait"
    return "correct-and-send-anew" if reason in REASONS else "ask-the-hub"


def why(reason: str) -> str:
    """Say a reason in words; one that is not known here stays a code."""
    return REASONS.get(reason, f"reason {reason}")
