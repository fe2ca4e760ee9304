"""The signed statement inside every envelope: a compact JWS, padded; the recipient's evidence.

Part of hub-event+jwe v1 (FROZEN, see envelope.py); envelope.py re-exports what callers need. It
does not use hubformats.jws, because joserfc cannot do two things. The padding is put into the
base64url text unencoded, and 256 KiB are verified without decoding."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID

from hubformats.canonical import CanonicalError, b64u, canonical, parse, unb64u
from hubformats.keys import KeyRefused, KeySource, SigningKey, VerificationKey

BUCKETS: Final = (
    4096,
    16384,
    65536,
    262144,
)  # a statement's length tells only which of these it needed

Code = Literal[
    "too-large",
    "malformed",
    "not-for-us",
    "unknown-key",
    "wrong-algorithm",
    "not-decryptable",
    "digest-mismatch",
    "bad-signature",
    "key-compromised",
    "claims-mismatch",
    "wrong-recipient",
]

_TYP: Final = "hub-event+jws"
_CLAIMS: Final = {
    "iss",
    "jti",
    "iat",
    "aud",
    "type",
    "version",
    "stream",
    "seq",
    "salt",
    "data",
    "pad",
}
_LATEST: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
_COUNTER_MAX: Final = 2**53 - 1
_ROUTING_NAME: Final = re.compile(r"[!-~]{1,128}")
_PADDING: Final = "MDAw"
"""Three characters 0 in base64url."""
_WORTH_CUTTING: Final = _PADDING * 16


class EnvelopeRefused(Exception):
    """An envelope was not accepted.

    Carries a code and nothing of the envelope, so it may be logged and counted.
    """

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code: Code = code


class EnvelopeTooLarge(ValueError):
    """The data does not fit the largest statement (256 KiB); nothing was sealed."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A signed statement whose signature and signer were checked: who said what to whom, when."""

    id: UUID
    source: str
    to: tuple[str, ...]
    stream: str
    seq: int
    type: str
    version: int
    data: dict[str, Any]
    issued_at: datetime


def sign_statement(claims: Mapping[str, Any], sender: SigningKey) -> bytes:
    """Sign `claims` (all of v1 except `pad`) as a compact JWS.

    It is padded to the smallest bucket that holds it.

    Raises EnvelopeTooLarge past 256 KiB, CanonicalError for data JSON cannot carry exactly,
    ValueError for claims no recipient would accept.
    """
    _read({**claims, "pad": ""})
    header = _header_of(sender.kid)
    # "pad" sorts between these two halves, so the padded text is canonical without serialising the
    # data twice.
    before = canonical({name: value for name, value in claims.items() if name < "pad"})
    after = canonical({name: value for name, value in claims.items() if name > "pad"})
    bare = len(before) + len(after) + len(',"pad":""') - len("}{") + len(",")
    fixed = len(header) + len("..") + 86  # 86: a 64-byte signature in base64url
    room = next((fits for bucket in BUCKETS if (fits := (bucket - fixed) * 3 // 4) >= bare), None)
    if room is None:
        raise EnvelopeTooLarge("the data does not fit 256 KiB")
    payload = _encoded_padded(before[:-1] + b',"pad":"', room - bare, b'",' + after[1:])
    signed = f"{header}.{payload}".encode()
    return signed + b"." + b64u(sender.sign(signed)).encode()


def signing_key_id(jws: str) -> str:
    """Return the id of the key that signed a statement; its signature was checked before."""
    return str(encoded_object(jws.split(".", 1)[0])["kid"])


@lru_cache(maxsize=64)
def _header_of(kid: str) -> str:
    return b64u(canonical({"alg": "ES256", "kid": kid, "typ": _TYP}))


def _encoded_padded(before: bytes, zeros: int, after: bytes) -> str:
    """Encode as base64url: `before`, that many characters 0, then `after`.

    What only pads need not be encoded.
    """
    lead = min(-len(before) % 3, zeros)
    whole, rest = divmod(zeros - lead, 3)
    if (len(before) + lead) % 3:
        return b64u(before + b"0" * zeros + after)
    return b64u(before + b"0" * lead) + _PADDING * whole + b64u(b"0" * rest + after)


def verify_statement(jws: str, keys: KeySource, arrived: datetime | None = None) -> Statement:
    """Check form, algorithm and signature of a statement, and that its key's owner is the issuer.

    What a key signed before it was compromised stays valid, if it also `arrived` before. Whoever
    has a stolen key can write any time into what is signed. Without a time of arrival the signed
    one counts alone. Says nothing about who may read it; compare `to` yourself.

    Raises EnvelopeRefused.
    """
    if len(jws) > BUCKETS[-1]:
        raise EnvelopeRefused("too-large")
    parts = jws.split(".")
    if len(parts) != 3:
        raise EnvelopeRefused("malformed")
    key = _verification_key(encoded_object(parts[0]), keys)
    since = key.compromised_since
    try:
        checking = key if since is None else replace(key, status="retired")
        checking.verify(f"{parts[0]}.{parts[1]}".encode(), octets(parts[2]))
    except KeyRefused:
        raise EnvelopeRefused("bad-signature") from None
    said = _statement(strict_object(_octets_padded(parts[1])))
    if since is not None and max(said.issued_at, arrived or said.issued_at).timestamp() >= since:
        raise EnvelopeRefused("key-compromised")
    if said.source != key.owner:
        raise EnvelopeRefused("claims-mismatch")
    return said


def _octets_padded(text: str) -> bytes:
    """Return `octets(text)` for any text; what only pads need not be decoded.

    Whole groups of four decode on their own. So a run of MDAw at a whole group can be taken out and
    put back as zeros.
    """
    start = text.find(_WORTH_CUTTING)
    if start < 0 or start % 4:
        return octets(text)
    whole, rest = divmod(text.rfind(_WORTH_CUTTING) + len(_WORTH_CUTTING) - start, 4)
    end = start + 4 * whole
    if rest or text[start:end] != _PADDING * whole:
        return octets(text)
    return octets(text[:start]) + b"000" * whole + octets(text[end:])


def _verification_key(header: Mapping[str, Any], keys: KeySource) -> VerificationKey:
    if (
        set(header) != {"alg", "kid", "typ"}
        or header["typ"] != _TYP
        or not isinstance(header["kid"], str)
    ):
        raise EnvelopeRefused("malformed")
    key = keys.verification(header["kid"])
    if key is None:
        raise EnvelopeRefused("unknown-key")
    if key.alg != header["alg"]:
        raise EnvelopeRefused("wrong-algorithm")
    return key


def _statement(claims: Mapping[str, Any]) -> Statement:
    try:
        return _read(claims)
    except ValueError:
        raise EnvelopeRefused("malformed") from None


def _read(claims: Mapping[str, Any]) -> Statement:
    if (
        set(claims) != _CLAIMS
        or not isinstance(claims["data"], dict)
        or not isinstance(claims["pad"], str)
    ):
        raise ValueError("not the claims of a statement")
    if len(unb64u(claims["salt"])) < 16:  # with less, who knows `pd` could guess the text
        raise ValueError("the salt is too short")
    return Statement(
        id=identifier(claims["jti"]),
        source=routing_name(claims["iss"]),
        to=routing_names(claims["aud"]),
        stream=routing_name(claims["stream"]),
        seq=counter(claims["seq"]),
        type=routing_name(claims["type"]),
        version=counter(claims["version"]),
        data=claims["data"],
        issued_at=datetime.fromtimestamp(counter(claims["iat"], most=_LATEST), UTC),
    )


def strict_object(value: bytes) -> dict[str, Any]:
    """Read a JSON object strictly. Raises EnvelopeRefused("malformed")."""
    try:
        found = parse(value)
    except CanonicalError:
        raise EnvelopeRefused("malformed") from None
    if not isinstance(found, dict):
        raise EnvelopeRefused("malformed")
    return found


def encoded_object(text: str) -> dict[str, Any]:
    """Read a JSON object from a base64url member. Raises EnvelopeRefused("malformed")."""
    return strict_object(octets(text))


def octets(text: str) -> bytes:
    """Decode a base64url member. Raises EnvelopeRefused("malformed")."""
    try:
        return unb64u(text)
    except CanonicalError:
        raise EnvelopeRefused("malformed") from None


def identifier(text: object) -> UUID:
    """Read a UUID in its one spelling (RFC 9562 section 4, lower case). Raises ValueError."""
    if not isinstance(text, str) or str(found := UUID(text)) != text:
        raise ValueError("not an identifier in its one spelling")
    return found


def routing_name(text: object) -> str:
    """Check a routing name: 1 to 128 printable ASCII characters, no spaces, for headers and logs.

    Raises ValueError.
    """
    if not isinstance(text, str) or _ROUTING_NAME.fullmatch(text) is None:
        raise ValueError("not a routing name")
    return text


def routing_names(names: object) -> tuple[str, ...]:
    """Read routing names: sorted, none twice. Raises ValueError."""
    if (
        not isinstance(names, list)
        or not names
        or names != sorted({routing_name(name) for name in names})
    ):
        raise ValueError("not a sorted list of routing names")
    return tuple(names)


def counter(number: object, *, most: int = _COUNTER_MAX) -> int:
    """Read a whole number from 0 to `most`. Raises ValueError."""
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
        raise ValueError("not a counter")
    return number
