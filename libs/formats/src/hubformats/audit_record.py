"""Audit record v1, frozen: the canonical statement behind one leaf of the log, and the leaf itself.

It must never hold a name, an address, a free text or any identifier that means the same in two
entries.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from hubformats.canonical import b64u, canonical, parse

RECORD_VERSION: Final = 1
RECORD_LIMIT: Final = 8_192
"""Bytes of one canonical record.

A C2SP entry may hold 65,535; ours stays far below so that 256 fit one batch.
"""

SALT_BYTES: Final = 32
_RECORD_DOMAIN: Final = b"\x52"
_CONTENT_DOMAIN: Final = b"\x51"
_SEALED_PART_DOMAIN: Final = b"\x50"

Operation = Literal[
    # the six words of DPA 2018 s.62(1)
    "collection",
    "alteration",
    "consultation",
    "disclosure",
    "combination",
    "erasure",
    # what else must be seen (domain reference 7.2)
    "search",
    "export",
    "print",
    "login",
    "login_failed",
    "denied",
    "break_glass_open",
    "break_glass_close",
    "permission_change",
    "config_change",
    "key_destroy",
    "audit_query",
    "unseal",
    # what keeps the log itself complete (design section 9)
    "genesis",
    "heartbeat",
    "reconciliation",
    "rejected",
    "canary",
    # the later life of one disclosure, joined by `dl` (design section 8)
    "emergency_release",
    "resealed",
    "delivered",
    "saved",
    "acknowledged",
    "blocked",
]
Outcome = Literal["permit", "withhold", "done", "refused", "failed"]

OPERATIONS: Final[frozenset[str]] = frozenset(Operation.__args__)  # type: ignore[attr-defined]
OUTCOMES: Final[frozenset[str]] = frozenset(Outcome.__args__)  # type: ignore[attr-defined]

_TEXT: Final = frozenset(
    {
        "id",
        "op",
        "out",
        "svc",
        "act",
        "org",
        "role",
        "aal",
        "ses",
        "case",
        "rt",
        "res",
        "fs",
        "lb",
        "cond",
        "gw",
        "pu",
        "jc",
        "cl",
        "ag",
        "dec",
        "rcp",
        "ch",
        "dl",
        "dc",
        "ed",
        "rd",
        "ss",
        "sa",
        "ps",
        "pa",
        "ks",
        "ka",
        "why",
    }
)
_NUMBER: Final = frozenset({"v", "te", "subn", "rv", "n"})
_REQUIRED: Final = frozenset({"v", "id", "te", "op", "out", "svc"})
_FIELDS: Final = _TEXT | _NUMBER | {"sub", "bg"}
_DIGESTS: Final = frozenset({"dc", "ss", "sa", "ps", "pa", "ed", "rd"})
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""The one base64url spelling of each 32 bytes: the last character's two spare bits are zero."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLAIN: Final = re.compile(rb"[ !#-\[\]-~\"]*")
"""Printable ASCII without a backslash: JSON of nothing else holds only strings that are printable
ASCII.
"""
_TEXT_LIMIT: Final = 200
_INLINE_SUBJECTS: Final = 64

# `canonical` checks any value there is and then does this. Only for what has been checked: every
# field of a record, plain leaves.
_canonical_text: Final = json.JSONEncoder(
    separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False
).encode


class RecordRefused(ValueError):
    """A record that is not record v1.

    `code` names the defect; the content is never part of the message.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted. `subject` and `name` are sealed by the producer and never reach the log."""

    subject: str
    agency: str
    role: str = "system"
    acr: str = ""
    session: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What a use case says happened.

    The audit trail turns it into a record; identifiers become handles or sealed parts.

    `subjects` are the people it was about, `case_id` the case, `case_references` the references by
    which agencies may
    later look for it, `deliveries` those that were shown together; none of the four stands in the
    record. The short codes (`lawful_basis`, `purpose`, `clause` …) stand in it as they are, so they
    must be codes, never text that somebody typed.
    """

    operation: Operation
    outcome: Outcome
    actor: Actor
    subjects: tuple[UUID, ...] = ()
    case_id: UUID | None = None
    case_references: tuple[str, ...] = ()
    resource_type: str = ""
    resource_id: str = ""
    resource_version: int | None = None
    field_set: str = ""
    lawful_basis: str = ""
    condition: str = ""
    gateway: str = ""
    purpose: str = ""
    justification_code: str = ""
    clause: str = ""
    agreement: str = ""
    decision: str = ""
    recipient: str = ""
    channel: str = ""
    delivery: str = ""
    deliveries: tuple[str, ...] = ()
    content_commitment: str = ""
    envelope_digest: str = ""
    receipt_digest: str = ""
    reason_code: str = ""
    count: int | None = None
    emergency: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Sealed with the subject part: what an auditor may need after an unseal (real ids, the text of
    a reason).
    """


def new_salt() -> bytes:
    """Make a fresh 32-byte salt.

    It blinds the leaf, so it must never be used twice or derived from anything.
    """
    return secrets.token_bytes(SALT_BYTES)


def record_hash(salt: bytes, record: bytes) -> str:
    """`h` of the leaf: base64url SHA-256(0x52 ‖ salt ‖ canonical record) (design section 9)."""
    return b64u(hashlib.sha256(_RECORD_DOMAIN + salt + record).digest())


def content_commitment(salt: bytes, content: bytes) -> str:
    """Commit to a disclosure's exact bytes: the record's `dc` (design section 8).

    base64url SHA-256(0x51 ‖ salt ‖ canonical content).
    """
    return b64u(hashlib.sha256(_CONTENT_DOMAIN + salt + content).digest())


def sealed_part_commitment(salt: bytes, plaintext: bytes) -> str:
    """Commit to a sealed part's plaintext without showing it.

    AES-GCM alone does not commit to its key.
    """
    return b64u(hashlib.sha256(_SEALED_PART_DOMAIN + salt + plaintext).digest())


@dataclass(frozen=True, slots=True)
class Leaf:
    """Hold what the Merkle tree has of one record.

    Who wrote it (opaque), its place in that producer's sequence, when, and a blinded hash.
    """

    src: str
    ep: int
    seq: int
    tr: int
    h: str

    def encode(self) -> bytes:
        """Return the exact canonical bytes hashed into the tree.

        Integers are microseconds or counts, never floats.
        """
        said = {
            "v": RECORD_VERSION,
            "src": self.src,
            "ep": self.ep,
            "seq": self.seq,
            "tr": self.tr,
            "h": self.h,
        }
        numbers = (self.ep, self.seq, self.tr)
        if min(numbers) >= 0 and max(numbers) < 2**53 and self.src.isascii() and self.h.isascii():
            return _canonical_text(said).encode()
        return canonical(said)

    @classmethod
    def decode(cls, data: bytes) -> "Leaf":
        """Read leaf bytes back.

        Raises RecordRefused unless they are exactly what `encode` gives.
        """
        try:
            raw = parse(data, max_bytes=1_024)
        except ValueError:
            raise RecordRefused("leaf-malformed") from None
        if (
            not isinstance(raw, dict)
            or set(raw) != {"v", "src", "ep", "seq", "tr", "h"}
            or raw["v"] != RECORD_VERSION
        ):
            raise RecordRefused("leaf-malformed")
        if not (
            isinstance(raw["src"], str)
            and isinstance(raw["h"], str)
            and all(type(raw[k]) is int and raw[k] >= 0 for k in ("ep", "seq", "tr"))
        ):
            raise RecordRefused("leaf-malformed")
        leaf = cls(src=raw["src"], ep=raw["ep"], seq=raw["seq"], tr=raw["tr"], h=raw["h"])
        if leaf.encode() != data:
            raise RecordRefused("leaf-not-canonical")
        return leaf


def check_record(data: bytes) -> dict[str, Any]:
    """Parse a record and hold it to the v1 vocabulary.

    Raises RecordRefused; what it returns is safe to index.
    """
    _check_size(data)
    try:
        raw = parse(data, max_bytes=RECORD_LIMIT)
    except ValueError:
        raise RecordRefused("record-malformed") from None
    if not isinstance(raw, dict):
        raise RecordRefused("record-malformed")
    _check_fields(raw, data)
    if _canonical_text(raw).encode() != data:
        raise RecordRefused("record-not-canonical")
    return raw


def write_record(fields: dict[str, Any]) -> bytes:
    """The canonical record of these fields, which `check_record` takes.

    Raises RecordRefused as it does, and CanonicalError for what JSON cannot carry. What was written
    a moment ago is not parsed again: text, whole numbers, lists and truth, the only types allowed,
    read back as they were written.
    """
    data = canonical(fields)
    _check_size(data)
    _check_fields(fields, data)
    return data


def _check_size(data: bytes) -> None:
    if len(data) > RECORD_LIMIT:
        raise RecordRefused("record-too-large")


def _check_fields(raw: dict[str, Any], data: bytes) -> None:
    if not raw.keys() >= _REQUIRED:
        raise RecordRefused("record-malformed")
    if raw["v"] != RECORD_VERSION:
        raise RecordRefused("record-version-unknown")
    if not raw.keys() <= _FIELDS:
        raise RecordRefused("record-field-unknown")
    _check_types(raw, plain=_PLAIN.fullmatch(data) is not None)
    if raw["op"] not in OPERATIONS or raw["out"] not in OUTCOMES:
        raise RecordRefused("record-word-unknown")


def _check_types(raw: dict[str, Any], *, plain: bool) -> None:
    """`plain` says that no string in it can be anything but printable ASCII."""
    for name, value in raw.items():
        if name in _TEXT:
            if (
                type(value) is not str
                or not 0 < len(value) <= _TEXT_LIMIT
                or not (plain or (value.isascii() and value.isprintable()))
            ):
                raise RecordRefused("record-type-wrong")
        elif name in _NUMBER and (type(value) is not int or not 0 <= value < 2**53):
            raise RecordRefused("record-type-wrong")
    subjects = raw.get("sub", [])
    if (
        not isinstance(subjects, list)
        or len(subjects) > _INLINE_SUBJECTS
        or not all(isinstance(s, str) and len(s) == 22 for s in subjects)
    ):
        raise RecordRefused("record-type-wrong")
    if raw.get("bg", True) is not True:
        raise RecordRefused("record-type-wrong")
    if not all(_DIGEST.fullmatch(raw[name]) for name in _DIGESTS & raw.keys()):
        raise RecordRefused("record-type-wrong")
    try:
        if not _UUID.fullmatch(raw["id"]):
            UUID(raw["id"])
    except ValueError:
        raise RecordRefused("record-type-wrong") from None
