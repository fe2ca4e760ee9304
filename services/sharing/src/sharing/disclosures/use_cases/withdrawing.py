"""Take back what left: from this transaction on it is not served, and its recipient is told.

Design section 8.1, point 5: narrowing takes effect in the deciding transaction.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from hubformats.audit_record import (
    AuditEntry,
    Ground,
    Operation,
    content_commitment,
    new_salt,
)
from hubformats.canonical import canonical, parse
from sharing.cases.model import Reason
from sharing.context import SERVICE_ACTOR, ContentGone, Context
from sharing.disclosures.model.answers import AnswerBook
from sharing.disclosures.model.disclosure import AUDIT_BLOCKED, Disclosure, Hold, Step
from sharing.disclosures.model.evidence import Evidence
from sharing.disclosures.ports import ReleaseTx
from sharing.disclosures.use_cases.steps import entry, news, references, supersede

_log = logging.getLogger("hub.sharing")

AUDIT_WITHDRAWAL: Final[Operation] = "withdrawal"
"""The log's operation for the notice of a withdrawal."""
AUDIT_STOPPED: Final = "stopped"
"""The log's reason for what is not served any more, whatever its recipient is told and when."""
_CONTENT_VERSION: Final = 1
_MUST: Final = {
    "code": "stop-and-delete",
    "text": "Stop using what was taken back, delete it where no duty keeps it, and answer.",
}
_NECESSITY: Final = "So that nobody goes on using what was taken back."


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What of one recipient's is taken back, oldest first.

    `told` says whether a withdrawal goes to it; not where a correction takes the place.
    `blocked` are earlier withdrawals of the same that did not leave.
    """

    recipient: str
    disclosures: tuple[Disclosure, ...]
    told: bool
    blocked: tuple[Disclosure, ...] = ()


def take_back(
    tx: ReleaseTx, context: Context, answers: AnswerBook, taken: TakenBack, version: int
) -> None:
    """Withdraw what left, and prepare the package that says so to who must hear it.

    The log has an entry for each, and the referrer hears of it, whenever that package can leave.
    What another transaction moved meanwhile is read again, locked, in the order of ids. If we crash
    before the commit nothing happened and the decision is made again.

    Raises Moved.
    """
    now = context.now()
    held = []
    for one in sorted(taken.disclosures, key=lambda each: each.id):
        found = tx.disclosures.get(one.id)
        if found is None or not found.can(Step.WITHDRAW):
            continue
        if not found.withdrawn:
            reason = Hold.VETO if taken.told else Hold.SUPERSEDED
            tx.disclosures.replace(found, found.withdraw(now, reason))
            tx.inbox.stop(found)
            stopped = entry(
                tx, context, AUDIT_BLOCKED, "withhold", found, reason_code=AUDIT_STOPPED
            )
            tx.record(stopped)
        elif taken.told and found.corrected:
            tx.disclosures.replace(found, found.withdraw(now, Hold.VETO))  # named from here on
        held.append(found)
    for one in taken.blocked:
        supersede(tx, context, one)
    if held and taken.told:
        _tell(tx, context, answers, held, version)
    elif held:
        stopped_now = replace(held[-1], snapshot_version=version, answer_due=None)
        tx.publish(stopped_now.case_id, news(stopped_now, "taken_back", now))


def _tell(
    tx: ReleaseTx, context: Context, answers: AnswerBook, held: Sequence[Disclosure], version: int
) -> None:
    """Prepare the withdrawal under the clause by which its recipient was told.

    It leaves like any package: after its own entry is in the log.
    """
    newest = max(held, key=lambda one: (one.decided_at, one.id))
    case_id, now = newest.case_id, context.now()
    due = answers.on(now).due("withdrawal", now) if any(one.opened for one in held) else None
    heard = replace(newest, snapshot_version=version, answer_due=due)
    tx.publish(case_id, news(heard, "taken_back", now))
    content = _content(tx, context, newest, [one.id for one in held], due)
    if content is None:
        return
    raw, salt = canonical(content), new_salt()
    commitment = content_commitment(salt, raw)
    record = tx.record(_entry(tx, context, newest, content, commitment))
    waiting = Disclosure(
        id=UUID(content["deliveryId"]),
        decision_id=newest.decision_id,
        case_id=case_id,
        # Of the decision by which it was told, as its clause: both stand where that is sealed.
        snapshot_version=newest.snapshot_version,
        recipient=newest.recipient,
        kind="withdrawal",
        clause=newest.clause,
        record_id=record.id,
        commitment=commitment,
        fingerprint=commitment,
        decided_at=now,
        answer_due=due,
    )
    tx.disclosures.add(waiting, Evidence(raw, salt, record.record, record.salt))


def _entry(
    tx: ReleaseTx,
    context: Context,
    newest: Disclosure,
    content: Mapping[str, Any],
    commitment: str,
) -> AuditEntry:
    return AuditEntry(
        operation=AUDIT_WITHDRAWAL,
        outcome="permit",
        actor=SERVICE_ACTOR,
        case_id=newest.case_id,
        case_references=references(tx.cases, context, newest.case_id, newest.recipient),
        resource_type="withdrawal",
        resource_version=newest.snapshot_version,
        received_under=Ground(content["lawfulBasis"], content["condition"]),
        human="none",
        purpose=content["purpose"],
        clause=newest.clause,
        agreement=content["clause"]["hash"],
        agreement_version=content["clause"]["version"],
        decision=context.decision_name(newest.decision_id, newest.recipient),
        answers=(newest.record_id,),
        recipient=newest.recipient,
        delivery=content["deliveryId"],
        deliveries=tuple(content["withdraws"]),
        content_commitment=commitment,
    )


def _content(
    tx: ReleaseTx,
    context: Context,
    newest: Disclosure,
    withdrawn: Sequence[UUID],
    due: datetime | None,
) -> dict[str, Any] | None:
    """Say what was taken back, by delivery ids alone: it carries no fact and no reason.

    None when the clause cannot be read any more, because the case was erased. The erasure asks its
    recipients.
    """
    authorised = tx.disclosures.authorised(context.own_work(), newest.id, Reason.WITHDRAW)
    if authorised is None:
        return None
    try:
        told: Mapping[str, Any] = parse(tx.disclosures.evidence(authorised).content)
    except ContentGone:
        _log.warning("an erased case is withdrawn without a package")
        return None
    content: dict[str, Any] = {
        name: told[name]
        for name in ("caseReference", "clause", "purpose", "lawfulBasis", "condition", "gateway")
    }
    return content | {
        "v": _CONTENT_VERSION,
        "kind": "withdrawal",
        # At random: two agencies who compare theirs learn nothing, not even the moment.
        "deliveryId": str(uuid4()),
        "recipient": newest.recipient,
        "asOf": _moment(context.now()),
        "provisional": False,
        "urgent": False,
        "otherClauses": [],
        "necessity": _NECESSITY,
        "obligations": [_MUST],
        "sections": [],
        "withdraws": sorted(map(str, withdrawn)),
        "answerRequired": due is not None,
        **({} if due is None else {"answerBy": _moment(due)}),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
