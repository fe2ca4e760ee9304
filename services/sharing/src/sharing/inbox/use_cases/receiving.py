"""Read the inbox, take in signed receipts that something is saved, and acknowledgements."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import Final, get_args
from uuid import UUID

from common.access import Granted
from common.events.sharing import DisclosureSaved
from hubformats.agency_events import TakingUp
from hubformats.audit_record import Actor, AuditEntry
from sharing.content.model.projection import Kind
from sharing.context import SERVICE_ACTOR, Context
from sharing.directory.ports import Directory
from sharing.disclosures.model.answers import Answer, AnswerBook
from sharing.disclosures.model.disclosure import Disclosure, Step
from sharing.disclosures.ports import CaseState
from sharing.disclosures.use_cases.last_look import forbidden
from sharing.disclosures.use_cases.steps import news, references
from sharing.disclosures.use_cases.withdrawing import AUDIT_WITHDRAWAL
from sharing.inbox.model import AuthorisedDelivery, Only, Saved, Shown, check_receipt, key_id
from sharing.inbox.ports import InboxTx
from sharing.signed.model import receipt_message

ASKED_LATE: Final = "answer-asked-late"
"""The log's reason when what was taken back unread turns out to have been read."""
_LOOKED_AT: Final = 32
"""Deliveries of one entry: each brings two names of its case, and the log's index takes 64 of a
kind.
"""


@dataclass(frozen=True, slots=True)
class InboxContext(Context):
    """What the inbox is given besides: the directory, and the dated clocks of answers."""

    directory: Directory
    answers: AnswerBook


class DeliveryNotFound(LookupError):
    """This agency was not given such a delivery; the same for another's and for none."""

    code: Final = "not-found"


class RoleUnknown(ValueError):
    """An acknowledgement names a role that is none."""

    code: Final = "validation-failed"


@dataclass(frozen=True, slots=True)
class Checked:
    """What referral said of these cases at this moment, in one answer for the whole page."""

    asked: frozenset[UUID]
    states: Mapping[UUID, CaseState]

    def stopped(self, context: InboxContext, shown: Shown, agency: str) -> bool:
        """Tell whether a veto keeps the agency from being shown it.

        A case that its owner does not vouch for is not shown.

        Raises CheckUnanswered.
        """
        if shown.delivery.kind == "withdrawal":
            return False  # it carries no fact
        state = self.states.get(shown.case_id)
        return state is None or forbidden(context, state, shown.vetoes, agency)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of its inbox an agency asks for, and what the vetoes on it are."""

    after: int
    limit: int
    checked: Checked
    only: Only = None


@dataclass(frozen=True, slots=True)
class Read:
    """A part of an inbox as it may be shown.

    `resume` is the place to go on from next time. `looked` is how far this look came. `more` says
    whether there may be something behind it.
    """

    shown: tuple[Shown, ...]
    resume: int
    looked: int
    more: bool = False


def read_inbox(
    tx: InboxTx, context: InboxContext, granted: Granted, actor: Actor, wanted: Wanted
) -> Read:
    """Read the agency's own deliveries behind a place, in its own order.

    Writes the audit record in the same transaction, before anything is shown. What a veto stops is
    left out, and a reader goes on from before it. After the next decision it may stand. Until then
    what is behind it is shown again rather than missed.

    Raises CheckUnanswered.
    """
    agency, checked = granted.principal.agency, wanted.checked
    found = tx.inbox.behind(granted, wanted.after, wanted.limit, context.now(), wanted.only)
    # What came after the question is left to the next look, which asks about it.
    looked = tuple(takewhile(lambda each: each.case_id in checked.asked, found))
    stops = [checked.stopped(context, each, agency) for each in looked]
    shown = tuple(each for each, stop in zip(looked, stops, strict=True) if not stop)
    if granted.principal.kind == "system":
        # A person's list is looked at, not read: the portal opens one by one.
        shown = _open(tx, context, shown)
    if shown:
        _read(tx, context, actor, shown)
    places = [wanted.after, *(each.delivery.position for each in looked)]
    clear = stops.index(True) if True in stops else len(stops)
    return Read(shown, places[clear], places[-1], len(looked) == wanted.limit)


def without_stopped(context: InboxContext, read: Read, checked: Checked, agency: str) -> Read:
    """Leave out what a veto stops by now; a reader goes on from before the first of it.

    Raises CheckUnanswered.
    """
    stops = [checked.stopped(context, each, agency) for each in read.shown]
    gone = [each.delivery for each, stop in zip(read.shown, stops, strict=True) if stop]
    shown = tuple(each for each, stop in zip(read.shown, stops, strict=True) if not stop)
    return replace(
        read, shown=shown, resume=min([read.resume, *(one.position - 1 for one in gone)])
    )


def read_delivery(
    tx: InboxTx,
    context: InboxContext,
    granted: Granted,
    actor: Actor,
    delivery_id: UUID,
    checked: Checked,
) -> Shown:
    """Read the newest envelope of one delivery. What a veto stops is like what was never there.

    Raises DeliveryNotFound, CheckUnanswered.
    """
    shown = [
        each
        for each in tx.inbox.envelopes(granted, delivery_id)
        if each.delivery.visible_at <= context.now()
    ]
    if not shown or checked.stopped(context, shown[-1], granted.principal.agency):
        raise DeliveryNotFound
    opened = _open(tx, context, (shown[-1],))
    if not opened:
        raise DeliveryNotFound
    _read(tx, context, actor, opened)
    return opened[-1]


def _open(tx: InboxTx, context: InboxContext, shown: tuple[Shown, ...]) -> tuple[Shown, ...]:
    """Note that these are served to be read; what was taken back meanwhile is left out.

    Locked in the order of ids, as a decision that takes some back locks them.
    """
    gone = set()
    for delivery_id in sorted({each.delivery.delivery_id for each in shown if not each.opened_at}):
        found = tx.disclosures.get(delivery_id)
        if found is None or not found.can(Step.OPEN):
            gone.add(delivery_id)
        elif found.opened_at is None:
            tx.disclosures.replace(found, found.open(context.now()))
    return tuple(each for each in shown if each.delivery.delivery_id not in gone)


def save(
    tx: InboxTx,
    context: InboxContext,
    granted: Granted,
    actor: Actor,
    delivery_id: UUID,
    receipt: str,
) -> datetime:
    """Take a signed receipt in for the caller's agency: the delivery is saved from now on.

    Whoever brings the receipt and however often, the first time counts.
    Raises DeliveryNotFound, Moved, ReceiptRefused for a receipt that proves nothing.
    """
    given = _given(tx, granted, delivery_id)
    saved = check_receipt(
        receipt,
        agency=given.recipient,
        delivery_id=delivery_id,
        delivered={each.delivery.digest for each in given.shown},
        key=context.directory.verification,
    )
    disclosure = given.disclosure
    if disclosure.saved_at is not None:
        return disclosure.saved_at
    now = context.now()
    tx.disclosures.replace(disclosure, disclosure.save(now))
    _ask_late(tx, context, disclosure)
    tx.record(_saved_entry(tx, context, actor, saved, given))
    tx.publish(
        disclosure.case_id,
        DisclosureSaved(
            case_id=disclosure.case_id,
            delivery_id=delivery_id,
            recipient=given.recipient,
            saved_at=now,
        ),
    )
    tx.inbox.confirmed([each.delivery.event_id for each in given.shown])
    return now


def save_by_api(
    tx: InboxTx,
    context: InboxContext,
    granted: Granted,
    actor: Actor,
    delivery_id: UUID,
    receipt: str,
) -> datetime:
    """Take a signed receipt in that came alone, and keep which key signed it.

    Raises what `save` raises.
    """
    saved_at = save(tx, context, granted, actor, delivery_id, receipt)
    agency, now = granted.principal.agency, context.now()
    tx.signed.note(receipt_message(agency, key_id(receipt), receipt, "api", now, delivery_id))
    return saved_at


def acknowledge(
    tx: InboxTx,
    context: InboxContext,
    granted: Granted,
    actor: Actor,
    delivery_id: UUID,
    role: str,
) -> datetime:
    """Note that a known role of the caller's agency has taken the delivery up; the first counts.

    Raises DeliveryNotFound, Moved, RoleUnknown.
    """
    if role not in get_args(TakingUp):
        raise RoleUnknown
    given = _given(tx, granted, delivery_id)
    disclosure = given.disclosure
    if disclosure.acknowledged_at is not None:
        return disclosure.acknowledged_at
    now = context.now()
    acknowledged = disclosure.acknowledge(now)
    if disclosure.kind == "correction" and disclosure.answered_at is None:
        # Taking a correction up is the answer to it.
        acknowledged = acknowledged.say(now, Answer.CORRECTED, None)
        if disclosure.answer_due is not None:
            tx.publish(disclosure.case_id, news(acknowledged, "answered", now))
    tx.disclosures.replace(disclosure, acknowledged)
    _ask_late(tx, context, disclosure)
    tx.record(
        AuditEntry(
            operation="acknowledged",
            outcome="done",
            actor=actor,
            case_id=disclosure.case_id,
            case_references=references(tx.cases, context, disclosure.case_id, disclosure.recipient),
            recipient=given.recipient,
            delivery=str(delivery_id),
            decision=context.decision_name(disclosure.decision_id, disclosure.recipient),
            answers=(disclosure.record_id,),
            detail={"role": role},
        )
    )
    return now


def _ask_late(tx: InboxTx, context: InboxContext, disclosure: Disclosure) -> None:
    """Ask for an answer after all: what was taken back unread had been read from the topic.

    A withdrawal that waits for its entry in the log asks from now on, too. A correction that waits
    is given its time when it leaves.
    """
    gone = disclosure.withdrawn_at
    if gone is None or disclosure.opened:
        return
    now = context.now()
    kind: Kind = "correction" if disclosure.corrected else "withdrawal"
    for one in tx.disclosures.of_case(disclosure.case_id):
        mine = (one.recipient, one.kind) == (disclosure.recipient, kind)
        late = one.released_at is not None and one.released_at >= gone
        asks = one.can(Step.ASK) and one.answer_due is None and one.answered_at is None
        if mine and asks and (late or kind == "withdrawal"):
            asked = one.ask(context.answers.on(now).due(kind, now))
            tx.disclosures.replace(one, asked)
            tx.record(_asked_entry(tx, context, one))
            tx.publish(one.case_id, news(asked, "awaited", now))


def _asked_entry(tx: InboxTx, context: Context, asking: Disclosure) -> AuditEntry:
    return AuditEntry(
        operation=AUDIT_WITHDRAWAL if asking.kind == "withdrawal" else "correction",
        outcome="done",
        actor=SERVICE_ACTOR,
        case_id=asking.case_id,
        case_references=references(tx.cases, context, asking.case_id, asking.recipient),
        recipient=asking.recipient,
        delivery=str(asking.id),
        decision=context.decision_name(asking.decision_id, asking.recipient),
        answers=(asking.record_id,),
        reason_code=ASKED_LATE,
    )


def _given(tx: InboxTx, granted: Granted, delivery_id: UUID) -> AuthorisedDelivery:
    given = tx.inbox.given_to(granted, delivery_id)
    if given is None:
        raise DeliveryNotFound
    return given


def _read(tx: InboxTx, context: Context, actor: Actor, shown: tuple[Shown, ...]) -> None:
    """Record the look.

    An auditor finds it by every delivery, and by either agency's name for every case shown.
    """
    for start in range(0, len(shown), _LOOKED_AT):
        tx.record(_read_entry(context, actor, shown[start : start + _LOOKED_AT]))


def _read_entry(context: Context, actor: Actor, shown: tuple[Shown, ...]) -> AuditEntry:
    alone = shown[0].delivery if len(shown) == 1 else None
    names = {
        context.reference(agency, each.case_id)
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
        delivery=str(alone.delivery_id) if alone else "",
        envelope_digest=alone.digest if alone else "",
        channel="api",
        case_references=tuple(sorted(names)),
        deliveries=tuple(dict.fromkeys(str(each.delivery.delivery_id) for each in shown)),
        detail={"deliveries": [str(each.delivery.delivery_id) for each in shown]},
    )


def _saved_entry(
    tx: InboxTx, context: Context, actor: Actor, saved: Saved, given: AuthorisedDelivery
) -> AuditEntry:
    disclosure = given.disclosure
    return AuditEntry(
        operation="saved",
        outcome="done",
        actor=actor,
        case_id=disclosure.case_id,
        case_references=references(tx.cases, context, disclosure.case_id, disclosure.recipient),
        recipient=saved.agency,
        delivery=str(saved.delivery_id),
        decision=context.decision_name(disclosure.decision_id, disclosure.recipient),
        answers=(disclosure.record_id,),
        envelope_digest=saved.envelope_digest,
        receipt_digest=saved.digest,
    )
