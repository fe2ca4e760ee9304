"""From an envelope that was set aside to the notice that its sender reads."""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hubformats.audit_record import Actor, AuditEntry
from hubformats.ids import uuid7
from sharing.context import Context
from sharing.directory.ports import Directory
from sharing.notices.model import Notice, NoticeStep
from sharing.notices.ports import NoticeTx

_log = logging.getLogger("hub.sharing")


@dataclass(frozen=True, slots=True)
class NoticeContext(Context):
    """What notices are given besides: the directory."""

    directory: Directory


@dataclass(frozen=True, slots=True)
class SetAside:
    """An authentic envelope of an agency that could not be applied."""

    agency: str
    event_id: UUID
    digest: str
    reason_code: str
    received_at: datetime


def note(tx: NoticeTx, found: SetAside) -> None:
    """Record that it was refused, and keep a notice that waits for that entry.

    Runs in the transaction that sets the envelope aside. If we crash before the commit it comes
    again, and is set aside and told of once.
    """
    record = tx.record(
        AuditEntry(
            operation="denied",
            outcome="refused",
            actor=Actor(subject=found.agency, agency=found.agency),
            resource_type="inbound-envelope",
            recipient=found.agency,
            envelope_digest=found.digest,
            channel="topic",
            reason_code=found.reason_code,
        )
    )
    tx.notices.add(
        Notice(
            id=uuid7(),
            agency=found.agency,
            event_id=found.event_id,
            digest=found.digest,
            reason_code=found.reason_code,
            received_at=found.received_at,
            record_id=record.id,
        )
    )


def logged(tx: NoticeTx, record_id: UUID, index: int) -> None:
    """Let the notice leave: the log holds its entry."""
    found = tx.notices.by_record(record_id)
    if found is not None and found.can(NoticeStep.LOG):
        tx.notices.replace(found, found.logged(index))


def unlogged(tx: NoticeTx, record_id: UUID) -> None:
    """Keep the notice back: the log refused its entry, and a person is told."""
    found = tx.notices.by_record(record_id)
    if found is not None and found.can(NoticeStep.REFUSE):
        tx.notices.replace(found, found.refused())
        _log.error(
            "a notice must not leave",
            extra={"alarm": "notice-unlogged", "recipient": found.agency},
        )


def send(tx: NoticeTx, context: NoticeContext, notice_id: UUID) -> bool:
    """Send one that is logged. False when it left already, or may not leave now.

    A suspended agency is told when it is restored. If we crash before the commit nothing left;
    after it the relay sends the stored bytes.
    """
    found = tx.notices.get(notice_id)
    if found is None or not found.can(NoticeStep.SEND) or not may_hear(context, found.agency):
        return False
    sent = found.sent(context.now())
    tx.notices.replace(found, sent)
    tx.notices.send(sent)
    return True


def may_hear(context: NoticeContext, agency: str) -> bool:
    """Tell whether something may be put on the agency's topic now."""
    directory = context.directory
    return (
        directory.fresh()
        and any(one.id == agency and not one.suspended for one in directory.agencies())
        and directory.sealing_key(agency) is not None
    )
