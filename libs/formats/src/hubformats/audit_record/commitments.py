"""Hashes that commit to something without showing it.

A first byte of its own keeps each use apart from the others.
"""

import hashlib
import secrets
from typing import Final
from uuid import UUID

from hubformats.canonical import b64u

SALT_BYTES: Final = 32

_SEALED_PART: Final = b"\x50"
_CONTENT: Final = b"\x51"
_RECORD: Final = b"\x52"
_INPUTS: Final = b"\x53"
_SHOWN: Final = b"\x54"
_CHECK: Final = b"\x55"
_RELATED: Final = b"\x56"
_REASON: Final = b"\x57"


def new_salt() -> bytes:
    """Make a fresh 32-byte salt.

    It blinds a hash, so it must never be used twice or derived from anything.
    """
    return secrets.token_bytes(SALT_BYTES)


def sealed_part_commitment(salt: bytes, plaintext: bytes) -> str:
    """Commit to a sealed part's plaintext without showing it: `ps`, `pa` and `pr`.

    AES-GCM alone does not commit to its key.
    """
    return _digest(_SEALED_PART, salt, plaintext)


def content_commitment(salt: bytes, content: bytes) -> str:
    """Commit to a disclosure's exact bytes: the record's `dc` (design section 8).

    base64url SHA-256(0x51 ‖ salt ‖ canonical content).
    """
    return _digest(_CONTENT, salt, content)


def record_hash(salt: bytes, record: bytes) -> str:
    """Make the leaf's `h`: base64url SHA-256(0x52 ‖ salt ‖ canonical record) (design section 9)."""
    return _digest(_RECORD, salt, record)


def inputs_commitment(salt: bytes, inputs: str) -> str:
    """Commit to what a decision was made on, given the hash of it: the record's `ih`.

    The salt keeps two recipients of one decision from seeing that it was one.
    """
    return _digest(_INPUTS, salt, inputs.encode())


def shown_commitment(salt: bytes, shown: bytes) -> str:
    """Commit to the exact bytes that were shown or exported: the record's `vd`."""
    return _digest(_SHOWN, salt, shown)


def check_commitment(salt: bytes, answer: bytes) -> str:
    """Commit to the answer of a release check, as canonical JSON: the record's `vc`."""
    return _digest(_CHECK, salt, answer)


def reason_commitment(salt: bytes, reason: str) -> str:
    """Commit to the reason why something was withheld: the record's `whc`.

    Reason and salt travel beside the record, for those who may know it.
    """
    return _digest(_REASON, salt, reason.encode())


def related(record_id: UUID, other_id: UUID) -> str:
    """Name another record in `rel` of this one: SHA-256(0x56 ‖ this id ‖ the other id).

    Who holds both records can join them. An id is random, so who holds one cannot find the other.
    """
    return _digest(_RELATED, record_id.bytes, other_id.bytes)


def _digest(use: bytes, salt: bytes, said: bytes) -> str:
    return b64u(hashlib.sha256(use + salt + said).digest())
