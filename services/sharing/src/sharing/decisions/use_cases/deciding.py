"""Take a snapshot in, decide, and write down what each recipient may know.

Transaction 1 of design section 8.
"""

from uuid import UUID

from common.events.case import CaseSnapshot
from hubformats.audit_record import AuditEntry
from sharing.context import SERVICE_ACTOR
from sharing.decisions.ports import DecisionTx
from sharing.decisions.use_cases.run import DecisionContext, apply, decide
from sharing.disclosures.use_cases.steps import supersede


def take_snapshot(tx: DecisionTx, context: DecisionContext, snapshot: CaseSnapshot) -> None:
    """Decide on a new snapshot and prepare every disclosure.

    One older than known is recorded and changes nothing. If we crash before the commit nothing
    happened and the event comes again; after it, receipts carry on.
    Raises NoAgreement, CategoryUnknown.
    """
    case_id = snapshot.case_id
    known = tx.cases.find(case_id)
    if known is not None and known.version >= snapshot.version:
        tx.record(_older(snapshot))
        return
    since = {} if known is None else known.markings
    run = decide(context, snapshot, tx.disclosures.of_case(case_id), since)
    run.alarm()
    tx.cases.keep(snapshot, context.reference(snapshot.referrer_agency, case_id))
    tx.cases.keep_skipped_suspended(case_id, run.skipped)
    apply(tx, run.plan())


def forget_subject(
    tx: DecisionTx, context: DecisionContext, subject_id: UUID, case_ids: tuple[UUID, ...]
) -> None:
    """Make what sharing holds of an erased person's cases unreadable; nothing of it leaves.

    Deliveries stay sealed to their recipients, who are asked separately. Referral sends what
    remains as a new snapshot.
    """
    for case_id in case_ids:
        for disclosure in tx.disclosures.of_case(case_id):
            supersede(tx, context, disclosure)
        tx.cases.forget(case_id, subject_id)
        tx.record(
            AuditEntry(
                operation="key_destroy",
                outcome="done",
                actor=SERVICE_ACTOR,
                case_id=case_id,
                resource_type="case",
            )
        )


def _older(snapshot: CaseSnapshot) -> AuditEntry:
    return AuditEntry(
        operation="collection",
        outcome="done",
        actor=SERVICE_ACTOR,
        subjects=tuple(each.subject_id for each in snapshot.subjects),
        case_id=snapshot.case_id,
        resource_type="snapshot",
        resource_id=str(snapshot.case_id),
        resource_version=snapshot.version,
        reason_code="older-version",
    )
