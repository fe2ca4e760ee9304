"""Take a snapshot in, decide, and write down what each recipient may know.

Transaction 1 of design section 8.
"""

from uuid import UUID

from common.events.case import CaseSnapshot
from common.events.sharing import SnapshotDecided
from hubformats.audit_record import AuditEntry
from sharing.content.model.reader import SnapshotReader
from sharing.context import SERVICE_ACTOR
from sharing.decisions.ports import DecisionTx
from sharing.decisions.use_cases.run import DecisionContext, apply, decide
from sharing.disclosures.use_cases.steps import supersede


def take_snapshot(
    tx: DecisionTx,
    context: DecisionContext,
    snapshot: CaseSnapshot,
    reader: SnapshotReader | None = None,
) -> None:
    """Decide on a new snapshot and prepare every disclosure.

    `reader` is of this snapshot, if it was read before. One older than known is recorded and
    changes nothing. If we crash before the commit nothing
    happened and the event comes again; after it, receipts carry on.
    Raises NoAgreement, CategoryUnknown.
    """
    case_id = snapshot.case_id
    known = tx.cases.find(case_id)
    if known is not None and known.version >= snapshot.version:
        note_older(tx, snapshot)
        return
    since = {} if known is None else known.markings
    run = decide(
        context, reader or SnapshotReader(snapshot), tx.disclosures.of_case(case_id), since
    )
    run.alarm()
    tx.cases.keep(snapshot, context.reference(snapshot.referrer_agency, case_id))
    tx.cases.keep_skipped_suspended(case_id, run.skipped)
    apply(tx, run.plan())


def forget_subject(
    tx: DecisionTx, context: DecisionContext, subject_id: UUID, case_ids: tuple[UUID, ...]
) -> None:
    """Make what sharing holds of an erased person's cases unreadable; nothing of it leaves.

    What waits to be decided on goes undecided. Deliveries stay sealed to their recipients, who are
    asked separately. Referral sends what remains as a new snapshot.
    """
    for case_id in case_ids:
        waited = tx.undecided.forget(case_id)
        if waited is not None:  # nobody may know; referral lets go of the bytes it keeps for us
            decided = SnapshotDecided(
                case_id=case_id, snapshot_version=waited, decided_at=context.now()
            )
            tx.publish(case_id, decided)
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


def note_older(tx: DecisionTx, snapshot: CaseSnapshot) -> None:
    """Record a snapshot that changes nothing, because this version or a later one is known."""
    tx.record(
        AuditEntry(
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
    )
