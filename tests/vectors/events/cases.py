"""One full and one smallest example of every published event; nobody in them is real."""

import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from common.events import ALL, Event
from common.events.audit import (
    AuditBatch,
    AuditBatchV1,
    AuditItem,
    AuditReceipts,
    AuditRejected,
    Held,
    ReceiptItem,
    RecordItem,
)
from common.events.case import (
    CaseSnapshot,
    CaseSubject,
    Consent,
    Fact,
    Marking,
    RiskSummary,
    SecondLookDue,
    SubjectErased,
)
from common.events.identity import (
    AgencyRestored,
    AgencySuspended,
    DirectoryHeartbeat,
    DirectoryHeartbeatV2,
    KeyPublished,
    KeyRetired,
)
from common.events.sharing import (
    AnswerNews,
    DisclosureBlocked,
    DisclosureReleased,
    DisclosureSaved,
    PromiseBroken,
    RecipientOutcome,
    SnapshotDecided,
)
from hubformats.agency_events import (
    CompromisedKeyUsed,
    DeliveryAcknowledged,
    DeliveryStopped,
    DisclosureAnswered,
    DisclosurePackage,
    EnvelopeSetAside,
    KeyUsed,
    Promise,
    SavedReceipt,
    UsedItem,
)

AT = datetime(2026, 11, 21, 2, 30, 15, 123456, tzinfo=UTC)
CASE, REFERRAL, DELIVERY, VICTIM, CHILD, MARK = (
    UUID(f"01932000-0000-7000-8000-00000000000{n}") for n in range(1, 7)
)
HASH = "A" * 43
JWK = {"crv": "P-256", "kty": "EC", "use": "sig", "alg": "ES256", "kid": HASH, "x": HASH, "y": HASH}

_CONSENT = Consent(
    aware="not_safe_to_tell", agrees_to_support="not_asked", lawful_basis="dpa-part-3"
)
_RISK = RiskSummary(instrument="dash", instrument_version="2009", level="not_assessed", rule="none")
_FACT = Fact(
    path="people.0.name.full",
    category="victim_identity",
    label="Full name",
    value="Marta Quillfeather",
)

_SMALLEST_SNAPSHOT: dict[str, Any] = {
    "case_id": CASE,
    "version": 1,
    "cause": "urgent_referral",
    "referral_id": REFERRAL,
    "referrer_agency": "northmoor-police",
    "area": "northmoor",
    "kind": "domestic_abuse",
    "occurred_at": AT,
    "received_at": AT,
    "rules_version": "2026-11-01",
    "effective_on": date(2026, 11, 21),
    "subjects": (CaseSubject(subject_id=VICTIM, role="victim"),),
    "risk": _RISK,
    "consent": _CONSENT,
    "facts": (_FACT,),
}

_FULL_SNAPSHOT: dict[str, Any] = _SMALLEST_SNAPSHOT | {
    "cause": "referral_completed",
    "provisional": True,
    "urgent": True,
    "subjects": (
        CaseSubject(subject_id=VICTIM, role="victim", address_shielded=True),
        CaseSubject(subject_id=CHILD, role="child", under_18=True),
    ),
    "risk": RiskSummary(
        instrument="dash",
        instrument_version="2009",
        score=16,
        dont_know=2,
        level="high",
        rule="VHR",
        critical=("strangulation",),
    ),
    "consent": _CONSENT.model_copy(update={"condition": "vital", "gateway": "cda-1998-s115"}),
    "markings": (
        Marking(
            marking_id=MARK,
            kind="must_not_disclose",
            agency="northmoor-housing",
            category="victim_address",
            subject=VICTIM,
        ),
        Marking(marking_id=MARK, kind="legal_hold"),
    ),
    "facts": (
        _FACT.model_copy(update={"subject": VICTIM, "quality": "self_report"}),
        Fact(
            path="risk.answers",
            category="risk_answers",
            label="Answers",
            value=[{"item": 1, "yes": True, "note": None}],
        ),
    ),
}

_ITEM = AuditItem(seq=7, record="cmVjb3Jk", salt=HASH)
_ITEM_V2 = RecordItem(seq=7, record="cmVjb3Jk", salt=HASH)
_PACKAGE: dict[str, Any] = {
    "delivery_id": DELIVERY,
    "content": "Q29udGVudA",
    "content_salt": HASH,
    "record": "cmVj",
    "record_salt": HASH,
}
_OUTCOME: dict[str, Any] = {"case_id": CASE, "snapshot_version": 3, "recipient": "northmoor-idva"}
_PROMISE = Promise(src="kq3Xh2", ep=2, seq=9, h=HASH, due=AT)

EXAMPLES: tuple[Event, ...] = (
    AgencyRestored(agency="northmoor-housing", state_epoch=4, at=AT),
    AgencySuspended(agency="northmoor-housing", reason_code="key-compromise", state_epoch=3, at=AT),
    AuditBatchV1(service="referral", src="kq3Xh2", epoch=2, first_seq=7, items=(_ITEM,)),
    AuditBatch(service="referral", src="kq3Xh2", epoch=2, first_seq=7, items=(_ITEM_V2,)),
    AuditBatch(
        service="referral",
        src="kq3Xh2",
        epoch=2,
        first_seq=7,
        items=(
            _ITEM_V2.model_copy(
                update={
                    "tokens": {"subject": ("AAAA", "BBBB")},
                    "subject_sealed": "AQ",
                    "actor_sealed": "Ag",
                    "account_sealed": "Aw",
                    "held": Held(why="conflict", salt=HASH),
                }
            ),
        ),
    ),
    AuditBatchV1(
        service="referral",
        src="kq3Xh2",
        epoch=2,
        first_seq=7,
        items=(
            _ITEM.model_copy(
                update={
                    "tokens": {"subject": ("AAAA", "BBBB")},
                    "subject_sealed": "AQ",
                    "actor_sealed": "Ag",
                }
            ),
        ),
    ),
    AuditReceipts(
        src="kq3Xh2",
        epoch=2,
        checkpoint="example.org/log\n1\nAAAA\n\n— example.org/log AAAA\n",
        items=(
            ReceiptItem(seq=7, record_id=str(CASE), leaf="e30", index=41, path=("AAAA", "BBBB")),
        ),
    ),
    AuditRejected(src="kq3Xh2", epoch=2, seq=8, code="record-malformed", index=42),
    CaseSnapshot(**_SMALLEST_SNAPSHOT),
    CaseSnapshot(**_FULL_SNAPSHOT),
    DeliveryAcknowledged(delivery_id=DELIVERY, acknowledged_at=AT, role="duty-idva"),
    DirectoryHeartbeat(at=AT, state_epoch=4, suspended=()),
    DirectoryHeartbeat(at=AT, state_epoch=4, suspended=("northmoor-housing",)),
    DirectoryHeartbeatV2(at=AT, state_epoch=4, suspended=(), ended_tokens=(), ended_until=0),
    DirectoryHeartbeatV2(
        at=AT,
        state_epoch=4,
        suspended=("northmoor-housing",),
        ended_tokens=("S3Jvd2QtYnktYS1qdGk",),
        ended_until=1_795_255_500,
    ),
    DisclosureBlocked(**_OUTCOME, delivery_id=DELIVERY, reason_code="veto-newer", blocked_at=AT),
    AnswerNews(**_OUTCOME, delivery_id=DELIVERY, standing="taken_back", at=AT),
    AnswerNews(
        **_OUTCOME,
        delivery_id=DELIVERY,
        standing="answered",
        answer="kept_under_duty",
        duty="court_order",
        due=AT,
        at=AT,
    ),
    DisclosureAnswered(delivery_id=DELIVERY, answer="stopped_and_deleted", answered_at=AT),
    DisclosureAnswered(
        delivery_id=DELIVERY, answer="kept_under_duty", duty="court_order", answered_at=AT
    ),
    SnapshotDecided(case_id=CASE, snapshot_version=3, decided_at=AT),
    SnapshotDecided(
        case_id=CASE,
        snapshot_version=3,
        decided_at=AT,
        outcomes=(
            RecipientOutcome(
                recipient="northmoor-idva",
                outcome="permit",
                clause="NM-4.2",
                reason_code="necessary",
            ),
            RecipientOutcome(recipient="northmoor-housing", outcome="withhold"),
        ),
    ),
    DisclosurePackage(
        **_PACKAGE, kind="disclosure", leaf="e30", proof="c2sp.org/tlog-proof@v1\nindex 0\n\n"
    ),
    DisclosurePackage(**_PACKAGE, kind="notice", promise=_PROMISE),
    DisclosureReleased(
        **_OUTCOME, delivery_id=DELIVERY, clause="NM-4.2", released_at=AT, proof="proven"
    ),
    DisclosureSaved(case_id=CASE, delivery_id=DELIVERY, recipient="northmoor-idva", saved_at=AT),
    EnvelopeSetAside(
        notice_id=MARK,
        event_id=REFERRAL,
        digest=HASH,
        reason_code="receipt-malformed",
        advice="correct-and-send-anew",
        received_at=AT,
        log_index=7,
    ),
    CompromisedKeyUsed(
        notice_id=MARK,
        used=KeyUsed(
            key_id=HASH,
            compromised_since=AT,
            messages=1,
            older=1,
            cases=1,
            items=(
                UsedItem(
                    kind="hub.saved-receipt",
                    certain=True,
                    taken_in_at=AT,
                    event_id=REFERRAL,
                    delivery_id=DELIVERY,
                    case_reference="NM-2B7KQ-4TXW",
                ),
                UsedItem(kind=None, certain=False, taken_in_at=AT, event_id=MARK),
            ),
        ),
        found_at=AT,
        log_index=7,
    ),
    DeliveryStopped(delivery_id=DELIVERY),
    KeyPublished(
        owner="northmoor-idva", use="sig", jwk=JWK, not_before=AT, signed_by_root="e30.e30.AA"
    ),
    KeyRetired(owner="northmoor-idva", kid=HASH, at=AT),
    KeyRetired(owner="northmoor-idva", kid=HASH, at=AT, compromised=True),
    PromiseBroken(
        **_OUTCOME,
        delivery_id=DELIVERY,
        standing="overdue",
        reason_code="promise-overdue",
        found_at=AT,
    ),
    SavedReceipt(receipt="e30.e30.AA"),
    SecondLookDue(look_id=DELIVERY, case_id=CASE, act="a", reason_code="r", actors=(), at=AT),
    SecondLookDue(
        look_id=DELIVERY,
        case_id=CASE,
        act="veto_lifted",
        reason_code="no_longer_so",
        actors=(
            ("issuer|per-1", "northmoor-police", "police_officer"),
            ("issuer|per-2", "northmoor", "privacy_officer"),
        ),
        at=AT,
    ),
    SubjectErased(subject_id=VICTIM, case_ids=(), erased_at=AT),
    SubjectErased(subject_id=VICTIM, case_ids=(CASE,), erased_at=AT),
)


def files() -> dict[str, bytes]:
    """The golden file of every event class, by name: its shape and its examples as they go into the
    envelope.
    """
    return {f"{event.TYPE}.v{event.VERSION}.json": _file(event) for event in ALL}


def shape(event: type[Event]) -> Any:
    """The class's JSON schema without words meant for people: what a change of would change the
    language.
    """
    return _plain(event.model_json_schema(by_alias=True))


def _file(event: type[Event]) -> bytes:
    examples = [example.data() for example in EXAMPLES if type(example) is event]
    whole = {
        "type": event.TYPE,
        "version": event.VERSION,
        "shape": shape(event),
        "examples": examples,
    }
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: _plain(value)
            for name, value in schema.items()
            if not (name in {"title", "description"} and isinstance(value, str))
        }
    return [_plain(value) for value in schema] if isinstance(schema, list) else schema
