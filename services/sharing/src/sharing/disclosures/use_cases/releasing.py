"""From a receipt to a sealed package: transaction 2 of design section 8, and its refusals."""

import logging
from datetime import datetime
from typing import Final
from uuid import UUID

from sharing.cases.model import Reason
from sharing.context import ContentGone
from sharing.disclosures.model.disclosure import Disclosure, Hold, Standing, State, Step
from sharing.disclosures.model.evidence import Prepared, ProofWrong, check_proof
from sharing.disclosures.ports import CaseState, ReleaseTx
from sharing.disclosures.use_cases.answers import due_when_released
from sharing.disclosures.use_cases.last_look import reason_against
from sharing.disclosures.use_cases.promises import break_promise
from sharing.disclosures.use_cases.steps import ReleaseContext, block, postpone, send

_log = logging.getLogger("hub.sharing")

RELEASED: Final = State.RELEASED.value
"""What `release` answers when the disclosure left."""
GONE: Final = "gone"


def receipt_came(
    tx: ReleaseTx, record_id: UUID, *, leaf: bytes, index: int, proof: str, now: datetime
) -> bool:
    """Keep the proof and let the release worker take over.

    True when a disclosure has exactly this record. Runs in the transaction that takes in the
    receipt, so a receipt once confirmed is never forgotten.

    Raises Moved, and the receipt is taken in again.
    """
    found = tx.disclosures.by_record(record_id)
    if found is None:
        return False
    tx.disclosures.keep_proof(found.id, leaf, index, proof)
    if found.can(Step.PROVE):
        tx.disclosures.replace(found, found.prove(now))
    return True


def receipt_refused(tx: ReleaseTx, context: ReleaseContext, record_id: UUID) -> None:
    """Stop what waits for a record that the log could not take; a person is told.

    What left on a promise cannot be called back. The promise is broken then, and no list may call
    it promised any more.
    """
    found = tx.disclosures.by_record(record_id)
    if found is None:
        return
    if found.standing is Standing.PROMISED:
        break_promise(tx, context, found, Hold.AUDIT_REJECTED, code=Hold.AUDIT_REJECTED.value)
    block(tx, context, found, Hold.AUDIT_REJECTED)


def release(
    tx: ReleaseTx, context: ReleaseContext, delivery_id: UUID, state: CaseState | None
) -> str:
    """Release one proven disclosure, or say why not; all of it in one transaction.

    `state` is referral's answer of this moment. If we crash before the commit nothing left and
    the worker tries again. After it the relay sends the stored bytes, and the state keeps anybody
    from sealing a second time.
    """
    authorised = tx.disclosures.authorised(context.own_work(), delivery_id, Reason.RELEASE)
    if authorised is None or not authorised.disclosure.can(Step.RELEASE):
        return GONE
    disclosure = authorised.disclosure
    try:
        prepared = Prepared(disclosure, tx.disclosures.evidence(authorised))
        check_proof(prepared, context.log)
    except ContentGone:
        return _blocked(tx, context, disclosure, Hold.ERASED)
    except ProofWrong as wrong:
        _log.error("proof refused", extra={"alarm": "proof-refused", "code": wrong.code})
        return _blocked(tx, context, disclosure, Hold.PROOF_WRONG)
    reason = reason_against(tx, context, disclosure, state)
    if reason is Hold.VETO:
        return _blocked(tx, context, disclosure, reason)
    if reason is not None:
        postpone(tx, context, disclosure, reason)
        return reason.value
    sealed_to = context.directory.sealing_key(disclosure.recipient)
    due = due_when_released(tx, context, disclosure)
    send(tx, context, prepared, disclosure.release(context.now(), sealed_to, due), state)
    return RELEASED


def failed(tx: ReleaseTx, context: ReleaseContext, delivery_id: UUID) -> None:
    """Postpone a release that something unforeseen stopped, and show the desk."""
    found = tx.disclosures.get(delivery_id)
    if found is not None:
        postpone(tx, context, found, Hold.FAILED)


def _blocked(tx: ReleaseTx, context: ReleaseContext, disclosure: Disclosure, reason: Hold) -> str:
    block(tx, context, disclosure, reason)
    return reason.value
