"""hub-event+jwe v1, a signed statement (JWS) sealed to its recipients (JWE General JSON). Routing
data is in the clear but bound.

FROZEN: tests/vectors/envelope holds the golden files. What another version needs is another `typ`.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hubformats.canonical import b64u, canonical
from hubformats.jwe import (
    MAX_RECIPIENTS,
    Entropy,
    SystemEntropy,
    decrypt,
    encrypt,
    encrypt_again,
    read,
)
from hubformats.keys import KeySource, OpeningKey, RecipientKey, SigningKey
from hubformats.statement import (
    Code,
    EnvelopeRefused,
    EnvelopeTooLarge,
    Statement,
    counter,
    encoded_object,
    identifier,
    routing_name,
    routing_names,
    sign_statement,
    verify_statement,
)

__all__ = [
    "CONTENT_TYPE",
    "MAX_BYTES",
    "SEALED_TYPE",
    "Code",
    "EnvelopeRefused",
    "EnvelopeTooLarge",
    "Message",
    "Metadata",
    "Opened",
    "Statement",
    "digest",
    "headers_agree",
    "open_envelope",
    "peek",
    "reseal",
    "routing_headers",
    "seal",
    "sealed_to",
    "verify_statement",
]

SEALED_TYPE: Final = "hub.sealed.v1"
CONTENT_TYPE: Final = "application/jose+json"
MAX_BYTES: Final = 400_000  # the largest bucket in base64url, 64 recipients and the clear metadata

_CLEAR_MEMBERS: Final = {"id", "type", "source", "to", "stream", "seq", "pd"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """Hold what anyone may read on an envelope before opening it.

    Good for routing and metrics, never for a decision.
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
    """Hold a statement taken from an envelope.

    `jws` is evidence to keep; `digest` names the exact envelope bytes.
    """

    jws: str
    digest: str


@dataclass(frozen=True, slots=True)
class Message:
    """What a sender says, and where it stands in the sender's stream."""

    type: str
    version: int
    data: Mapping[str, Any]
    stream: str
    seq: int
    id: UUID
    issued_at: datetime


_SYSTEM: Final = SystemEntropy()


def seal(message: Message, *, sender: SigningKey, recipients: Sequence[RecipientKey]) -> bytes:
    """Sign `message` as `sender` and seal it to `recipients` (one key per owner, at most 64).

    Returns the value of a bus record.

    Raises EnvelopeTooLarge past 256 KiB, CanonicalError for data JSON cannot carry exactly,
    ValueError for bad routing.
    """
    to = sorted(key.owner for key in recipients)
    if not to or len(to) > MAX_RECIPIENTS or len(set(to)) != len(to):
        raise ValueError("an envelope has 1 to 64 recipients, one key each")
    if message.issued_at.tzinfo is None:
        raise ValueError("issued_at has no time zone")
    claims = {
        "iss": sender.owner,
        "jti": str(message.id),
        "iat": int(message.issued_at.timestamp()),
        "aud": to,
        "type": message.type,
        "version": message.version,
        "stream": message.stream,
        "seq": message.seq,
        "data": dict(message.data),
    }
    return _seal(claims, sender, recipients, _SYSTEM)


def open_envelope(
    value: bytes,
    *,
    me: str,
    opening: Mapping[str, OpeningKey],
    keys: KeySource,
    arrived: datetime | None = None,
) -> Opened:
    """Open what was sealed to `me`, and `arrived` then, and check every promise of the format.

    Raises EnvelopeRefused with the first that fails. On code "unknown-key" the caller refreshes
    `keys` and tries once more before it counts as a failure. Two questions are the inbox's. Was the
    event seen before (source, id), and has its stream a gap?
    """
    # 1. Size, before anything is parsed.
    if len(value) > MAX_BYTES:
        raise EnvelopeRefused("too-large")
    # 2. Structure: exactly the members of v1, once each.
    envelope = read(value)
    clear = _clear(envelope["aad"])
    if len(envelope["recipients"]) != len(clear.to):
        raise EnvelopeRefused("malformed")
    # 3. to 6. are about the encryption.
    statement = decrypt(envelope, me, opening)
    # 7. The digest that the hub logged is the digest of this text (AES-GCM alone does not commit to
    # one key).
    if not hmac.compare_digest(b64u(hashlib.sha256(statement).digest()), clear.pd):
        raise EnvelopeRefused("digest-mismatch")
    # 8. Signature by a known key. 9. Its owner is the issuer.
    if not statement.isascii():
        raise EnvelopeRefused("malformed")
    said = verify_statement(statement.decode(), keys, arrived)
    # 10. and 11. are about what was said.
    _check_agreement(said, clear, me)
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
        jws=statement.decode(),
        digest=digest(value),
    )


def _check_agreement(said: Statement, clear: Metadata, me: str) -> None:
    # 10. What is signed inside equals what was read outside.
    inside = (said.id, said.source, said.to, said.stream, said.seq)
    if inside != (clear.id, clear.source, clear.to, clear.stream, clear.seq):
        raise EnvelopeRefused("claims-mismatch")
    # 11. The signer meant it for us: an honest recipient cannot pass it on as if it had been.
    if me not in said.to:
        raise EnvelopeRefused("wrong-recipient")


def peek(value: bytes) -> Metadata:
    """Read the clear metadata, unverified: for routing, metrics and quarantine listings only.

    Raises EnvelopeRefused.
    """
    if len(value) > MAX_BYTES:
        raise EnvelopeRefused("too-large")
    return _clear(read(value)["aad"])


def sealed_to(value: bytes) -> frozenset[str]:
    """Read the ids of the keys an envelope is sealed to. Raises EnvelopeRefused."""
    return frozenset(entry["header"]["kid"] for entry in read(value)["recipients"])


def reseal(value: bytes, *, me: str, opening: Mapping[str, OpeningKey], key: RecipientKey) -> bytes:
    """Seal an envelope that one of `opening` opens to `key`, which is ours too.

    The signed statement and the clear metadata stay as they are, to the byte.

    Raises EnvelopeRefused.
    """
    return encrypt_again(read(value), me, opening, key, _SYSTEM)


def digest(value: bytes) -> str:
    """Return base64url SHA-256 of the envelope bytes, which a saved receipt is bound to."""
    return b64u(hashlib.sha256(value).digest())


def routing_headers(clear: Metadata) -> tuple[tuple[str, bytes], ...]:
    """Return the bus headers of an envelope (CloudEvents Kafka binding).

    They repeat the clear metadata and decide nothing.
    """
    return (
        ("ce_id", str(clear.id).encode()),
        ("ce_type", clear.type.encode()),
        ("ce_source", clear.source.encode()),
        ("content-type", CONTENT_TYPE.encode()),
        ("ce_specversion", b"1.0"),
    )


def headers_agree(headers: Sequence[tuple[str, bytes]], clear: Metadata) -> bool:
    """Tell whether a record's headers are exactly its envelope's, apart from `traceparent`."""
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
    return encrypt(jws, b64u(canonical(clear)), recipients, entropy)


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
