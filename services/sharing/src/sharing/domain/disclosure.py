"""The life of one disclosure, from its decision to a signed receipt, and the evidence that travels
with it."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from common.views import Kind
from hubformats.agency_events import DisclosurePackage, Promise
from hubformats.audit_record import Leaf, RecordRefused, content_commitment, record_hash
from hubformats.canonical import b64u, canonical, unb64u
from hubformats.tlog import ProofRefused, Verifier, verify_proof

State = Literal["awaiting_receipt", "proven", "blocked", "superseded", "released"]
Standing = Literal["", "proven", "promised"]

# Why a proven disclosure has not left yet; each is tried again, and each is shown to the desk.
NO_ANSWER: Final = "no-answer"
NEWER_VERSION: Final = "newer-version"
STREAM_HELD: Final = "stream-held"
DIRECTORY_STALE: Final = "directory-stale"
SUSPENDED: Final = "recipient-suspended"
NO_KEY: Final = "recipient-without-key"
FAILED: Final = "release-failed"

# Why it will not leave without a person.
AUDIT_REJECTED: Final = "audit-rejected"
PROOF_WRONG: Final = "proof-wrong"
VETO: Final = "veto"
SUPERSEDED: Final = "superseded"
ERASED: Final = "key-destroyed"

# What left on a promise is past its hour; said once, and taken back when the proof comes.
OVERDUE: Final = "promise-overdue"

THIRD_PARTY: Final = "third_party"
"""How a referral came to be when its referrer learns only that it arrived."""

_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One permitted delivery and where it stands. Holds nothing about a person. Times are UTC."""

    id: UUID
    decision_id: UUID
    case_id: UUID
    snapshot_version: int
    recipient: str
    kind: Kind
    clause: str
    state: State
    reason: str
    standing: Standing
    record_id: UUID
    commitment: str
    fingerprint: str
    decided_at: datetime
    attempts: int = 0
    next_at: datetime | None = None
    released_at: datetime | None = None
    saved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    proof_due: datetime | None = None
    sealed_to: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a package is made of: the content C with its salt, our audit record with its salt, and
    its place in the log.
    """

    content: bytes
    content_salt: bytes
    record: bytes
    record_salt: bytes
    leaf: bytes = b""
    proof: str = ""

    def encode(self) -> str:
        """The part that is sealed at rest; leaf and proof are public and stand beside it."""
        parts = {"c": self.content, "s": self.content_salt, "r": self.record, "t": self.record_salt}
        return canonical({name: b64u(value) for name, value in parts.items()}).decode()

    @classmethod
    def decode(cls, text: str, *, leaf: bytes | None, proof: str | None) -> "Evidence":
        """The inverse of `encode`."""
        raw = {name: unb64u(value) for name, value in json.loads(text).items()}
        return cls(raw["c"], raw["s"], raw["r"], raw["t"], leaf or b"", proof or "")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A disclosure with its evidence, ready to be checked and sealed."""

    disclosure: Disclosure
    evidence: Evidence


class ProofWrong(ValueError):
    """The receipt does not prove that our record is in the log. `code` names what failed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def check_proof(prepared: Prepared, log: Verifier) -> None:
    """Step 3 of design section 8: the leaf commits to the record *we* wrote, which commits to
    *this* content, and stands in the log.

    Raises ProofWrong.
    """
    evidence = prepared.evidence
    try:
        leaf = Leaf.decode(evidence.leaf)
        record = json.loads(evidence.record)
    except (RecordRefused, ValueError):
        raise ProofWrong("leaf-malformed") from None
    if leaf.h != record_hash(evidence.record_salt, evidence.record):
        raise ProofWrong("leaf-of-another-record")
    named = (record.get("dl"), record.get("rcp"), record.get("dc"))
    committed = content_commitment(evidence.content_salt, evidence.content)
    if named != (str(prepared.disclosure.id), prepared.disclosure.recipient, committed):
        raise ProofWrong("record-of-another-disclosure")
    try:
        verify_proof(evidence.proof, evidence.leaf, log)
    except ProofRefused as refused:
        raise ProofWrong(refused.code) from None


def package(prepared: Prepared, promise: Promise | None = None) -> DisclosurePackage:
    """The event that is sealed to the recipient; with a promise on the emergency path, else with
    leaf and proof.
    """
    evidence = prepared.evidence
    return DisclosurePackage(
        kind=prepared.disclosure.kind,
        delivery_id=prepared.disclosure.id,
        content=b64u(evidence.content),
        content_salt=b64u(evidence.content_salt),
        record=b64u(evidence.record),
        record_salt=b64u(evidence.record_salt),
        leaf="" if promise else b64u(evidence.leaf),
        proof="" if promise else evidence.proof,
        promise=promise,
    )


def delivery_id(
    secret: bytes,
    case_id: UUID,
    snapshot_version: int,
    recipient: str,
    agreement_hash: str,
    ordinal: int = 0,
) -> UUID:
    """The id of the one delivery these five allow, the same for a preview as for the delivery
    itself.

    `ordinal` counts this recipient's earlier deliveries of the same version: one that was blocked
    keeps its id and never leaves
    under it, and what is decided again is another delivery.

    A keyed UUID version 8 (RFC 9562 section 5.8): two agencies who compare theirs learn nothing,
    not even the moment.
    """
    named = f"delivery\0{case_id}\0{snapshot_version}\0{recipient}\0{agreement_hash}".encode()
    if ordinal:
        named += f"\0{ordinal}".encode()
    raw = bytearray(hmac.digest(secret, named, hashlib.sha256)[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return UUID(bytes=bytes(raw))


def fingerprint(secret: bytes, content: Mapping[str, object]) -> str:
    """Tells whether two deliveries say the same, whatever their id, kind and moment; keyed, so that
    nobody can guess content by it.
    """
    said = {
        name: value for name, value in content.items() if name not in {"deliveryId", "kind", "asOf"}
    }
    return b64u(hmac.digest(secret, b"fingerprint\0" + canonical(said), hashlib.sha256))


def wait(attempts: int) -> timedelta:
    """How long until the next try after so many: doubling from a quarter of a second to half a
    minute.
    """
    return timedelta(seconds=min(_FIRST_WAIT * 2 ** min(attempts, 16), _LONGEST_WAIT))
