"""Who was meant, sealed apart from what happened: each part of each record under a key of its own
that only the producer has."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, select, update

from common.audit_trail.tables import PART_KEY, PART_SUBJECT
from common.database import Unit
from common.keyring import Keyring
from hubformats.audit_record import RecordRefused, sealed_part_commitment
from hubformats.canonical import b64u, canonical, parse
from hubformats.clock import Clock
from hubformats.ids import opaque

Part = Literal["subject", "actor"]

PART_LIMIT: Final = 32_768
_FORMAT: Final = b"\x01"
_NONCE: Final = 12
_SALT: Final = 32
_TOKEN: Final = 16


class PartDestroyed(LookupError):
    """The part's key was destroyed with its subject, or never was ours."""


class PartRefused(ValueError):
    """These bytes are not the sealed part of that record."""


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


def seal_part(
    keyring: Keyring, record_id: UUID, part: Part, content: Mapping[str, Any]
) -> SealedPart:
    """Seal `content` under a fresh key wrapped for this record.

    Blob: 0x01 ‖ nonce 12 ‖ AES-256-GCM(salt 32 ‖ canonical content).

    The salt inside blinds the commitment. Raises RecordRefused past 32 KiB, CanonicalError for what
    JSON cannot carry.
    """
    plaintext = canonical(dict(content))
    if len(plaintext) > PART_LIMIT:
        raise RecordRefused("detail-too-large")
    dek, nonce, salt = (
        secrets.token_bytes(32),
        secrets.token_bytes(_NONCE),
        secrets.token_bytes(_SALT),
    )
    sealed = _FORMAT + nonce + AESGCM(dek).encrypt(nonce, salt + plaintext, _bound(record_id, part))
    key = {
        "handle": opaque(),
        "record_id": record_id,
        "part": part,
        "wrapped": keyring.wrap(dek, _bound(record_id, part)),
        "destroyed_at": None,
    }
    digest = b64u(hashlib.sha256(sealed).digest())
    return SealedPart(sealed, digest, sealed_part_commitment(salt, plaintext), key)


def open_part(
    connection: Connection, keyring: Keyring, record_id: UUID, part: Part, sealed: bytes
) -> dict[str, Any]:
    """What was sealed.

    Raises PartDestroyed, PartRefused. The caller records the unsealing first.
    """
    wanted = select(PART_KEY.c.wrapped).where(
        PART_KEY.c.record_id == record_id, PART_KEY.c.part == part
    )
    wrapped = connection.execute(wanted).scalar_one_or_none()
    if wrapped is None:
        raise PartDestroyed("the key of this part is gone")
    if sealed[:1] != _FORMAT or len(sealed) < 1 + _NONCE + _SALT:
        raise PartRefused("not a sealed part")
    dek = keyring.unwrap(wrapped, _bound(record_id, part))
    try:
        plaintext = AESGCM(dek).decrypt(
            sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _bound(record_id, part)
        )
    except InvalidTag:
        raise PartRefused("not the sealed part of this record") from None
    content: dict[str, Any] = parse(plaintext[_SALT:])
    return content


def destroy_subject_parts(unit: Unit, clock: Clock, tokens: Sequence[bytes]) -> int:
    """Destroy the subject parts of every record about these subjects.

    Actor parts stay: who acted is not the subject's to erase.

    A record about several people loses them all from its sealed part; the log and its proofs are
    untouched. Returns how many.
    """
    named = select(PART_SUBJECT.c.handle).where(PART_SUBJECT.c.token.in_(tokens))
    gone = update(PART_KEY).where(PART_KEY.c.handle.in_(named), PART_KEY.c.destroyed_at.is_(None))
    count = unit.connection.execute(gone.values(wrapped=None, destroyed_at=clock.now())).rowcount
    unit.connection.execute(delete(PART_SUBJECT).where(PART_SUBJECT.c.token.in_(tokens)))
    return count


def token(secret: bytes, kind: str, value: str) -> bytes:
    """Index token of `value`: HMAC-SHA256(secret, kind ‖ 0x00 ‖ value), first 16 bytes."""
    return hmac.digest(secret, kind.encode() + b"\0" + value.encode(), hashlib.sha256)[:_TOKEN]


def _bound(record_id: UUID, part: Part) -> bytes:
    return b"hub-audit-part\0" + part.encode() + b"\0" + record_id.bytes
