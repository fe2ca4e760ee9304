"""Holds the audit record, frozen in two versions.

It is the canonical statement behind one leaf of the log, with its sealed parts and the leaf itself.
"""

from hubformats.audit_record.commitments import (
    SALT_BYTES,
    check_commitment,
    content_commitment,
    inputs_commitment,
    new_salt,
    reason_commitment,
    record_hash,
    related,
    sealed_part_commitment,
    shown_commitment,
)
from hubformats.audit_record.entry import Account, Actor, AuditEntry, Ground, Origin
from hubformats.audit_record.errors import RecordRefused
from hubformats.audit_record.leaf import Leaf
from hubformats.audit_record.parts import (
    Part,
    PartRefused,
    SealedPart,
    open_sealed,
    part_context,
)
from hubformats.audit_record.versions import (
    RECORD_LIMIT,
    RECORD_VERSION,
    check_record,
    write_record,
)
from hubformats.audit_record.words import OPERATIONS, OUTCOMES, SIBLINGS, Operation, Outcome
from hubformats.audit_record.writing import (
    HeldBack,
    RecordRef,
    Writer,
    Written,
    is_cover,
    token,
)

__all__ = [
    "OPERATIONS",
    "OUTCOMES",
    "RECORD_LIMIT",
    "RECORD_VERSION",
    "SALT_BYTES",
    "SIBLINGS",
    "Account",
    "Actor",
    "AuditEntry",
    "Ground",
    "HeldBack",
    "Leaf",
    "Operation",
    "Origin",
    "Outcome",
    "Part",
    "PartRefused",
    "RecordRef",
    "RecordRefused",
    "SealedPart",
    "Writer",
    "Written",
    "check_commitment",
    "check_record",
    "content_commitment",
    "inputs_commitment",
    "is_cover",
    "new_salt",
    "open_sealed",
    "part_context",
    "reason_commitment",
    "record_hash",
    "related",
    "sealed_part_commitment",
    "shown_commitment",
    "token",
    "write_record",
]
