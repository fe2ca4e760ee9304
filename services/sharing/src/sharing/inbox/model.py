"""A delivery in an agency's inbox, and the receipt by which the agency says that it is saved."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from common.access import Proof
from hubformats import jws
from hubformats.canonical import b64u
from hubformats.keys import VerificationKey
from sharing.content.model.projection import Kind
from sharing.disclosures.model.answers import Answer
from sharing.disclosures.model.disclosure import Disclosure

_SEAL: Final = object()
Only = Literal["withdrawal"] | None
"""What an agency asks of its inbox: withdrawals alone, which no veto keeps back, or all."""
RECEIPT_TYPE: Final = "hub-saved-receipt+jws"
_CLAIMS: Final = {"iss", "dl", "ed", "savedAt", "system", "jti"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One sealed envelope in an agency's inbox, at its place in that inbox alone."""

    position: int
    delivery_id: UUID
    kind: Kind
    envelope: bytes
    digest: str
    event_id: UUID
    visible_at: datetime


class InboxState(StrEnum):
    """The furthest thing a recipient has said about a delivery."""

    DELIVERED = "delivered"
    SAVED = "saved"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Shown:
    """An inbox item as its agency sees it.

    `case_id` and `referrer` are for the audit log, never for the agency. `vetoes` are those that
    the newest decision on the case took into account.
    """

    delivery: Delivery
    case_id: UUID
    referrer: str
    saved_at: datetime | None
    acknowledged_at: datetime | None
    vetoes: frozenset[UUID] = frozenset()
    opened_at: datetime | None = None
    answer_due: datetime | None = None
    answered_at: datetime | None = None
    answer: Answer | None = None
    duty: str | None = None

    @property
    def standing(self) -> InboxState:
        """The furthest thing the recipient has said about it."""
        if self.acknowledged_at:
            return InboxState.ACKNOWLEDGED
        return InboxState.SAVED if self.saved_at else InboxState.DELIVERED


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A sealed package to an agency that may not have left.

    `shown` is None for one that was taken back, or whose row was altered.
    """

    event_id: UUID
    recipient: str
    shown: Shown | None


@dataclass(frozen=True, slots=True)
class AuthorisedDelivery(Proof):
    """A delivery, with every envelope that `recipient` was given of it, oldest first.

    Only a lookup scoped to the recipient makes one: see `authorised_delivery`.
    """

    recipient: str
    disclosure: Disclosure
    shown: tuple[Shown, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse every maker that is not this module."""
        if seal is not _SEAL:
            raise TypeError("an authorised delivery comes from a lookup only")


def authorised_delivery(
    recipient: str, disclosure: Disclosure, shown: tuple[Shown, ...]
) -> AuthorisedDelivery:
    """Make the proof. For repositories; tests/architecture lists every caller."""
    return AuthorisedDelivery(recipient, disclosure, shown, _SEAL)


class ReceiptRefused(ValueError):
    """A receipt that proves nothing.

    `code` names the defect; the receipt is never part of the message.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Saved:
    """What a verified receipt says. `digest` is SHA-256 over the receipt's own bytes."""

    agency: str
    delivery_id: UUID
    envelope_digest: str
    saved_at: datetime
    digest: str


_REFUSED: Final = {
    "malformed": "receipt-malformed",
    "header": "receipt-header-wrong",
    "signature": "receipt-signature-wrong",
}


def key_id(receipt: str) -> str:
    """Read the key id a receipt names, to ask for it before the check. Raises ReceiptRefused."""
    try:
        return jws.key_id(receipt, typ=RECEIPT_TYPE)
    except jws.JwsRefused as refused:
        raise ReceiptRefused(_REFUSED[refused.code]) from None


def delivery_of(receipt: str) -> UUID:
    """Read the delivery a receipt says it is about, unverified, to look it up before checking it.

    Raises ReceiptRefused.
    """
    key_id(receipt)
    try:
        return UUID(str(jws.claims_of(receipt).get("dl")))
    except (jws.JwsRefused, ValueError):
        raise ReceiptRefused("receipt-malformed") from None


def check_receipt(
    receipt: str,
    *,
    agency: str,
    delivery_id: UUID,
    delivered: Collection[str],
    key: Callable[[str], VerificationKey | None],
) -> Saved:
    """Verify that `agency` signed for this delivery and for one of the envelopes it was given.

    Raises ReceiptRefused.
    """
    found = key(key_id(receipt))
    if found is None:
        raise ReceiptRefused("receipt-key-unknown")
    if found.owner != agency:
        raise ReceiptRefused("receipt-signed-by-another")
    try:
        claims = jws.verify(receipt, found, typ=RECEIPT_TYPE)
    except jws.JwsRefused as refused:
        raise ReceiptRefused(_REFUSED[refused.code]) from None
    if set(claims) - {"iat"} != _CLAIMS or not all(
        isinstance(claims[name], str) and 0 < len(claims[name]) <= 200 for name in _CLAIMS
    ):
        raise ReceiptRefused("receipt-malformed")
    if claims["iss"] != agency or claims["dl"] != str(delivery_id):
        raise ReceiptRefused("receipt-for-another-delivery")
    if claims["ed"] not in delivered:
        raise ReceiptRefused("receipt-for-another-envelope")
    return Saved(
        agency,
        delivery_id,
        claims["ed"],
        _moment(claims["savedAt"]),
        b64u(hashlib.sha256(receipt.encode()).digest()),
    )


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ReceiptRefused("receipt-malformed") from None
    if at.tzinfo is None:
        raise ReceiptRefused("receipt-malformed")
    return at.astimezone(UTC)
