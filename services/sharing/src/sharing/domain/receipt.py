"""A saved receipt: the recipient's system of record signs that it holds exactly the ciphertext it
was given."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from hubformats.canonical import CanonicalError, b64u, parse, unb64u
from hubformats.keys import KeyRefused, VerificationKey

RECEIPT_TYPE: Final = "hub-saved-receipt+jws"
_LIMIT: Final = 8_192
_CLAIMS: Final = {"iss", "dl", "ed", "savedAt", "system", "jti"}


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


def key_id(receipt: str) -> str:
    """The key id a receipt names, to be asked for before checking it. Raises ReceiptRefused."""
    return str(_header(receipt)["kid"])


def check_receipt(
    receipt: str,
    *,
    agency: str,
    delivery_id: UUID,
    delivered: Collection[str],
    key: Callable[[str], VerificationKey | None],
) -> Saved:
    """Verify that `agency` signed for this delivery and for exactly one of the envelopes it was
    given. Raises ReceiptRefused.
    """
    header = _header(receipt)
    found = key(header["kid"])
    if found is None:
        raise ReceiptRefused("receipt-key-unknown")
    if found.owner != agency:
        raise ReceiptRefused("receipt-signed-by-another")
    head, body, mac = receipt.split(".")
    try:
        found.verify(f"{head}.{body}".encode(), unb64u(mac))
    except (KeyRefused, CanonicalError):
        raise ReceiptRefused("receipt-signature-wrong") from None
    claims = _object(body)
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


def _header(receipt: str) -> dict[str, Any]:
    if len(receipt) > _LIMIT or receipt.count(".") != 2 or not receipt.isascii():
        raise ReceiptRefused("receipt-malformed")
    header = _object(receipt.partition(".")[0])
    if (
        set(header) != {"alg", "kid", "typ"}
        or header["alg"] != "ES256"
        or header["typ"] != RECEIPT_TYPE
        or not isinstance(header["kid"], str)
    ):
        raise ReceiptRefused("receipt-header-wrong")
    return header


def _object(part: str) -> dict[str, Any]:
    try:
        found = parse(unb64u(part), max_bytes=_LIMIT)
    except CanonicalError:
        raise ReceiptRefused("receipt-malformed") from None
    if not isinstance(found, dict):
        raise ReceiptRefused("receipt-malformed")
    return found


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ReceiptRefused("receipt-malformed") from None
    if at.tzinfo is None:
        raise ReceiptRefused("receipt-malformed")
    return at.astimezone(UTC)


def delivery_of(receipt: str) -> UUID:
    """The delivery a receipt says it is about, unverified, to be looked up before checking it.

    Raises ReceiptRefused.
    """
    _header(receipt)
    named = _object(receipt.split(".")[1]).get("dl")
    try:
        return UUID(str(named))
    except ValueError:
        raise ReceiptRefused("receipt-malformed") from None
