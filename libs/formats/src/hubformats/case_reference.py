"""The reference by which one agency, and no other, knows a case (design section 5)."""

import hashlib
import hmac
from uuid import UUID

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SYMBOLS = 12


def case_reference(secret: bytes, agency: str, case_id: UUID) -> str:
    """Make `agency`'s own reference for a case, such as ``NM-7F3K-9QXA-2C4T``.

    60 bits of HMAC-SHA256 under the hub's pair secret, in Crockford base 32. Two agencies who
    compare references do not learn whether they hold the same case.
    """
    mac = hmac.digest(
        secret, b"case-reference\0" + agency.encode() + b"\0" + case_id.bytes, hashlib.sha256
    )
    number = int.from_bytes(mac[:8], "big") >> 4
    symbols = "".join(
        _ALPHABET[number >> 5 * (_SYMBOLS - 1 - place) & 31] for place in range(_SYMBOLS)
    )
    return f"NM-{symbols[:4]}-{symbols[4:8]}-{symbols[8:]}"


def normalised_reference(typed: str) -> str:
    """Return a typed case reference in the form it is stored.

    Forgives case, spaces and Crockford's look-alike letters.
    """
    plain = typed.upper().replace(" ", "").replace("-", "")
    body = plain.removeprefix("NM").translate(str.maketrans("OIL", "011"))
    return f"NM-{body[:4]}-{body[4:8]}-{body[8:]}"
