"""The producing side of the audit log: records durable with their cause, batches to the log,
receipts back."""

from common.audit_trail.receipts import Receipt, Rejection
from common.audit_trail.records import RecordRef
from common.audit_trail.sealing import Part, PartDestroyed, PartRefused
from common.audit_trail.tables import audit_trail_tables
from common.audit_trail.trail import AuditTrail, Ship

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
]
