"""The published language: every event a service may send, by type and version."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from common.events.agency import DeliveryAcknowledged, DisclosurePackage, SavedReceipt
from common.events.audit import AuditBatch, AuditReceipts, AuditRejected
from common.events.case import CaseSnapshot, SubjectErased
from common.events.event import Event
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

ALL: tuple[type[Event], ...] = (
    AgencyRestored,
    AgencySuspended,
    AuditBatch,
    AuditReceipts,
    AuditRejected,
    CaseSnapshot,
    DeliveryAcknowledged,
    DirectoryHeartbeat,
    DisclosureBlocked,
    DisclosurePackage,
    DisclosureReleased,
    DisclosureSaved,
    KeyPublished,
    KeyRetired,
    PromiseBroken,
    SavedReceipt,
    SnapshotDecided,
    SubjectErased,
)

_BY_NAME: Mapping[tuple[str, int], type[Event]] = {
    (event.TYPE, event.VERSION): event for event in ALL
}


class EventUnknown(ValueError):
    """No class has this type and version: the sender is newer than we are, so the envelope waits in
    quarantine.
    """


class EventMalformed(ValueError):
    """The data is not what its class says. Never carries the data."""


def parse(name: str, version: int, data: Mapping[str, Any]) -> Event:
    """The event of type `name` and `version` holding `data`.

    Raises EventUnknown or EventMalformed.
    """
    found = _BY_NAME.get((name, version))
    if found is None:
        raise EventUnknown("event-unknown")
    try:
        return found.model_validate(data)
    except ValidationError:
        raise EventMalformed("event-malformed") from None


__all__ = ["ALL", "Event", "EventMalformed", "EventUnknown", "parse"]
