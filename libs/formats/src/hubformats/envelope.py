"""hub-event+jwe v1: a signed statement (JWS) sealed to its recipients (JWE General JSON), with
routing data in the clear but bound.

FROZEN: tests/vectors/envelope holds the golden files. What another version needs is another `typ`.
"""

import hashlib
import hmac
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from hubformats.canonical import b64u, canonical
from hubformats.keys import (
    KeyRefused,
    KeySource,
    OpeningKey,
    RecipientKey,
    SigningKey,
    bare_jwk,
    point_of,
)
from hubformats.statement import (
    Code,
    EnvelopeRefused,
    EnvelopeTooLarge,
    Statement,
    counter,
    encoded_object,
    identifier,
    octets,
    routing_name,
    routing_names,
    sign_statement,
    strict_object,
    verify_statement,
)

__all__ = [
    "CONTENT_TYPE",
    "MAX_BYTES",
    "SEALED_TYPE",
    "Code",
    "EnvelopeRefused",
    "EnvelopeTooLarge",
    "Metadata",
    "Opened",
    "Statement",
    "digest",
    "headers_agree",
    "open_envelope",
    "peek",
    "routing_headers",
    "seal",
    "verify_statement",
]

SEALED_TYPE: Final = "hub.sealed.v1"
CONTENT_TYPE: Final = "application/jose+json"
MAX_BYTES: Final = 400_000  # the largest bucket in base64url, 64 recipients and the clear metadata
MAX_RECIPIENTS: Final = 64

_JWE_HEADER: Final = {"cty": "hub-event+jws", "enc": "A256GCM", "typ": "hub-event+jwe"}
_PROTECTED: Final = b64u(canonical(_JWE_HEADER))
_ENVELOPE_MEMBERS: Final = {"protected", "aad", "iv", "ciphertext", "tag", "recipients"}
_ENTRY_HEADER: Final = {"alg", "kid", "epk"}
_CLEAR_MEMBERS: Final = {"id", "type", "source", "to", "stream", "seq", "pd"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What anyone may read on an envelope before opening it: good for routing and metrics, never
    for a decision.
    """

    id: UUID
    type: str
    source: str
    to: tuple[str, ...]
    stream: str
    seq: int
    pd: str  # base64url SHA-256 of the statement inside


@dataclass(frozen=True, slots=True)
class Opened(Statement):
    """A statement taken from an envelope: `jws` is evidence to keep, `digest` names the exact
    envelope bytes.
    """

    jws: str
    digest: str


class Entropy(Protocol):
    """Where the random parts of an envelope come from; only the maker of the golden files has
    another than the system.
    """

    def octets(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        ...

    def ephemeral(self) -> ec.EllipticCurvePrivateKey:
        """A fresh P-256 key, used once."""
        ...


class SystemEntropy:
    """The operating system's randomness."""

    def octets(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        return secrets.token_bytes(count)

    def ephemeral(self) -> ec.EllipticCurvePrivateKey:
        """A fresh P-256 key, used once."""
        return ec.generate_private_key(ec.SECP256R1())


_SYSTEM: Final = SystemEntropy()


def seal(
    *,
    type: str,  # noqa: A002 - the published name of the claim
    version: int,
    data: Mapping[str, Any],
    sender: SigningKey,
    recipients: Sequence[RecipientKey],
    stream: str,
    seq: int,
    id: UUID,  # noqa: A002 - the published name of the claim
    issued_at: datetime,
) -> bytes:
    """Sign `data` as `sender` and seal it to `recipients` (one key per owner, at most 64): the
    value of a bus record.

    Raises EnvelopeTooLarge past 256 KiB, CanonicalError for data JSON cannot carry exactly,
    ValueError for bad routing.
    """
    to = sorted(key.owner for key in recipients)
    if not to or len(to) > MAX_RECIPIENTS or len(set(to)) != len(to):
        raise ValueError("an envelope has 1 to 64 recipients, one key each")
    if issued_at.tzinfo is None:
        raise ValueError("issued_at has no time zone")
    claims = {
        "iss": sender.owner,
        "jti": str(id),
        "iat": int(issued_at.timestamp()),
        "aud": to,
        "type": type,
        "version": version,
        "stream": stream,
        "seq": seq,
        "data": dict(data),
    }
    return _seal(claims, sender, recipients, _SYSTEM)


def open_envelope(
    value: bytes, *, me: str, opening: Mapping[str, OpeningKey], keys: KeySource
) -> Opened:
    """Open what was sealed to `me` and check every promise of the format.

    Raises EnvelopeRefused with the first that fails.

    On code "unknown-key" the caller refreshes `keys` and tries once more before it counts as a
    failure. Whether the event was seen before (source, id) and whether its stream has a gap are the
    inbox's questions, not asked here.
    """
    # 1. Size, before anything is parsed.
    if len(value) > MAX_BYTES:
        raise EnvelopeRefused("too-large")
    # 2. Structure: exactly the members of v1, once each.
    envelope = _envelope(value)
    clear = _clear(envelope["aad"])
    if len(envelope["recipients"]) != len(clear.to):
        raise EnvelopeRefused("malformed")
    # 3. An entry for a key of ours.
    entry, key = _own_entry(envelope["recipients"], me, opening)
    # 4. and 5. The algorithm is the key's, and the content key unwraps.
    cek = _unwrap(entry, key)
    # 6. Authenticated decryption over the octets as received, never over a second spelling of them.
    statement = _decrypt(envelope, cek)
    # 7. The digest that the hub logged is the digest of this text (AES-GCM alone does not commit to
    # one key).
    if not hmac.compare_digest(b64u(hashlib.sha256(statement).digest()), clear.pd):
        raise EnvelopeRefused("digest-mismatch")
    # 8. Signature by a known key. 9. Its owner is the issuer.
    if not statement.isascii():
        raise EnvelopeRefused("malformed")
    jws = statement.decode()
    said = verify_statement(jws, keys)
    # 10. What is signed inside equals what was read outside.
    if (said.id, said.source, said.to, said.stream, said.seq) != (
        clear.id,
        clear.source,
        clear.to,
        clear.stream,
        clear.seq,
    ):
        raise EnvelopeRefused("claims-mismatch")
    # 11. The signer meant it for us: an honest recipient cannot pass it on as if it had been.
    if me not in said.to:
        raise EnvelopeRefused("wrong-recipient")
    return Opened(
        id=said.id,
        source=said.source,
        to=said.to,
        stream=said.stream,
        seq=said.seq,
        type=said.type,
        version=said.version,
        data=said.data,
        issued_at=said.issued_at,
        jws=jws,
        digest=digest(value),
    )


def peek(value: bytes) -> Metadata:
    """The clear metadata, unverified: for routing, metrics and quarantine listings only.

    Raises EnvelopeRefused.
    """
    if len(value) > MAX_BYTES:
        raise EnvelopeRefused("too-large")
    return _clear(_envelope(value)["aad"])


def digest(value: bytes) -> str:
    """base64url SHA-256 of the envelope bytes: what a saved receipt is bound to."""
    return b64u(hashlib.sha256(value).digest())


def routing_headers(clear: Metadata) -> tuple[tuple[str, bytes], ...]:
    """The bus headers of an envelope (CloudEvents Kafka binding): they repeat the clear metadata
    and decide nothing.
    """
    return (
        ("ce_id", str(clear.id).encode()),
        ("ce_type", clear.type.encode()),
        ("ce_source", clear.source.encode()),
        ("content-type", CONTENT_TYPE.encode()),
    )


def headers_agree(headers: Sequence[tuple[str, bytes]], clear: Metadata) -> bool:
    """Whether a record's headers are exactly those of its envelope, apart from `traceparent`."""
    return sorted(pair for pair in headers if pair[0] != "traceparent") == sorted(
        routing_headers(clear)
    )


def _seal(
    claims: dict[str, Any], sender: SigningKey, recipients: Sequence[RecipientKey], entropy: Entropy
) -> bytes:
    jws = sign_statement({**claims, "salt": b64u(entropy.octets(16))}, sender)
    clear = {
        "id": claims["jti"],
        "type": SEALED_TYPE,
        "source": claims["iss"],
        "to": claims["aud"],
        "stream": claims["stream"],
        "seq": claims["seq"],
        "pd": b64u(hashlib.sha256(jws).digest()),
    }
    aad = b64u(canonical(clear))
    cek, iv = entropy.octets(32), entropy.octets(12)
    sealed = AESGCM(cek).encrypt(iv, jws, f"{_PROTECTED}.{aad}".encode())
    entries = canonical(
        [_wrap(cek, key, entropy) for key in sorted(recipients, key=lambda key: key.owner)]
    ).decode()
    # The canonical form, put together by hand: base64url needs no escaping, and looking through the
    # ciphertext for it costs more than
    # the encryption did.
    return (
        f'{{"aad":"{aad}","ciphertext":"{b64u(sealed[:-16])}","iv":"{b64u(iv)}","protected":"{_PROTECTED}",'
        f'"recipients":{entries},"tag":"{b64u(sealed[-16:])}"}}'
    ).encode()


def _wrap(cek: bytes, key: RecipientKey, entropy: Entropy) -> dict[str, Any]:
    ephemeral = entropy.ephemeral()
    wrapped = aes_key_wrap(_concat_kdf(ephemeral.exchange(ec.ECDH(), key.public), key.alg), cek)
    return {
        "header": {"alg": key.alg, "kid": key.kid, "epk": bare_jwk(ephemeral.public_key())},
        "encrypted_key": b64u(wrapped),
    }


def _concat_kdf(shared: bytes, alg: str) -> bytes:
    """RFC 7518 section 4.6.2 with empty PartyUInfo and PartyVInfo: the 256-bit wrapping key."""
    name = alg.encode()
    info = struct.pack(">I", len(name)) + name + bytes(8) + struct.pack(">I", 256)
    return hashlib.sha256(struct.pack(">I", 1) + shared + info).digest()


def _unwrap(entry: Mapping[str, Any], key: OpeningKey) -> bytes:
    header = entry["header"]
    if header.get("alg") != key.alg:
        raise EnvelopeRefused("wrong-algorithm")
    epk = header.get("epk")
    if (
        set(header) != _ENTRY_HEADER
        or not isinstance(epk, dict)
        or set(epk) != {"crv", "kty", "x", "y"}
    ):
        raise EnvelopeRefused("malformed")
    try:
        shared = key.private.exchange(ec.ECDH(), point_of(epk))
    except KeyRefused:
        raise EnvelopeRefused("malformed") from None
    wrapped = octets(entry["encrypted_key"])
    if len(wrapped) != 40:
        raise EnvelopeRefused("malformed")
    try:
        return aes_key_unwrap(_concat_kdf(shared, key.alg), wrapped)
    except InvalidUnwrap:
        raise EnvelopeRefused("not-decryptable") from None


def _decrypt(envelope: Mapping[str, Any], cek: bytes) -> bytes:
    iv, tag = octets(envelope["iv"]), octets(envelope["tag"])
    if len(iv) != 12 or len(tag) != 16:
        raise EnvelopeRefused("malformed")
    bound = f"{envelope['protected']}.{envelope['aad']}".encode()
    try:
        return AESGCM(cek).decrypt(iv, octets(envelope["ciphertext"]) + tag, bound)
    except InvalidTag:
        raise EnvelopeRefused("not-decryptable") from None


def _envelope(value: bytes) -> dict[str, Any]:
    found = strict_object(value)
    if set(found) != _ENVELOPE_MEMBERS:
        raise EnvelopeRefused("malformed")
    if not all(isinstance(found[name], str) for name in _ENVELOPE_MEMBERS - {"recipients"}):
        raise EnvelopeRefused("malformed")
    recipients = found["recipients"]
    if not isinstance(recipients, list) or not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise EnvelopeRefused("malformed")
    if found["protected"] != _PROTECTED:
        recipients = found["recipients"] = _with_shared(
            recipients, _shared_header(found["protected"])
        )
    if not all(map(_is_entry, recipients)) or len(
        {entry["header"]["kid"] for entry in recipients}
    ) != len(recipients):
        raise EnvelopeRefused("malformed")
    return found


def _shared_header(protected: str) -> dict[str, Any]:
    """What a protected header in another spelling holds beside ours: nothing, or header members of
    a lone recipient.
    """
    header = encoded_object(protected)
    if header.get("enc") != _JWE_HEADER["enc"]:
        raise EnvelopeRefused("wrong-algorithm")
    shared = {name: value for name, value in header.items() if name not in _JWE_HEADER}
    if {**_JWE_HEADER, **shared} != header:
        raise EnvelopeRefused("malformed")
    return shared


def _with_shared(recipients: list[Any], shared: dict[str, Any]) -> list[Any]:
    """The entries; that of a lone recipient with the header members its sender protected instead
    (RFC 7516 section 4: their union counts).

    Common libraries put `epk` there when there is one recipient. A member in both places, or
    another one, is refused.
    """
    if not shared:
        return recipients
    header = recipients[0].get("header", {}) if isinstance(recipients[0], dict) else None
    if (
        len(recipients) != 1
        or not isinstance(header, dict)
        or not set(shared) <= _ENTRY_HEADER - set(header)
    ):
        raise EnvelopeRefused("malformed")
    return [{**recipients[0], "header": {**header, **shared}}]


def _is_entry(entry: object) -> bool:
    # Only the shape every algorithm shares: another recipient's key may have an algorithm we do not
    # speak.
    if (
        not isinstance(entry, dict)
        or set(entry) != {"header", "encrypted_key"}
        or not isinstance(entry["encrypted_key"], str)
    ):
        return False
    header = entry["header"]
    return (
        isinstance(header, dict)
        and isinstance(header.get("kid"), str)
        and isinstance(header.get("alg"), str)
    )


def _own_entry(
    entries: Sequence[Mapping[str, Any]], me: str, opening: Mapping[str, OpeningKey]
) -> tuple[Mapping[str, Any], OpeningKey]:
    for entry in entries:
        key = opening.get(entry["header"]["kid"])
        if key is not None and key.owner == me:
            return entry, key
    raise EnvelopeRefused("not-for-us")


def _clear(aad: str) -> Metadata:
    clear = encoded_object(aad)
    if set(clear) != _CLEAR_MEMBERS or clear["type"] != SEALED_TYPE:
        raise EnvelopeRefused("malformed")
    try:
        return _metadata(clear)
    except ValueError:
        raise EnvelopeRefused("malformed") from None


def _metadata(clear: Mapping[str, Any]) -> Metadata:
    return Metadata(
        id=identifier(clear["id"]),
        type=clear["type"],
        source=routing_name(clear["source"]),
        to=routing_names(clear["to"]),
        stream=routing_name(clear["stream"]),
        seq=counter(clear["seq"]),
        pd=routing_name(clear["pd"]),
    )
