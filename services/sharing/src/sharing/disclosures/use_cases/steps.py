"""Steps that several use cases take with a disclosure: block, postpone, supersede, send."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from common.events.sharing import AnswerNews, DisclosureBlocked, DisclosureReleased
from hubformats.agency_events import Promise
from hubformats.audit_record import AuditEntry
from hubformats.tlog import Verifier
from sharing.cases.ports import Cases
from sharing.context import SERVICE_ACTOR, Context
from sharing.directory.ports import Directory
from sharing.disclosures.model.answers import AnswerBook
from sharing.disclosures.model.disclosure import (
    AUDIT_BLOCKED,
    PATIENCE,
    Disclosure,
    Hold,
    Moved,
    Step,
)
from sharing.disclosures.model.evidence import Prepared, package
from sharing.disclosures.ports import CaseState, ReleaseTx

_log = logging.getLogger("hub.sharing")


@dataclass(frozen=True, slots=True)
class ReleaseContext(Context):
    """What releasing is given besides: the directory, the log's key, and how far releases spread.

    `spread_ms` is in milliseconds; `answers` are the dated clocks of answers.
    """

    directory: Directory
    log: Verifier
    spread_ms: int
    answers: AnswerBook


def block(tx: ReleaseTx, context: Context, disclosure: Disclosure, reason: Hold) -> None:
    """Stop it until a person acts; recorded, told to referral, alarmed.

    Does nothing to one that cannot be blocked any more.

    Raises Moved.
    """
    if not disclosure.can(Step.BLOCK):
        return
    tx.disclosures.replace(disclosure, disclosure.block(reason))
    tx.record(entry(tx, context, AUDIT_BLOCKED, "withhold", disclosure, reason_code=reason.value))
    tx.publish(
        disclosure.case_id,
        DisclosureBlocked(
            case_id=disclosure.case_id,
            snapshot_version=disclosure.snapshot_version,
            delivery_id=disclosure.id,
            recipient=disclosure.recipient,
            reason_code=reason.value,
            blocked_at=context.now(),
        ),
    )
    _log.error(
        "disclosure blocked",
        extra={
            "alarm": "disclosure-blocked",
            "reason": reason.value,
            "recipient": disclosure.recipient,
        },
    )


def postpone(tx: ReleaseTx, context: Context, disclosure: Disclosure, reason: Hold) -> None:
    """Try again after a pause that doubles, show the desk why, and page when it goes on.

    Raises Moved.
    """
    if not disclosure.can(Step.POSTPONE):
        return
    if disclosure.attempts == PATIENCE:
        _log.error(
            "a disclosure keeps waiting",
            extra={
                "alarm": "disclosure-waiting",
                "reason": reason.value,
                "recipient": disclosure.recipient,
            },
        )
    tx.disclosures.replace(disclosure, disclosure.postpone(reason, context.now()))


def supersede(tx: ReleaseTx, context: Context, disclosure: Disclosure) -> None:
    """Keep what was prepared before a new decision from leaving.

    If another transaction moved it meanwhile, it is read again, locked. What has left stays.
    """
    current: Disclosure | None = disclosure
    while current is not None and current.unsent:
        try:
            tx.disclosures.replace(current, current.supersede())
        except Moved:
            current = tx.disclosures.get(disclosure.id)
            continue
        made = entry(
            tx, context, AUDIT_BLOCKED, "withhold", current, reason_code=Hold.SUPERSEDED.value
        )
        tx.record(made)
        return


def send(
    tx: ReleaseTx,
    context: ReleaseContext,
    prepared: Prepared,
    sent: Disclosure,
    state: CaseState | None,
    promise: Promise | None = None,
) -> None:
    """Seal and send what leaves for the first time; `sent` is the disclosure after it.

    The entry commits to `state`, referral's answer on which it left.

    Raises Moved, and LookupError without a key.
    """
    old = prepared.disclosure
    digest = tx.inbox.send(
        old,
        package(prepared, promise),
        kind=old.kind,
        not_before=None if promise else spread(context),
    )
    tx.disclosures.replace(old, sent)
    tx.record(
        entry(
            tx,
            context,
            "delivered",
            "done",
            old,
            envelope_digest=digest,
            checked=None if state is None else state.said(),
            channel="topic-and-inbox",
        )
    )
    at = sent.released_at or context.now()
    if old.kind == "withdrawal":
        return  # referral heard of it when it was decided
    tx.publish(old.case_id, released(sent, at))
    if sent.answer_due is not None:
        tx.publish(old.case_id, news(sent, "awaited", at))


def news(
    disclosure: Disclosure,
    standing: Literal["taken_back", "awaited", "overdue", "answered"],
    at: datetime,
) -> AnswerNews:
    """Return what referral hears of a correction or withdrawal and its answer."""
    return AnswerNews(
        case_id=disclosure.case_id,
        snapshot_version=disclosure.snapshot_version,
        delivery_id=disclosure.id,
        recipient=disclosure.recipient,
        standing=standing,
        answer=disclosure.answer or "",
        duty=disclosure.duty or "",
        due=disclosure.answer_due,
        at=at,
    )


def released(disclosure: Disclosure, at: datetime) -> DisclosureReleased:
    """Return what referral hears of a disclosure that left, or whose proof followed."""
    return DisclosureReleased(
        case_id=disclosure.case_id,
        snapshot_version=disclosure.snapshot_version,
        delivery_id=disclosure.id,
        recipient=disclosure.recipient,
        clause=disclosure.clause,
        released_at=at,
        proof=disclosure.proof,
    )


def spread(context: ReleaseContext) -> datetime:
    """Draw a moment at random, so that simultaneity tells nobody who else was told.

    See design section 5.
    """
    return context.now() + timedelta(milliseconds=secrets.randbelow(context.spread_ms + 1))


def entry(
    tx: ReleaseTx,
    context: Context,
    operation: str,
    outcome: str,
    disclosure: Disclosure,
    **more: object,
) -> AuditEntry:
    """Make an audit entry about a disclosure; `more` are further fields of it."""
    fields: Mapping[str, object] = {
        "operation": operation,
        "outcome": outcome,
        "actor": SERVICE_ACTOR,
        "case_id": disclosure.case_id,
        "case_references": references(tx.cases, context, disclosure.case_id, disclosure.recipient),
        "recipient": disclosure.recipient,
        "delivery": str(disclosure.id),
        "decision": context.decision_name(disclosure.decision_id, disclosure.recipient),
        "answers": (disclosure.record_id,),
        **more,
    }
    return AuditEntry(**fields)  # type: ignore[arg-type]


def references(cases: Cases, context: Context, case_id: UUID, recipient: str) -> tuple[str, ...]:
    """List the names an auditor looks for a case under: its recipient's and its referrer's."""
    case = cases.find(case_id)
    agencies = {recipient} if case is None else {recipient, case.referrer}
    return tuple(sorted(context.reference(agency, case_id) for agency in agencies))
