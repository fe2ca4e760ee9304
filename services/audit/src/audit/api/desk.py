"""What the routes share: where the log stands, and the shapes of an entry."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from fastapi import Request
from pydantic import Field

from audit.ports import AuditStore, Found, TileFiles
from audit.sequencer import Sequencer
from audit.usecases.queries import Desk
from common.access import Granted
from common.models import ApiModel, Timestamp
from common.problems import Problem
from common.web import guard, paging
from hubformats.audit_record import Leaf, record_hash
from hubformats.canonical import parse

_UNREADABLE: dict[str, Any] = {"op": "", "out": ""}
"""Shown in place of a record that is not the one in the log: whatever stands there now was never
stated by the producer.
"""

Read = Annotated[Granted, guard.requires("audit.read", operation="consultation")]


@dataclass(frozen=True, slots=True)
class LogDesk:
    """Everything the routes reach, put on the app's state by the wiring."""

    store: AuditStore
    sequencer: Sequencer
    files: TileFiles
    desk: Desk
    cursors: paging.Cursors
    vkey: str


def of(request: Request) -> LogDesk:
    """The desk of the app that serves this request."""
    return cast(LogDesk, request.app.state.log)


def writable(request: Request) -> LogDesk:
    """The desk, when questions can be recorded.

    Raises Problem `unavailable` while the log is halted: unrecorded means unanswered.
    """
    desk = of(request)
    if desk.sequencer.halted:
        raise Problem(
            "unavailable",
            "The log is halted, so no question can be recorded; the public log stays readable.",
        )
    return desk


class EntryOut(ApiModel):
    """One entry as an auditor reads it.

    `record` is what the producer stated; handles in it mean nothing outside this entry.
    """

    index: int
    logged_at: Timestamp = Field(description="The log's own time, which never goes back")
    happened_at: Timestamp | None = Field(
        description="When the producer says it happened; absent for a rejected record"
    )
    service: str
    src: str
    epoch: int
    seq: int
    operation: str
    outcome: str
    rejected: str = Field(
        description="Why the record was not acceptable; empty for an accepted one"
    )
    flags: str = Field(
        description="`late` or `future` when the producer's time and the log's differ"
    )
    intact: bool = Field(
        description="The record kept here is the one its leaf commits to; a changed one is not "
        "shown"
    )
    record: dict[str, Any]


def shown(found: Found) -> EntryOut:
    """An entry in its shape."""
    leaf = Leaf.decode(found.leaf)
    intact = leaf.h == record_hash(found.salt, found.record)
    record = parse(found.record) if intact else _UNREADABLE
    return EntryOut(
        index=found.index,
        logged_at=moment(leaf.tr),
        happened_at=None if found.rejected or not intact else moment(record["te"]),
        service=found.service,
        src=leaf.src,
        epoch=leaf.ep,
        seq=leaf.seq,
        operation=record["op"],
        outcome=record["out"],
        rejected=found.rejected,
        flags=found.flags,
        intact=intact,
        record=record,
    )


def moment(micros: int) -> datetime:
    """Microseconds since the epoch as a time."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
