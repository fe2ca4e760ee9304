"""Which events travel on which topic: what an authentic sender says anywhere else is not heard."""

from collections.abc import Mapping
from typing import Final

from common import topics
from common.events.audit import AuditBatch, AuditBatchV1, AuditReceipts, AuditRejected
from common.events.case import CaseSnapshot, SecondLookDue, SubjectErased
from common.events.identity import (
    AgencyRestored,
    AgencySuspended,
    DirectoryHeartbeat,
    DirectoryHeartbeatV2,
    KeyPublished,
    KeyRetired,
)
from common.events.sharing import (
    AnswerNews,
    DisclosureBlocked,
    DisclosureReleased,
    DisclosureSaved,
    PromiseBroken,
    SnapshotDecided,
)
from hubformats.agency_events import (
    CompromisedKeyUsed,
    DeliveryAcknowledged,
    DeliveryStopped,
    DisclosureAnswered,
    DisclosurePackage,
    EnvelopeSetAside,
    SavedReceipt,
)
from hubformats.event import Event

Events = tuple[type[Event], ...]

SHARED: Final[Mapping[str, Events]] = {
    topics.CASE: (CaseSnapshot, SecondLookDue, SubjectErased),
    topics.CASE_BULK: (CaseSnapshot, SubjectErased),
    topics.SHARING: (
        SnapshotDecided,
        DisclosureReleased,
        PromiseBroken,
        DisclosureBlocked,
        DisclosureSaved,
        AnswerNews,
    ),
    topics.IDENTITY: (
        AgencySuspended,
        AgencyRestored,
        KeyPublished,
        KeyRetired,
        DirectoryHeartbeat,
        DirectoryHeartbeatV2,
    ),
    **{topics.audit(service): (AuditBatchV1, AuditBatch) for service in topics.SERVICES},
    topics.AUDIT_RECEIPT: (AuditReceipts, AuditRejected),
}
DELIVERED: Final[Events] = (
    DisclosurePackage,
    EnvelopeSetAside,
    DeliveryStopped,
    CompromisedKeyUsed,
)
"""On an agency's `hub.disclosure` topic."""
SPOKEN: Final[Events] = (SavedReceipt, DeliveryAcknowledged, DisclosureAnswered)
"""On an agency's `hub.inbound` topic."""


def carried(topic: str) -> Events | None:
    """Return the events that travel on a topic; None for a topic the hub does not have."""
    if topic in SHARED:
        return SHARED[topic]
    if topic.startswith("hub.disclosure."):
        return DELIVERED
    return SPOKEN if topic.startswith("hub.inbound.") else None


def strays(event: type[Event], topic: str) -> bool:
    """Tell whether this event has no business on this topic of the hub."""
    events = carried(topic)
    return events is not None and event not in events
