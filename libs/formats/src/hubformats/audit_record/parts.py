"""Sealed parts: whom, who and why, each under a key of its own that only the producer has.

Three parts have three life spans, so each can be destroyed without the others.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hubformats.audit_record.commitments import SALT_BYTES, new_salt, sealed_part_commitment
from hubformats.audit_record.errors import RecordRefused
from hubformats.canonical import b64u, canonical, parse
from hubformats.ids import opaque

Part = Literal["subject", "actor", "account"]
"""`subject` dies with the person, `actor` tells who acted, `account` why."""

PART_LIMIT: Final = 32_768
_FORMAT: Final = b"\x01"
_NONCE: Final = 12


class PartRefused(ValueError):
    """These bytes are not the sealed part of that record."""


class KeyWrap(Protocol):
    """Closes data keys; a keyring."""

    def wrap(self, dek: bytes, context: bytes) -> bytes:
        """Encrypt a data key; only the same `context` opens it again."""
        ...


@dataclass(frozen=True, slots=True)
class SealedPart:
    """A sealed part as it travels, what the record says of it, and the key row to store with it."""

    sealed: bytes
    digest: str
    commitment: str
    key: Mapping[str, Any]

    @property
    def handle(self) -> str:
        """The key's handle: fresh for this entry, so it joins nothing."""
        return str(self.key["handle"])


def seal_part(keys: KeyWrap, record_id: UUID, part: Part, content: Mapping[str, Any]) -> SealedPart:
    """Seal `content` under a fresh key wrapped for this record.

    Blob: 0x01 ‖ nonce 12 ‖ AES-256-GCM(salt 32 ‖ canonical content).

    The salt inside blinds the commitment.

    Raises RecordRefused past 32 KiB, CanonicalError for what JSON cannot carry.
    """
    plaintext = canonical(dict(content))
    if len(plaintext) > PART_LIMIT:
        raise RecordRefused("detail-too-large")
    dek, nonce, salt, bound = (
        secrets.token_bytes(32),
        secrets.token_bytes(_NONCE),
        new_salt(),
        part_context(record_id, part),
    )
    sealed = _FORMAT + nonce + AESGCM(dek).encrypt(nonce, salt + plaintext, bound)
    key = {
        "handle": opaque(),
        "record_id": record_id,
        "part": part,
        "wrapped": keys.wrap(dek, bound),
        "destroyed_at": None,
    }
    digest = b64u(hashlib.sha256(sealed).digest())
    return SealedPart(sealed, digest, sealed_part_commitment(salt, plaintext), key)


def open_sealed(dek: bytes, record_id: UUID, part: Part, sealed: bytes) -> dict[str, Any]:
    """Open a sealed part and return its content. Raises PartRefused."""
    if sealed[:1] != _FORMAT or len(sealed) < 1 + _NONCE + SALT_BYTES:
        raise PartRefused("not a sealed part")
    nonce, closed = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
    try:
        plaintext = AESGCM(dek).decrypt(nonce, closed, part_context(record_id, part))
    except InvalidTag:
        raise PartRefused("not the sealed part of this record") from None
    content: dict[str, Any] = parse(plaintext[SALT_BYTES:])
    return content


def part_context(record_id: UUID, part: Part) -> bytes:
    """Return the bytes that bind a part, and its key, to its record."""
    return b"hub-audit-part\0" + part.encode() + b"\0" + record_id.bytes
