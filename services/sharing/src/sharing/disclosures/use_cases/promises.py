"""What follows a release on a promise, or to a key that changed: the proof, or that none comes."""

import logging
from enum import StrEnum
from uuid import UUID

from common.events.sharing import PromiseBroken
from sharing.cases.model import Reason
from sharing.context import ContentGone
from sharing.disclosures.model.disclosure import Disclosure, Hold, Standing, Step
from sharing.disclosures.model.evidence import Prepared, ProofWrong, check_proof, package
from sharing.disclosures.ports import CaseState, ReleaseTx
from sharing.disclosures.use_cases.last_look import kept_back
from sharing.disclosures.use_cases.steps import ReleaseContext, entry, released, spread

_log = logging.getLogger("hub.sharing")


class Unkept(StrEnum):
    """What the referrer hears of a promise that was not kept."""

    OVERDUE = "overdue"
    BROKEN = "broken"


def keep_promise(
    tx: ReleaseTx, context: ReleaseContext, delivery_id: UUID, state: CaseState | None
) -> bool:
    """Deliver the proof of an emergency release under the same delivery id.

    The package carries the content again, so it takes the same last look as a release. A case that
    moved on does not take back what has left; a veto on this recipient does. False when nothing
    was sealed.
    """
    prepared = _promised(tx, context, delivery_id)
    if prepared is None or kept_back(tx, context, prepared.disclosure, state):
        return False
    found = prepared.disclosure
    try:
        check_proof(prepared, context.log)
    except ProofWrong as wrong:
        break_promise(tx, context, found, Hold.PROOF_WRONG, code=wrong.code)
        return False
    digest = tx.inbox.send(found, package(prepared), kind="notice", not_before=spread(context))
    kept = found.keep_promise(context.directory.sealing_key(found.recipient))
    tx.disclosures.replace(found, kept)
    tx.record(
        entry(
            tx,
            context,
            "delivered",
            "done",
            found,
            envelope_digest=digest,
            reason_code="promise-kept",
            channel="topic-and-inbox",
        )
    )
    tx.publish(found.case_id, released(kept, found.released_at or context.now()))
    return True


def promise_due(tx: ReleaseTx, context: ReleaseContext, delivery_id: UUID) -> bool:
    """Tell the referrer once that a promise is past its hour; end one that nobody can keep.

    A promise on an erased case cannot be kept. False when there was nothing to say. If we crash
    before the commit it is said at the next round.
    """
    prepared = _promised(tx, context, delivery_id)
    if prepared is None:
        return False
    found = prepared.disclosure
    if found.reason is Hold.OVERDUE or found.proof_due is None or found.proof_due >= context.now():
        return False
    tx.disclosures.replace(found, found.mark_overdue())
    tx.record(entry(tx, context, "delivered", "failed", found, reason_code=Hold.OVERDUE.value))
    tx.publish(found.case_id, _unkept(context, found, Hold.OVERDUE))
    return True


def seal_again(
    tx: ReleaseTx, context: ReleaseContext, delivery_id: UUID, state: CaseState | None
) -> bool:
    """Send the same delivery in a new envelope to a recipient with a new key that has not saved it.

    See design section 8, step 3. It has been told this already, so a case that moved on does not
    keep it from opening it. A veto on it that came since does. What left on a promise and still
    waits for its proof leaves with the same promise again. If we crash before the commit nothing
    was sealed and the next round does it. False when nothing was sealed.
    """
    authorised = tx.disclosures.authorised(context.own_work(), delivery_id, Reason.SEAL_AGAIN)
    found = None if authorised is None else authorised.disclosure
    current = None if found is None else context.directory.sealing_key(found.recipient)
    if (
        authorised is None
        or found is None
        or not found.can(Step.SEAL_AGAIN)
        or found.saved_at is not None
        or current is None
        or current == found.sealed_to
    ):
        return False
    promise = tx.disclosures.promised(found) if found.standing is Standing.PROMISED else None
    if found.standing is Standing.PROMISED and promise is None:
        return False
    if kept_back(tx, context, found, state):
        return False
    prepared = Prepared(found, tx.disclosures.evidence(authorised))
    if promise is None and not _proves(prepared, context):
        return False
    again = package(prepared, promise)
    digest = tx.inbox.send(
        found, again, kind=found.kind, not_before=None if promise else spread(context)
    )
    tx.disclosures.replace(found, found.seal_again(current))
    tx.record(
        entry(
            tx,
            context,
            "resealed",
            "done",
            found,
            envelope_digest=digest,
            channel="topic-and-inbox",
        )
    )
    return True


def break_promise(
    tx: ReleaseTx, context: ReleaseContext, disclosure: Disclosure, reason: Hold, *, code: str
) -> None:
    """Say that there will be no proof of what left: its referrer hears it, and a person is paged.

    `code` is for the alarm: what exactly failed.
    """
    tx.disclosures.replace(disclosure, disclosure.break_promise(reason))
    tx.record(entry(tx, context, "delivered", "failed", disclosure, reason_code=reason.value))
    tx.publish(disclosure.case_id, _unkept(context, disclosure, reason))
    _log.error(
        "promise not kept",
        extra={"alarm": "promise-broken", "code": code, "recipient": disclosure.recipient},
    )


def _promised(tx: ReleaseTx, context: ReleaseContext, delivery_id: UUID) -> Prepared | None:
    """Find what left on a promise that can still be kept.

    On an erased case it cannot: no proof without what it proves, so it ends here.
    """
    authorised = tx.disclosures.authorised(context.own_work(), delivery_id, Reason.KEEP_PROMISE)
    if authorised is None or not authorised.disclosure.can(Step.KEEP_PROMISE):
        return None
    try:
        return Prepared(authorised.disclosure, tx.disclosures.evidence(authorised))
    except ContentGone:
        break_promise(tx, context, authorised.disclosure, Hold.ERASED, code=Hold.ERASED.value)
        return None


def _proves(prepared: Prepared, context: ReleaseContext) -> bool:
    """Tell whether what left with its proof still has it; alarm where not."""
    try:
        check_proof(prepared, context.log)
    except ProofWrong as wrong:
        _log.error("proof refused", extra={"alarm": "proof-refused", "code": wrong.code})
        return False
    return True


def _unkept(
    context: ReleaseContext,
    disclosure: Disclosure,
    reason: Hold,
) -> PromiseBroken:
    return PromiseBroken(
        case_id=disclosure.case_id,
        snapshot_version=disclosure.snapshot_version,
        delivery_id=disclosure.id,
        recipient=disclosure.recipient,
        standing=Unkept.OVERDUE.value if reason is Hold.OVERDUE else Unkept.BROKEN.value,
        reason_code=reason.value,
        found_at=context.now(),
    )
