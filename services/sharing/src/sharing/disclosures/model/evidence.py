"""What a package is made of, the check that the log holds it, and the package itself."""

import json
from dataclasses import dataclass

from hubformats.agency_events import DisclosurePackage, Promise
from hubformats.audit_record import Leaf, RecordRefused, content_commitment, record_hash
from hubformats.canonical import b64u, canonical, unb64u
from hubformats.tlog import ProofRefused, Verifier, verify_proof
from sharing.disclosures.model.disclosure import Disclosure


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a package is made of, beside the disclosure.

    The content C with its salt, our audit record with its salt, and its place in the log.
    """

    content: bytes
    content_salt: bytes
    record: bytes
    record_salt: bytes
    leaf: bytes | None = None
    proof: str | None = None

    def encode(self) -> str:
        """Encode the part that is sealed at rest; leaf and proof are public and stand beside it."""
        parts = {"c": self.content, "s": self.content_salt, "r": self.record, "t": self.record_salt}
        return canonical({name: b64u(value) for name, value in parts.items()}).decode()

    @classmethod
    def decode(cls, text: str, *, leaf: bytes | None, proof: str | None) -> "Evidence":
        """Decode what `encode` made."""
        raw = {name: unb64u(value) for name, value in json.loads(text).items()}
        return cls(raw["c"], raw["s"], raw["r"], raw["t"], leaf, proof)


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
    """Check step 3 of design section 8: the log holds our record of exactly this content.

    The leaf commits to the record *we* wrote, which commits to *this* content.

    Raises ProofWrong.
    """
    evidence = prepared.evidence
    if evidence.leaf is None or evidence.proof is None:
        raise ProofWrong("leaf-malformed")
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
    """Make the event that is sealed to the recipient.

    On the emergency path it carries the promise, else leaf and proof.
    """
    evidence = prepared.evidence
    return DisclosurePackage(
        kind=prepared.disclosure.kind,
        delivery_id=prepared.disclosure.id,
        content=b64u(evidence.content),
        content_salt=b64u(evidence.content_salt),
        record=b64u(evidence.record),
        record_salt=b64u(evidence.record_salt),
        leaf="" if promise else b64u(evidence.leaf or b""),
        proof="" if promise else evidence.proof or "",
        promise=promise,
    )
