"""The producing side of the audit log: records durable with their cause, batches to the log,
receipts back."""

from common.audit_trail.origin import origin_of
from common.audit_trail.receipts import Receipt, Rejection
from common.audit_trail.sealing import PartDestroyed
from common.audit_trail.tables import audit_trail_tables
from common.audit_trail.trail import AuditTrail, Ship
from hubformats.audit_record import Part, PartRefused, RecordRef

__all__ = [
    "AuditTrail",
    "Part",
    "PartDestroyed",
    "PartRefused",
    "Receipt",
    "RecordRef",
    "Rejection",
    "Ship",
    "audit_trail_tables",
    "origin_of",
]
