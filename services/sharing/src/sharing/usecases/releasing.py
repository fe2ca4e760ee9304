"""From a receipt to a sealed package: transaction 2 of design section 8, its refusals, and the
emergency path."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from common.access import Granted
from common.events.sharing import DisclosureBlocked, DisclosureReleased, PromiseBroken
from common.problems import Problem
from hubformats.agency_events import Promise
from hubformats.audit_record import Actor, AuditEntry
from sharing.domain import disclosure as words
from sharing.domain.disclosure import (
    Disclosure,
    Prepared,
    ProofWrong,
    Standing,
    check_proof,
    package,
    wait,
)
from sharing.permissions import may
from sharing.ports import CaseFile, CaseState, Delivery, Sealed, Tx, Unproven
from sharing.usecases.desk import SERVICE_ACTOR, Desk, references

_log = logging.getLogger("hub.sharing")

ANSWER_LASTS: Final = 2.0
"""Seconds for which a release check's answer counts.

A veto is acknowledged without asking us, so this bounds what may leave after it; two seconds are
many times what asking and committing take, and the next try asks again.
"""

_PATIENCE: Final = 6
"""Tries, about sixteen seconds, after which waiting is somebody's business."""

UNPROVEN_SHOWN: Final = 100
"""What waits and is urgent first, then the newest; anything else can still be asked for by its id.
"""

EMERGENCY_CODES: Final = frozenset(
    {"imminent_danger_to_life", "imminent_serious_harm", "child_in_immediate_danger"}
)


def receipt_came(
    tx: Tx, record_id: UUID, *, leaf: bytes, index: int, proof: str, now: datetime
) -> bool:
    """Keep the proof and let the release worker take over; True when a disclosure waited for
    exactly this record.

    Runs in the transaction that takes in the receipt, so a receipt once confirmed is never
    forgotten.
    """
    found = tx.by_record(record_id)
    if found is None:
        return False
    tx.prove(found.id, leaf, index, proof)
    tx.advance(found.id, ("awaiting_receipt",), state="proven", next_at=now, proven_at=now)
    return True


def receipt_refused(tx: Tx, desk: Desk, record_id: UUID) -> None:
    """The log could not take our record: what waits on it must not leave, and a person is told."""
    found = tx.by_record(record_id)
    if found is not None:
        # What left on a promise cannot be called back: then the promise is broken, and no list may
        # call it promised any more.
        if found.state == "released" and found.standing == "promised":
            _break(tx, desk, found, words.AUDIT_REJECTED, code=words.AUDIT_REJECTED)
        block(tx, desk, found, words.AUDIT_REJECTED)


def block(tx: Tx, desk: Desk, disclosure: Disclosure, reason: str) -> None:
    """This disclosure will not leave without a person; recorded, told to referral, alarmed."""
    if not tx.advance(
        disclosure.id, ("awaiting_receipt", "proven"), state="blocked", reason=reason, next_at=None
    ):
        return
    tx.record(_entry(tx, desk, "blocked", "withhold", disclosure, reason_code=reason))
    tx.publish(
        disclosure.case_id,
        DisclosureBlocked(
            case_id=disclosure.case_id,
            snapshot_version=disclosure.snapshot_version,
            delivery_id=disclosure.id,
            recipient=disclosure.recipient,
            reason_code=reason,
            blocked_at=desk.now(),
        ),
    )
    _log.error(
        "disclosure blocked",
        extra={"alarm": "disclosure-blocked", "reason": reason, "recipient": disclosure.recipient},
    )


def release(
    tx: Tx, desk: Desk, granted: Granted, delivery_id: UUID, state: CaseState | None
) -> str:
    """Release one proven disclosure, or say why not; all of it in one transaction.

    `state` is referral's answer of this moment. If we crash before the commit nothing left and the
    worker tries again;
    after it the relay sends the stored bytes, and the state keeps anybody from sealing a second
    time.
    """
    disclosure = tx.disclosure(delivery_id)
    if disclosure is None or disclosure.state != "proven":
        return "gone"
    try:
        prepared = Prepared(disclosure, tx.evidence(granted, disclosure))
        check_proof(prepared, desk.log)
    except Sealed:
        block(tx, desk, disclosure, words.ERASED)
        return words.ERASED
    except ProofWrong as wrong:
        _log.error("proof refused", extra={"alarm": "proof-refused", "code": wrong.code})
        block(tx, desk, disclosure, words.PROOF_WRONG)
        return words.PROOF_WRONG
    reason = _veto(tx, desk, disclosure, state)
    if reason == words.VETO:
        block(tx, desk, disclosure, reason)
        return reason
    if reason:
        later(tx, desk, disclosure, reason)
        return reason
    _leave(tx, desk, prepared, "proven", tried=disclosure.attempts)
    return ""


def later(tx: Tx, desk: Desk, disclosure: Disclosure, reason: str) -> None:
    """Not now: try again after a pause that doubles, show the desk why, and page when it goes
    on.
    """
    if disclosure.attempts == _PATIENCE:
        _log.error(
            "a disclosure keeps waiting",
            extra={
                "alarm": "disclosure-waiting",
                "reason": reason,
                "recipient": disclosure.recipient,
            },
        )
    next_at = desk.now() + wait(disclosure.attempts)
    tx.advance(
        disclosure.id, ("proven",), reason=reason, attempts=disclosure.attempts + 1, next_at=next_at
    )


def failed(tx: Tx, desk: Desk, delivery_id: UUID) -> None:
    """Something we did not foresee stopped it: wait, and show the desk."""
    found = tx.disclosure(delivery_id)
    if found is not None:
        later(tx, desk, found, words.FAILED)


@dataclass(frozen=True, slots=True)
class Emergency:
    """A named person's decision that waiting for the log is the greater danger.

    `text` is sealed into the audit record.
    """

    code: str
    text: str


def unproven_of(
    tx: Tx, granted: Granted, actor: Actor, delivery_id: UUID | None = None
) -> tuple[tuple[Unproven, ...], bool]:
    """What of the agency's own referrals has no proof yet, or one of it by its id, and whether
    there is more than is shown.

    For a person who may release in an emergency. Raises Problem(forbidden).

    Who reported for a third party learns only that it arrived. Recorded, and never refused for the
    age of the log's backlog: that it does not answer is when this is needed.
    """
    if not may("see_unproven", granted):
        raise Problem("forbidden")
    all_found = tx.unproven(granted.principal.agency, UNPROVEN_SHOWN + 1, delivery_id)
    found = all_found[:UNPROVEN_SHOWN]
    references_ = tuple(sorted({each.reference for each in found}))
    tx.record(
        AuditEntry(
            operation="consultation",
            outcome="done",
            actor=actor,
            case_references=references_,
            resource_type="unproven-disclosures",
            count=len(found),
            deliveries=tuple(str(each.disclosure.id) for each in found),
        )
    )
    return found, len(all_found) > len(found)


def prepare_emergency(tx: Tx, granted: Granted, delivery_id: UUID) -> tuple[Disclosure, CaseFile]:
    """The disclosure and its case, if this person may release it now.

    Raises Problem: `forbidden`, `not-found`, `conflict` (not waiting for its receipt).
    """
    if not may("release_in_emergency", granted):
        raise Problem("forbidden")
    found = tx.disclosure(delivery_id)
    case = None if found is None else tx.case(found.case_id)
    # Who reported for a third party learns only that it arrived, so there is nothing for them to
    # release.
    if (
        found is None
        or case is None
        or case.referrer != granted.principal.agency
        or case.source == words.THIRD_PARTY
    ):
        raise Problem("not-found")
    if found.state != "awaiting_receipt":
        raise Problem(
            "conflict",
            "Only a disclosure that waits for its audit receipt can be released in an emergency.",
        )
    return found, case


def release_in_emergency(
    tx: Tx,
    desk: Desk,
    granted: Granted,
    actor: Actor,
    delivery_id: UUID,
    state: CaseState | None,
    promise: Promise,
    why: Emergency,
) -> Delivery:
    """Send with a promise instead of a proof, on a person's word; vetoes hold all the same.

    Raises Problem: `conflict` when it moved on or is vetoed, `unavailable` when vetoes cannot be
    read.
    """
    if not may("release_in_emergency", granted) or why.code not in EMERGENCY_CODES:
        raise Problem("forbidden")
    disclosure = tx.disclosure(delivery_id)
    if disclosure is None or disclosure.state != "awaiting_receipt":
        raise Problem("conflict", "The disclosure has moved on; read it again.")
    reason = _veto(tx, desk, disclosure, state)
    if reason in {words.NO_ANSWER, words.DIRECTORY_STALE}:
        raise Problem("unavailable", "The vetoes on this case cannot be read now.")
    if reason:
        raise Problem("conflict", "The case has changed or is vetoed; nothing was released.")
    tx.record(
        _entry(
            tx,
            desk,
            "emergency_release",
            "permit",
            disclosure,
            actor=actor,
            justification_code=why.code,
            emergency=True,
            detail={"reason": why.text},
        )
    )
    prepared = Prepared(disclosure, tx.evidence(granted, disclosure))
    return _leave(tx, desk, prepared, "promised", promise=promise, tried=disclosure.attempts)


def keep_promise(
    tx: Tx, desk: Desk, granted: Granted, delivery_id: UUID, state: CaseState | None
) -> bool:
    """The receipt of an emergency release came: deliver the proof under the same delivery id.

    The package carries the content again, so it takes the same last look as a release; but a case
    that moved on does not take back what has left, only a veto on this recipient does. False when
    nothing was sealed.
    """
    prepared = _promised(tx, desk, granted, delivery_id)
    if prepared is None or _kept_back(tx, desk, prepared.disclosure, state):
        return False
    found = prepared.disclosure
    try:
        check_proof(prepared, desk.log)
    except ProofWrong as wrong:
        _break(tx, desk, found, words.PROOF_WRONG, code=wrong.code)
        return False
    sent = tx.send_package(found, package(prepared), kind="notice", not_before=_spread(desk))
    tx.advance(
        found.id,
        ("released",),
        standing="proven",
        proof_due=None,
        reason="",
        sealed_to=desk.directory.sealing_key(found.recipient) or "",
    )
    tx.record(
        _entry(
            tx,
            desk,
            "delivered",
            "done",
            found,
            envelope_digest=sent.digest,
            reason_code="promise-kept",
            channel="topic-and-inbox",
        )
    )
    tx.publish(found.case_id, _released(found, found.released_at or desk.now(), "proven"))
    return True


def promise_due(tx: Tx, desk: Desk, granted: Granted, delivery_id: UUID) -> bool:
    """A promise is past its hour: its referrer is told so once, and one on an erased case, which
    nobody can keep, ends.

    False when there was nothing to say. If we crash before the commit it is said at the next round.
    """
    prepared = _promised(tx, desk, granted, delivery_id)
    if prepared is None:
        return False
    found = prepared.disclosure
    if found.reason == words.OVERDUE or found.proof_due is None or found.proof_due >= desk.now():
        return False
    tx.advance(found.id, ("released",), reason=words.OVERDUE)
    tx.record(_entry(tx, desk, "delivered", "failed", found, reason_code=words.OVERDUE))
    tx.publish(found.case_id, _unkept(desk, found, "overdue", words.OVERDUE))
    return True


def reseal(
    tx: Tx, desk: Desk, granted: Granted, delivery_id: UUID, state: CaseState | None
) -> bool:
    """The recipient has a new key and has not saved yet: the same delivery in a new envelope
    (design section 8, step 3).

    It has been told this already, so a case that moved on does not keep it from opening it; a veto
    on it that came since does. What left on a promise and still waits for its proof leaves with the
    same promise again. If we crash before the commit nothing was sealed and the next round does it.
    False when nothing was sealed.
    """
    found = tx.disclosure(delivery_id)
    current = None if found is None else desk.directory.sealing_key(found.recipient)
    if (
        found is None
        or found.state != "released"
        or found.saved_at is not None
        or current is None
        or current == found.sealed_to
    ):
        return False
    promise = tx.promise(found) if found.standing == "promised" else None
    if (found.standing != "proven" and promise is None) or _kept_back(tx, desk, found, state):
        return False
    again = package(Prepared(found, tx.evidence(granted, found)), promise)
    sent = tx.send_package(
        found, again, kind=found.kind, not_before=None if promise else _spread(desk)
    )
    tx.advance(found.id, ("released",), sealed_to=current)
    tx.record(
        _entry(
            tx,
            desk,
            "resealed",
            "done",
            found,
            envelope_digest=sent.digest,
            channel="topic-and-inbox",
        )
    )
    return True


def _promised(tx: Tx, desk: Desk, granted: Granted, delivery_id: UUID) -> Prepared | None:
    """What left on a promise that can still be kept.

    On an erased case it cannot: no proof without what it proves, so it ends here.
    """
    found = tx.disclosure(delivery_id)
    if found is None or found.state != "released" or found.standing != "promised":
        return None
    try:
        return Prepared(found, tx.evidence(granted, found))
    except Sealed:
        _break(tx, desk, found, words.ERASED, code=words.ERASED)
        return None


def _break(tx: Tx, desk: Desk, disclosure: Disclosure, reason: str, *, code: str) -> None:
    """There will be no proof of what left: it is called promised no longer, its referrer hears it,
    and a person is told now, not when it is overdue.
    """
    tx.advance(disclosure.id, ("released",), standing="", proof_due=None, reason=reason)
    tx.record(_entry(tx, desk, "delivered", "failed", disclosure, reason_code=reason))
    tx.publish(disclosure.case_id, _unkept(desk, disclosure, "broken", reason))
    _log.error(
        "promise not kept",
        extra={"alarm": "promise-broken", "code": code, "recipient": disclosure.recipient},
    )


def _leave(
    tx: Tx,
    desk: Desk,
    prepared: Prepared,
    standing: Standing,
    *,
    promise: Promise | None = None,
    tried: int,
) -> Delivery:
    disclosure, now = prepared.disclosure, desk.now()
    sent = tx.send_package(
        disclosure,
        package(prepared, promise),
        kind=disclosure.kind,
        not_before=None if promise else _spread(desk),
    )
    changes = {
        "state": "released",
        "reason": "",
        "standing": standing,
        "released_at": now,
        "next_at": None,
        "attempts": tried + 1,
        "sealed_to": desk.directory.sealing_key(disclosure.recipient) or "",
        "proof_due": promise.due if promise else None,
    }
    if not tx.advance(disclosure.id, ("proven", "awaiting_receipt"), **changes):
        raise Problem("conflict")
    tx.record(
        _entry(
            tx,
            desk,
            "delivered",
            "done",
            disclosure,
            envelope_digest=sent.digest,
            channel="topic-and-inbox",
        )
    )
    tx.publish(disclosure.case_id, _released(disclosure, now, "promised" if promise else "proven"))
    return sent


def _released(
    disclosure: Disclosure, at: datetime, proof: Literal["proven", "promised"]
) -> DisclosureReleased:
    return DisclosureReleased(
        case_id=disclosure.case_id,
        snapshot_version=disclosure.snapshot_version,
        delivery_id=disclosure.id,
        recipient=disclosure.recipient,
        clause=disclosure.clause,
        released_at=at,
        proof=proof,
    )


def _unkept(
    desk: Desk, disclosure: Disclosure, standing: Literal["overdue", "broken"], reason: str
) -> PromiseBroken:
    return PromiseBroken(
        case_id=disclosure.case_id,
        snapshot_version=disclosure.snapshot_version,
        delivery_id=disclosure.id,
        recipient=disclosure.recipient,
        standing=standing,
        reason_code=reason,
        found_at=desk.now(),
    )


def _veto(tx: Tx, desk: Desk, disclosure: Disclosure, state: CaseState | None) -> str:
    """The first reason against releasing now, looked for where it is owned and at this moment;
    empty when there is none.
    """
    if state is None or desk.clock.monotonic() - state.asked > ANSWER_LASTS:
        return words.NO_ANSWER
    case = tx.case(disclosure.case_id)
    if (
        case is None
        or state.version != disclosure.snapshot_version
        or case.version != disclosure.snapshot_version
    ):
        return words.NEWER_VERSION
    if any(marking.marking_id not in case.markings for marking in state.vetoes):
        return words.VETO
    return _not_now(tx, desk, disclosure)


def _against_again(tx: Tx, desk: Desk, disclosure: Disclosure, state: CaseState | None) -> str:
    """The same for content that this recipient has already: a newer version is no reason, a veto on
    it set since is.

    A veto counts as set since when what left was decided without it, though a later decision took
    it into account.
    """
    reason = _veto(tx, desk, disclosure, state)
    case = tx.case(disclosure.case_id)
    if reason != words.NEWER_VERSION or state is None or case is None:
        return reason
    known = {
        marking for marking, first in case.markings.items() if first <= disclosure.snapshot_version
    }
    if any(
        each.agency in {"*", disclosure.recipient} and each.marking_id not in known
        for each in state.vetoes
    ):
        return words.VETO
    return _not_now(tx, desk, disclosure)


def _not_now(tx: Tx, desk: Desk, disclosure: Disclosure) -> str:
    return (
        words.STREAM_HELD if tx.held(disclosure.case_id) else _recipient(desk, disclosure.recipient)
    )


def _kept_back(tx: Tx, desk: Desk, disclosure: Disclosure, state: CaseState | None) -> bool:
    """Whether there is a reason against sealing again what has left once; it is looked at again at
    the next round.
    """
    reason = _against_again(tx, desk, disclosure, state)
    if reason:
        _log.warning(
            "not sealed again",
            extra={"alarm": "reseal-withheld", "reason": reason, "recipient": disclosure.recipient},
        )
    return bool(reason)


def _recipient(desk: Desk, recipient: str) -> str:
    if not desk.directory.fresh():
        return words.DIRECTORY_STALE
    agency = next((agency for agency in desk.directory.agencies() if agency.id == recipient), None)
    if agency is None or agency.suspended:
        return words.SUSPENDED
    return "" if desk.directory.sealing_key(recipient) else words.NO_KEY


def _spread(desk: Desk) -> datetime:
    """A moment drawn at random, so that simultaneity tells nobody who else was told (design section
    5).
    """
    return desk.now() + timedelta(milliseconds=secrets.randbelow(desk.spread_ms + 1))


def _entry(
    tx: Tx,
    desk: Desk,
    operation: str,
    outcome: str,
    disclosure: Disclosure,
    *,
    actor: Actor = SERVICE_ACTOR,
    **more: object,
) -> AuditEntry:
    fields: Mapping[str, object] = {
        "operation": operation,
        "outcome": outcome,
        "actor": actor,
        "case_id": disclosure.case_id,
        "case_references": references(tx, desk, disclosure),
        "recipient": disclosure.recipient,
        "delivery": str(disclosure.id),
        "decision": str(disclosure.decision_id),
        **more,
    }
    return AuditEntry(**fields)  # type: ignore[arg-type]
