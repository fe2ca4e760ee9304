"""Between sharing and one agency: sealed packages out on ``hub.disclosure.<agency>.v1``, receipts
in on ``hub.inbound.<agency>.v1``."""

from datetime import datetime
from typing import ClassVar, Final, Literal
from uuid import UUID

from hubformats.event import Event, Part, Vocabulary


class Promise(Part):
    """State that an entry will be in the log by `due`: the emergency path's signed promise.

    The entry is durable at its producer.
    """

    src: str
    ep: int
    seq: int
    h: str
    due: datetime


class DisclosurePackage(Event):
    """A disclosure with everything needed to check, offline, that it was logged first.

    Binary fields are base64url.

    `content` are the exact canonical bytes C; `dc` in the record is SHA-256(0x51 ‖ content_salt ‖
    C). Exactly one of
    `proof` (C2SP tlog-proof text) and `promise` is given.
    """

    TYPE: ClassVar[str] = "hub.disclosure-package"
    VERSION: ClassVar[int] = 1

    kind: Literal["disclosure", "correction", "withdrawal", "notice"]
    delivery_id: UUID
    content: str
    content_salt: str
    record: str
    record_salt: str
    leaf: str = ""
    proof: str = ""
    promise: Promise | None = None


class SavedReceipt(Event):
    """The recipient's system of record holds the delivery.

    `receipt` is a compact JWS by the agency's signing key.

    Its ``typ`` header is ``hub-saved-receipt+jws``. Its claims are ``iss`` (agency), ``dl``
    (delivery id), ``savedAt`` (RFC 3339), ``system`` and ``jti``. ``ed`` is the base64url SHA-256
    of the envelope as delivered. The same receipt may be posted to the API.
    """

    TYPE: ClassVar[str] = "hub.saved-receipt"
    VERSION: ClassVar[int] = 1

    receipt: str


TakingUp = Literal[
    "idva",
    "idva_manager",
    "victim_support_worker",
    "stalking_advocate",
    "isva",
    "police_officer",
    "marac_coordinator",
    "social_worker",
    "safeguarding_lead",
    "health_practitioner",
    "housing_officer",
    "probation_practitioner",
    "perpetrator_programme_worker",
    "practitioner",
]
"""Roles that take a delivery up, as the hub knows them; `practitioner` for any other.

Never a name, which would stand in the log.
"""


class DeliveryAcknowledged(Event):
    """The recipient says a named role has taken it up; not the same as saved."""

    TYPE: ClassVar[str] = "hub.delivery-acknowledged"
    VERSION: ClassVar[int] = 1

    delivery_id: UUID
    acknowledged_at: datetime
    role: str


class EnvelopeSetAside(Event):
    """An authentic envelope of yours could not be applied: nothing in it took effect.

    Its refusal is in the audit log, at `log_index`, before this leaves. `digest` is SHA-256 of the
    envelope as it came (base64url); the codes are those of `hubformats.set_aside`.
    """

    TYPE: ClassVar[str] = "hub.envelope-set-aside"
    VERSION: ClassVar[int] = 1

    notice_id: UUID
    event_id: UUID
    digest: str
    reason_code: str
    advice: Literal["correct-and-send-anew", "wait", "ask-the-hub"]
    received_at: datetime
    log_index: int


class UsedItem(Part):
    """One message or case of an agency that may rest on a key which somebody else has.

    `kind` is the event's type, such as ``hub.saved-receipt``; ``case`` for a case of which a new
    version came. It is None for a message taken in before the hub kept more than its id. Without
    `certain` the key is not known.
    """

    kind: str | None
    certain: bool
    taken_in_at: datetime
    event_id: UUID | None = None
    delivery_id: UUID | None = None
    case_reference: str | None = None


class KeyUsed(Part):
    """What a compromised key had signed that was used before the hub knew: counts, and the first.

    `messages` were signed by it. `older` may be, as the hub did not keep keys then. Of `cases` a
    new version came since, whoever sent it. `items` names a hundred at most.
    """

    key_id: str
    compromised_since: datetime
    messages: int
    older: int
    cases: int
    items: tuple[UsedItem, ...] = ()


class CompromisedKeyUsed(Event):
    """A key of yours was retired as compromised, and some of what it signed had been used before.

    Nothing is undone by itself: look at each. The look is in the audit log, at `log_index`, before
    this leaves.
    """

    TYPE: ClassVar[str] = "hub.compromised-key-used"
    VERSION: ClassVar[int] = 1

    notice_id: UUID
    used: KeyUsed
    found_at: datetime
    log_index: int


class DeliveryStopped(Event):
    """A delivery was taken back before it left: this stands at its place and under its number.

    It carries no fact and no reason; a withdrawal or a correction follows. Some of it may have been
    read by the API, so stop using it.
    """

    TYPE: ClassVar[str] = "hub.delivery-stopped"
    VERSION: ClassVar[int] = 1

    delivery_id: UUID


class DisclosureAnswered(Event):
    """The recipient of a correction or a withdrawal says what it did with what it had read.

    `duty` is a code of the area's list, given exactly with ``kept_under_duty``. The same answer may
    be posted to the API.
    """

    TYPE: ClassVar[str] = "hub.disclosure-answered"
    VERSION: ClassVar[int] = 1

    delivery_id: UUID
    answer: Literal["corrected", "stopped_and_deleted", "kept_under_duty"]
    duty: str = ""
    answered_at: datetime


parse: Final = Vocabulary(
    (
        DisclosurePackage,
        SavedReceipt,
        DeliveryAcknowledged,
        DisclosureAnswered,
        EnvelopeSetAside,
        CompromisedKeyUsed,
        DeliveryStopped,
    )
).parse
"""Read what the hub and an agency say to each other."""
