"""From what was set aside, or used too soon, to the notice that its sender reads."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hubformats.agency_events import KeyUsed, UsedItem
from hubformats.audit_record import Actor, AuditEntry
from hubformats.ids import uuid7
from sharing.context import SERVICE_ACTOR, Context
from sharing.directory.model import Compromise
from sharing.directory.ports import Directory
from sharing.notices.model import Notice, NoticeStep
from sharing.notices.ports import NoticeTx
from sharing.signed.model import Found, KeyUse

_log = logging.getLogger("hub.sharing")
COMPROMISED: Final = "key-compromised"


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


def look_back(tx: NoticeTx, context: NoticeContext, key: Compromise) -> Found | None:
    """Find what a compromised key had signed that was used; record the look, and tell its agency.

    Nothing is undone: a person judges. If we crash before the commit, the next look finds the same;
    after it, nothing is found twice. Returns None when it was done before and nothing is new.
    """
    notice_id, now = uuid7(), context.now()
    found = tx.signed.look_back(key, notice_id, now)
    if found is None:
        return None
    counts = {"messages": found.messages, "older": found.older, "cases": found.cases}
    record = tx.record(
        AuditEntry(
            operation="review",
            outcome="done",
            actor=SERVICE_ACTOR,
            resource_type="signing-key",
            resource_id=key.key_id,
            # the resource id becomes a handle; this says in clear which agency it concerns
            recipient=key.agency,
            reason_code=COMPROMISED,
            count=found.count,
            detail={**counts, "since": key.since.isoformat()},
        )
    )
    items = tuple(_item(context, use) for use in found.first)
    used = KeyUsed(key_id=key.key_id, compromised_since=key.since, items=items, **counts)
    tx.notices.add(
        Notice(
            id=notice_id,
            agency=key.agency,
            event_id=None,
            digest=None,
            reason_code=COMPROMISED,
            received_at=now,
            record_id=record.id,
            used=used,
        )
    )
    return found


def _item(context: NoticeContext, use: KeyUse) -> UsedItem:
    case = use.case_id
    return UsedItem(
        kind=use.kind,
        certain=use.certain,
        taken_in_at=use.arrived_at,
        event_id=use.event_id,
        delivery_id=use.delivery_id,
        case_reference=None if case is None else context.reference(use.agency, case),
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
