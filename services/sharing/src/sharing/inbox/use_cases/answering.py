"""Take in what a recipient answers to a correction or a withdrawal."""

from typing import Final
from uuid import UUID

from common.access import Granted
from hubformats.audit_record import Actor, AuditEntry, Operation
from sharing.disclosures.model.answers import Said
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.use_cases.steps import news, references
from sharing.inbox.ports import InboxTx
from sharing.inbox.use_cases.receiving import DeliveryNotFound, InboxContext

AUDIT_ANSWER: Final[Operation] = "acknowledged"
"""The log's operation for an answer; its reason code is the answer itself."""


def answer(
    tx: InboxTx,
    context: InboxContext,
    granted: Granted,
    actor: Actor,
    delivery_id: UUID,
    given: tuple[str, str | None],
) -> Disclosure:
    """Note what the caller's agency did with what was taken back or corrected.

    `given` is an answer with its duty. The same answer again changes nothing; another one takes its
    place, and both stand in the log.
    Raises DeliveryNotFound, NothingToAnswer, AnswerRefused, Moved.
    """
    found = tx.inbox.given_to(granted, delivery_id)
    if found is None or found.shown[-1].delivery.visible_at > context.now():
        raise DeliveryNotFound
    disclosure, now = found.disclosure, context.now()
    said = context.answers.on(now).check(disclosure.kind, *given)
    if (disclosure.answer, disclosure.duty) == (said.answer, said.duty):
        return disclosure
    answered = disclosure.say(now, said.answer, said.duty)
    tx.disclosures.replace(disclosure, answered)
    tx.record(_entry(tx, context, actor, answered, said))
    tx.publish(disclosure.case_id, news(answered, "answered", now))
    tx.inbox.confirmed([each.delivery.event_id for each in found.shown])
    return answered


def _entry(
    tx: InboxTx, context: InboxContext, actor: Actor, answered: Disclosure, said: Said
) -> AuditEntry:
    return AuditEntry(
        operation=AUDIT_ANSWER,
        outcome="done",
        actor=actor,
        case_id=answered.case_id,
        case_references=references(tx.cases, context, answered.case_id, answered.recipient),
        resource_type=answered.kind,
        recipient=answered.recipient,
        delivery=str(answered.id),
        decision=context.decision_name(answered.decision_id, answered.recipient),
        answers=(answered.record_id,),
        reason_code=said.answer.value,
        justification_code=said.duty or "",
    )
