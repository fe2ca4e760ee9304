"""The published language: every event a service may send, by type and version."""

from typing import Final

from common.events.audit import AuditBatch, AuditBatchV1, AuditReceipts, AuditRejected
from common.events.case import CaseSnapshot, SecondLookDue, SubjectErased
from common.events.identity import (
    AgencyRestored,
    AgencySuspended,
    DirectoryHeartbeat,
    KeyPublished,
    KeyRetired,
)
from common.events.sharing import (
    DisclosureBlocked,
    DisclosureReleased,
    DisclosureSaved,
    PromiseBroken,
    SnapshotDecided,
)
from hubformats.agency_events import (
    DeliveryAcknowledged,
    DisclosurePackage,
    EnvelopeSetAside,
    SavedReceipt,
)
from hubformats.event import Event, EventMalformed, EventUnknown, Vocabulary

ALL: tuple[type[Event], ...] = (
    AgencyRestored,
    AgencySuspended,
    AuditBatch,
    AuditBatchV1,
    AuditReceipts,
    AuditRejected,
    CaseSnapshot,
    DeliveryAcknowledged,
    DirectoryHeartbeat,
    DisclosureBlocked,
    DisclosurePackage,
    DisclosureReleased,
    DisclosureSaved,
    EnvelopeSetAside,
    KeyPublished,
    KeyRetired,
    PromiseBroken,
    SavedReceipt,
    SecondLookDue,
    SnapshotDecided,
    SubjectErased,
)

parse: Final = Vocabulary(ALL).parse

__all__ = ["ALL", "Event", "EventMalformed", "EventUnknown", "parse"]
