"""When an answer is due, that it is asked for late, and that it did not come."""

import logging
from datetime import datetime
from uuid import UUID

from sharing.disclosures.model.disclosure import Disclosure, Step
from sharing.disclosures.ports import ReleaseTx
from sharing.disclosures.use_cases.steps import ReleaseContext, entry, news

_log = logging.getLogger("hub.sharing")


def due_when_released(
    tx: ReleaseTx, context: ReleaseContext, disclosure: Disclosure
) -> datetime | None:
    """Return when the answer to what leaves now is due; None when it needs none.

    A correction needs one where its recipient has opened what it changes. A withdrawal was given
    its time when it was decided.
    """
    if disclosure.kind != "correction":
        return disclosure.answer_due
    now = context.now()
    opened = any(
        one.opened and one.kind != "withdrawal"
        for one in tx.disclosures.of_case(disclosure.case_id)
        if (one.recipient, one.id != disclosure.id) == (disclosure.recipient, True)
    )
    return context.answers.on(now).due("correction", now) if opened else None


def mark_unanswered(tx: ReleaseTx, context: ReleaseContext, delivery_id: UUID) -> bool:
    """Say once that an answer is overdue: recorded, told to the referrer, and alarmed by name.

    False when there was nothing to say. If we crash before the commit it is said at the next round.
    """
    found = tx.disclosures.get(delivery_id)
    now = context.now()
    if found is None or not found.unanswered(now) or not found.can(Step.MARK_UNANSWERED):
        return False
    marked = found.mark_unanswered(now)
    tx.disclosures.replace(found, marked)
    tx.record(entry(tx, context, "acknowledged", "failed", found, reason_code="answer-overdue"))
    tx.publish(found.case_id, news(found, "overdue", now))
    _log.error(
        "an answer to what was taken back or corrected is overdue",
        extra={
            "alarm": "answer-overdue",
            "recipient": found.recipient,
            "kind": found.kind,
            "owners": ",".join(context.answers.on(now).owners),
        },
    )
    return True
