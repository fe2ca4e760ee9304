"""What agencies do with what they were given: read the inbox, sign that it is saved,
acknowledge."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, get_args
from uuid import UUID

from common.access import Granted
from common.events.sharing import DisclosureSaved
from common.problems import Fault, Problem, define
from hubformats.agency_events import TakingUp
from hubformats.audit_record import Actor, AuditEntry
from sharing.domain.disclosure import Disclosure
from sharing.domain.receipt import ReceiptRefused, Saved, check_receipt
from sharing.permissions import may
from sharing.ports import Shown, Tx
from sharing.usecases.desk import Desk, references

_LOOKED_AT: Final = 32
"""Deliveries of one entry: each brings two names of its case, and the log's index takes 64 of a
kind.
"""

define(
    "receipt-refused",
    422,
    "The receipt does not fit this delivery",
    "Sign a receipt over exactly the envelope you were given, with your agency's signing key.",
)


def read_inbox(
    tx: Tx, desk: Desk, granted: Granted, actor: Actor, *, after: int, limit: int
) -> tuple[Shown, ...]:
    """The agency's own deliveries behind a place, in its own order.

    Writes the audit record in the same transaction, before anything is shown.
    """
    _allow("read_inbox", granted)
    shown = tx.inbox(granted.principal.agency, after, limit, desk.now())
    if shown:
        _read(tx, desk, actor, shown)
    return shown


def read_delivery(tx: Tx, desk: Desk, granted: Granted, actor: Actor, delivery_id: UUID) -> Shown:
    """The newest envelope of one delivery.

    Raises Problem(not-found), the same for another agency's as for none.
    """
    _allow("read_inbox", granted)
    shown = [
        each
        for each in tx.deliveries(granted.principal.agency, delivery_id)
        if each.delivery.visible_at <= desk.now()
    ]
    if not shown:
        raise Problem("not-found")
    _read(tx, desk, actor, (shown[-1],))
    return shown[-1]


def save(
    tx: Tx, desk: Desk, agency: str, actor: Actor, delivery_id: UUID, receipt: str
) -> datetime:
    """Take a signed receipt in: the delivery is saved from now on, whoever brings the receipt and
    however often.

    Raises Problem: `not-found` for another agency's delivery, `receipt-refused` for a receipt that
    proves nothing.
    """
    shown = tx.deliveries(agency, delivery_id)
    disclosure = tx.disclosure(delivery_id)
    if not shown or disclosure is None:
        raise Problem("not-found")
    try:
        digests = {each.delivery.digest for each in shown}
        saved = check_receipt(
            receipt,
            agency=agency,
            delivery_id=delivery_id,
            delivered=digests,
            key=desk.directory.verification,
        )
    except ReceiptRefused:
        raise Problem("receipt-refused") from None
    if disclosure.saved_at is not None:
        return disclosure.saved_at
    now = desk.now()
    tx.advance(delivery_id, ("released",), saved_at=now)
    tx.record(_saved_entry(actor, saved, disclosure, references(tx, desk, disclosure)))
    tx.publish(
        disclosure.case_id,
        DisclosureSaved(
            case_id=disclosure.case_id, delivery_id=delivery_id, recipient=agency, saved_at=now
        ),
    )
    tx.confirmed([each.delivery.event_id for each in shown])
    return now


def acknowledge(
    tx: Tx, desk: Desk, agency: str, actor: Actor, delivery_id: UUID, role: str
) -> datetime:
    """A known role has taken the delivery up; the first to say so counts.

    Raises Problem: `not-found`, `validation-failed` for another role.
    """
    if role not in get_args(TakingUp):
        raise Problem(
            "validation-failed",
            errors=[Fault("/role", f"must be one of {', '.join(get_args(TakingUp))}")],
        )
    shown = tx.deliveries(agency, delivery_id)
    disclosure = tx.disclosure(delivery_id)
    if not shown or disclosure is None:
        raise Problem("not-found")
    if disclosure.acknowledged_at is not None:
        return disclosure.acknowledged_at
    now = desk.now()
    tx.advance(delivery_id, ("released",), acknowledged_at=now)
    tx.record(
        AuditEntry(
            operation="acknowledged",
            outcome="done",
            actor=actor,
            case_id=disclosure.case_id,
            case_references=references(tx, desk, disclosure),
            recipient=agency,
            delivery=str(delivery_id),
            decision=str(disclosure.decision_id),
            detail={"role": role},
        )
    )
    return now


def state_of(shown: Shown) -> str:
    """The furthest thing the recipient has said about a delivery."""
    return "acknowledged" if shown.acknowledged_at else "saved" if shown.saved_at else "delivered"


def _allow(action: str, granted: Granted) -> None:
    if not may(action, granted):
        raise Problem("forbidden")


def _read(tx: Tx, desk: Desk, actor: Actor, shown: tuple[Shown, ...]) -> None:
    """The look, so that an auditor finds it by every delivery and by either agency's name for every
    case that was shown.
    """
    for start in range(0, len(shown), _LOOKED_AT):
        tx.record(_read_entry(desk, actor, shown[start : start + _LOOKED_AT]))


def _read_entry(desk: Desk, actor: Actor, shown: tuple[Shown, ...]) -> AuditEntry:
    # Two fields, one rule
    only: Callable[[str], str] = lambda value: value if len(shown) == 1 else ""  # noqa: E731
    names = {
        desk.reference(agency, each.case_id)
        for each in shown
        for agency in (actor.agency, each.referrer)
    }
    return AuditEntry(
        operation="consultation",
        outcome="done",
        actor=actor,
        resource_type="inbox",
        recipient=actor.agency,
        count=len(shown),
        delivery=only(str(shown[0].delivery.delivery_id)),
        envelope_digest=only(shown[0].delivery.digest),
        channel="api",
        case_references=tuple(sorted(names)),
        deliveries=tuple(dict.fromkeys(str(each.delivery.delivery_id) for each in shown)),
        detail={"deliveries": [str(each.delivery.delivery_id) for each in shown]},
    )


def _saved_entry(
    actor: Actor, saved: Saved, disclosure: Disclosure, names: tuple[str, ...]
) -> AuditEntry:
    return AuditEntry(
        operation="saved",
        outcome="done",
        actor=actor,
        case_id=disclosure.case_id,
        case_references=names,
        recipient=saved.agency,
        delivery=str(saved.delivery_id),
        decision=str(disclosure.decision_id),
        envelope_digest=saved.envelope_digest,
        receipt_digest=saved.digest,
    )
