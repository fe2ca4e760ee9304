"""Take a snapshot in, decide, and write down per recipient what it may know: transaction 1 of
design section 8, and its preview."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from common.access import Granted
from common.events.case import CaseSnapshot
from common.events.sharing import RecipientOutcome, SnapshotDecided
from common.problems import Problem
from common.views import Kind, Parcel, Reading
from hubformats import field_sets
from hubformats.audit_record import Actor, AuditEntry, content_commitment, new_salt
from hubformats.canonical import canonical
from hubformats.categories import CATEGORIES
from hubformats.ids import uuid7
from sharing.domain.deciding import (
    RULE_FAILED,
    RecipientDecision,
    SharingDecision,
    conclude,
    due,
    questions,
)
from sharing.domain.disclosure import (
    SUPERSEDED,
    THIRD_PARTY,
    Disclosure,
    Evidence,
    delivery_id,
    fingerprint,
)
from sharing.permissions import may
from sharing.ports import CaseFile, Sealed, Tx
from sharing.usecases.desk import SERVICE_ACTOR, Desk, references

_log = logging.getLogger("hub.sharing")

NOTHING_NEW: Final = "nothing-new"
OWN_FACTS: Final = "own-facts"
_SUSPENDED: Final = "suspended"
UNSENT: Final = ("awaiting_receipt", "proven", "blocked")
_RESTRICTED: Final = frozenset({"conflict", "employee-subject", "informant", "legal-hold"})
"""Vetoes whose very existence is not for the referrer to learn from a preview."""


def decide(desk: Desk, reading: Reading) -> SharingDecision:
    """Who may know what of this snapshot, now.

    Pure but for the clock and the directory. Raises NoAgreement, CategoryUnknown.
    """
    snapshot = reading.snapshot
    rules = desk.rules_for(snapshot.area)
    agencies = desk.directory.agencies()
    asked = questions(reading, due(snapshot, rules.agreement, agencies))
    return conclude(
        snapshot, rules.agreement, asked, rules.rule(snapshot, asked, agencies), as_of=desk.now()
    )


def take_snapshot(tx: Tx, desk: Desk, granted: Granted, snapshot: CaseSnapshot) -> None:
    """Decide on a new snapshot and prepare every disclosure; an older one than known is recorded
    and changes nothing.

    If we crash before the commit nothing happened and the event comes again; after it, receipts
    carry on.
    """
    if not may("decide", granted):
        raise Problem("forbidden")
    known = tx.case(snapshot.case_id)
    if known is not None and known.version >= snapshot.version:
        tx.record(_snapshot_entry(snapshot, reason="older-version"))
        return
    reading = Reading(snapshot)
    decision = decide(desk, reading)
    alarm_failed_rules(decision)
    reference = desk.reference(snapshot.referrer_agency, snapshot.case_id)
    tx.keep_snapshot(granted, snapshot, reference)
    tx.keep_passed_over(snapshot.case_id, alarm_suspended(decision))
    decision_id = uuid7()
    keep_decision(tx, decision_id, snapshot, decision)
    earlier = tx.of_case(snapshot.case_id)
    for disclosure in earlier:
        if disclosure.state in UNSENT:
            supersede(tx, desk, disclosure)
    news = [
        one_recipient(tx, desk, granted, reading, decision, decision_id, each, earlier)
        for each in decision.recipients
    ]
    # Also when nobody may know: referral keeps the snapshot's bytes for us until it hears this.
    tell(tx, decision, snapshot, news)


def tell(
    tx: Tx,
    decision: SharingDecision,
    snapshot: CaseSnapshot,
    news: Sequence[RecipientOutcome | None],
) -> None:
    """Let referral know what was decided: one event, whose envelope costs as much for one outcome
    as for all.
    """
    outcomes = tuple(each for each in news if each is not None)
    tx.publish(
        snapshot.case_id,
        SnapshotDecided(
            case_id=snapshot.case_id,
            snapshot_version=snapshot.version,
            outcomes=outcomes,
            decided_at=decision.as_of,
        ),
    )


def forget_subject(tx: Tx, desk: Desk, subject_id: UUID, case_ids: tuple[UUID, ...]) -> None:
    """A person was erased at the owner: what sharing holds of their cases becomes unreadable, and
    nothing prepared from it leaves.

    Deliveries stay sealed to their recipients, who are asked separately. Referral sends what
    remains as a new snapshot.
    """
    for case_id in case_ids:
        for disclosure in tx.of_case(case_id):
            if disclosure.state in UNSENT:
                supersede(tx, desk, disclosure)
        tx.forget(case_id, subject_id)
        tx.record(
            AuditEntry(
                operation="key_destroy",
                outcome="done",
                actor=SERVICE_ACTOR,
                case_id=case_id,
                resource_type="case",
            )
        )


def preview(tx: Tx, desk: Desk, granted: Granted, actor: Actor, reference: str) -> dict[str, Any]:
    """Who would get what and why, at the current snapshot, for the agency that referred; discloses
    nothing.

    The content shown is the content that is delivered, byte for byte. Raises Problem(not-found) for
    anybody else's case.
    """
    if not may("preview_decision", granted):
        raise Problem("forbidden")
    case = _own_referral(tx, granted, reference)
    try:
        snapshot = tx.snapshot(granted, case.case_id)
    except Sealed:
        raise Problem("not-found") from None
    reading = Reading(snapshot)
    decision = decide(desk, reading)
    entry = _snapshot_entry(
        snapshot, operation="consultation", actor=actor, resource="decision-preview"
    )
    tx.record(replace(entry, case_references=(reference,)))
    earlier = tx.of_case(case.case_id)
    return {
        "caseReference": reference,
        "asOf": decision.as_of.isoformat().replace("+00:00", "Z"),
        "agreement": {
            "id": decision.agreement,
            "version": decision.agreement_version,
            "hash": decision.agreement_hash,
        },
        "recipients": [
            _previewed(desk, reading, decision, each, earlier)
            for each in decision.recipients
            if each.reason != OWN_FACTS
        ],
    }


def disclosures_of(
    tx: Tx, granted: Granted, actor: Actor, reference: str
) -> tuple[Disclosure, ...]:
    """Where each disclosure of the agency's own referral stands. Raises Problem(not-found)."""
    if not may("list_disclosures", granted):
        raise Problem("forbidden")
    case = _own_referral(tx, granted, reference)
    tx.record(
        AuditEntry(
            operation="consultation",
            outcome="done",
            actor=actor,
            case_id=case.case_id,
            case_references=(reference,),
            resource_type="disclosures",
        )
    )
    return tx.of_case(case.case_id)


def _own_referral(tx: Tx, granted: Granted, reference: str) -> CaseFile:
    """The agency's own case.

    Who reported for a third party learns only that it arrived: the same Problem(not-found).
    """
    case = tx.case_by_reference(granted.principal.agency, reference)
    if case is None or case.source == THIRD_PARTY:
        raise Problem("not-found")
    return case


@dataclass(frozen=True, slots=True)
class _Made:
    delivery: UUID
    content: bytes
    fingerprint: str


def _make(
    desk: Desk,
    reading: Reading,
    decision: SharingDecision,
    each: RecipientDecision,
    kind: Kind,
    ordinal: int,
) -> _Made:
    """The one place where content is made, for previews and deliveries alike."""
    snapshot, recipient = reading.snapshot, each.recipient.id
    made = delivery_id(
        desk.delivery_secret,
        snapshot.case_id,
        snapshot.version,
        recipient,
        decision.agreement_hash,
        ordinal,
    )
    reference = desk.reference(recipient, snapshot.case_id)
    told = reading.content(each.projection, kind=kind, delivery_id=made, case_reference=reference)
    return _Made(made, canonical(told), fingerprint(desk.delivery_secret, told))


def one_recipient(
    tx: Tx,
    desk: Desk,
    granted: Granted,
    reading: Reading,
    decision: SharingDecision,
    decision_id: UUID,
    each: RecipientDecision,
    earlier: Sequence[Disclosure],
) -> RecipientOutcome | None:
    """Record the decision for one recipient and, if it may know something new, prepare its
    delivery. Answers what is news to referral.

    `earlier` are the case's disclosures; those that had not left to this recipient must have been
    superseded.
    """
    snapshot, reason, made = reading.snapshot, each.reason, None
    told = _told(earlier, each.recipient.id)
    kind: Kind = "correction" if told else "disclosure"
    if each.permitted:
        made = _make(desk, reading, decision, each, kind, len(_of_version(earlier, snapshot, each)))
        if told and told[-1].fingerprint == made.fingerprint:
            reason, made = NOTHING_NEW, None
    entry = decision_entry(desk, snapshot, decision, decision_id, each, reason)
    if made is None:
        tx.record(entry(outcome="withhold", reason_code=reason))
    else:
        salt = new_salt()
        commitment = content_commitment(salt, made.content)
        record = tx.record(
            entry(outcome="permit", delivery=str(made.delivery), content_commitment=commitment)
        )
        waiting = Disclosure(
            id=made.delivery,
            decision_id=decision_id,
            case_id=snapshot.case_id,
            snapshot_version=snapshot.version,
            recipient=each.recipient.id,
            kind=kind,
            clause=each.projection.clauses[0].id,
            state="awaiting_receipt",
            reason="",
            standing="",
            record_id=record.id,
            commitment=commitment,
            fingerprint=made.fingerprint,
            decided_at=decision.as_of,
        )
        tx.add_disclosure(
            granted, waiting, Evidence(made.content, salt, record.record, record.salt)
        )
    # Nothing new is nothing to tell: at the referrer it would hide that this recipient was told
    # before.
    if reason in {OWN_FACTS, NOTHING_NEW}:
        return None
    clause = each.projection.clauses[0].id if made else ""
    return RecipientOutcome(
        recipient=each.recipient.id,
        outcome="permit" if made else "withhold",
        clause=clause,
        reason_code=reason,
    )


def says(desk: Desk, reading: Reading, decision: SharingDecision, each: RecipientDecision) -> str:
    """The fingerprint of what this recipient may know."""
    return _make(desk, reading, decision, each, "disclosure", 0).fingerprint


def _told(earlier: Sequence[Disclosure], recipient: str) -> list[Disclosure]:
    return [
        disclosure
        for disclosure in earlier
        if disclosure.recipient == recipient and disclosure.state == "released"
    ]


def _of_version(
    earlier: Sequence[Disclosure], snapshot: CaseSnapshot, each: RecipientDecision
) -> list[Disclosure]:
    return [
        d
        for d in earlier
        if d.recipient == each.recipient.id and d.snapshot_version == snapshot.version
    ]


def supersede(tx: Tx, desk: Desk, disclosure: Disclosure) -> None:
    """It was decided on again; what was prepared before must not leave."""
    if not tx.advance(disclosure.id, UNSENT, state="superseded", reason=SUPERSEDED, next_at=None):
        return
    tx.record(
        AuditEntry(
            operation="blocked",
            outcome="withhold",
            actor=SERVICE_ACTOR,
            case_id=disclosure.case_id,
            case_references=references(tx, desk, disclosure),
            recipient=disclosure.recipient,
            delivery=str(disclosure.id),
            decision=str(disclosure.decision_id),
            reason_code=SUPERSEDED,
        )
    )


def decision_entry(
    desk: Desk,
    snapshot: CaseSnapshot,
    decision: SharingDecision,
    decision_id: UUID,
    each: RecipientDecision,
    reason: str,
) -> Any:
    """A maker of this recipient's one entry. It names no other recipient."""
    recipient = each.recipient.id
    clause = each.projection.clauses[0] if each.permitted and reason != NOTHING_NEW else None
    permitted = tuple(each.projection.permitted) if clause else ()
    subjects = (
        _subjects(snapshot, permitted) if clause else tuple(s.subject_id for s in snapshot.subjects)
    )
    references = {
        desk.reference(agency, snapshot.case_id) for agency in (recipient, snapshot.referrer_agency)
    }
    common: dict[str, Any] = {
        "operation": "disclosure",
        "actor": SERVICE_ACTOR,
        "subjects": subjects,
        "case_id": snapshot.case_id,
        "case_references": tuple(sorted(references)),
        "resource_type": "case",
        "resource_id": str(snapshot.case_id),
        "resource_version": snapshot.version,
        "agreement": decision.agreement_hash,
        "decision": str(decision_id),
        "recipient": recipient,
        "detail": {
            "withheld": {
                f"{p.category}/{p.subject or ''}": why for p, why in each.withheld.items()
            },
            "inputs": decision.inputs_hash,
        },
    }
    if clause is not None:
        common |= {
            "field_set": _field_set(permitted),
            "lawful_basis": clause.lawful_basis,
            "condition": clause.condition,
            "gateway": clause.gateway,
            "purpose": clause.purpose,
            "clause": clause.id,
        }
        common["detail"]["permitted"] = {
            f"{p.category}/{p.subject or ''}": under
            for p, under in each.projection.permitted.items()
        }

    def entry(**more: Any) -> AuditEntry:
        return AuditEntry(**common, **more)

    return entry


def _subjects(snapshot: CaseSnapshot, permitted: tuple[Parcel, ...]) -> tuple[UUID, ...]:
    seen = {parcel.subject for parcel in permitted}
    return tuple(s.subject_id for s in snapshot.subjects if s.subject_id in seen)


def _field_set(permitted: tuple[Parcel, ...]) -> str:
    """Every category code, places first because they are asked about most; under which clause each
    went is sealed beside it.
    """
    codes = {parcel.category for parcel in permitted}
    return field_sets.written(
        sorted(codes, key=lambda code: (not CATEGORIES[code].gives_location, code))
    )


def _snapshot_entry(
    snapshot: CaseSnapshot,
    *,
    reason: str = "",
    operation: Any = "collection",
    actor: Actor = SERVICE_ACTOR,
    resource: str = "snapshot",
) -> AuditEntry:
    return AuditEntry(
        operation=operation,
        outcome="done",
        actor=actor,
        subjects=tuple(s.subject_id for s in snapshot.subjects),
        case_id=snapshot.case_id,
        resource_type=resource,
        resource_id=str(snapshot.case_id),
        resource_version=snapshot.version,
        reason_code=reason,
    )


def _previewed(
    desk: Desk,
    reading: Reading,
    decision: SharingDecision,
    each: RecipientDecision,
    earlier: Sequence[Disclosure],
) -> dict[str, Any]:
    snapshot = reading.snapshot
    veto = desk.rules_for(snapshot.area).agreement.terms.veto

    def why(code: str) -> dict[str, str]:
        shown = "restricted" if code in _RESTRICTED else code
        return {
            "reason": shown,
            "text": "Withheld."
            if shown == "restricted"
            else veto.get(code, _REASONS.get(code, "Withheld.")),
        }

    withheld = {parcel.category: code for parcel, code in each.withheld.items()}
    base: dict[str, Any] = {
        "agency": each.recipient.id,
        "outcome": "permit" if each.permitted else "withhold",
        "withheld": [
            {"category": code, "label": CATEGORIES[code].label, **why(reason)}
            for code, reason in withheld.items()
        ],
    }
    if not each.permitted:
        return {**base, **why(each.reason)}
    # The current snapshot's own delivery, sent or not, keeps the kind and the id it was prepared
    # with.
    mine = _of_version(earlier, snapshot, each)
    own = mine[-1] if mine and mine[-1].state != SUPERSEDED else None
    kind: Kind = (
        own.kind if own else "correction" if _told(earlier, each.recipient.id) else "disclosure"
    )
    return {
        **base,
        "content": json.loads(
            _make(desk, reading, decision, each, kind, len(mine) - bool(own)).content
        ),
    }


_REASONS: Final[Mapping[str, str]] = {
    "no-clause": "No clause of the agreement covers this.",
    "review-lapsed": "The agreement's review date has passed, which stops offers of support and "
    "statistics.",
    "not-in-force": "The agreement is not in force yet.",
    "essential-withheld": "Without what is withheld, the rest would serve no purpose.",
    RULE_FAILED: "A rule could not be evaluated; the hub's operator is alarmed.",
}


def keep_decision(
    tx: Tx, decision_id: UUID, snapshot: CaseSnapshot, decision: SharingDecision
) -> None:
    """Store a decision with its alternatives, before the disclosures that name it."""
    tx.keep_decision(
        decision_id, snapshot.case_id, snapshot.version, _summary(decision), _detail(decision)
    )


def _summary(decision: SharingDecision) -> dict[str, Any]:
    return {
        "asOf": decision.as_of,
        "agreement": decision.agreement,
        "agreementVersion": decision.agreement_version,
        "agreementHash": decision.agreement_hash,
        "inputsHash": decision.inputs_hash,
    }


def _detail(decision: SharingDecision) -> str:
    """The alternatives, recipient by recipient, so that the decision can be explained and run
    again.
    """
    told = [
        {
            "recipient": each.recipient.id,
            "type": each.recipient.type,
            "suspended": each.recipient.suspended,
            "permitted": [
                [p.category, str(p.subject or ""), clause]
                for p, clause in each.projection.permitted.items()
            ],
            "withheld": [
                [p.category, str(p.subject or ""), why] for p, why in each.withheld.items()
            ],
            "reason": each.reason,
        }
        for each in decision.recipients
    ]
    return canonical(told).decode()


def alarm_failed_rules(decision: SharingDecision) -> None:
    failed = sum(1 for each in decision.recipients if RULE_FAILED in each.withheld.values())
    if failed:
        _log.error(
            "a rule of the agreement failed",
            extra={"alarm": "rule-failed", "recipients": failed, "agreement": decision.agreement},
        )


def alarm_suspended(decision: SharingDecision) -> tuple[str, ...]:
    """Who gets nothing for being suspended, until they are restored; somebody must be told now."""
    passed_over = tuple(
        each.recipient.id
        for each in decision.recipients
        if each.recipient.suspended and each.reason == _SUSPENDED
    )
    for agency in passed_over:
        _log.warning(
            "withheld from a suspended agency",
            extra={"alarm": "withheld-while-suspended", "recipient": agency},
        )
    return passed_over
