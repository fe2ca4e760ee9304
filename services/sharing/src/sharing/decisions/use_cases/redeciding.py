"""Decide again on what sharing holds of a case, with no new facts.

For a restored agency, or for a person who asks for another look.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sharing.cases.model import Reason
from sharing.content.model.reader import SnapshotReader
from sharing.context import ContentGone
from sharing.decisions.ports import DecisionTx
from sharing.decisions.use_cases.run import DecisionContext, apply, decide, narrowed


@dataclass(frozen=True, slots=True)
class Redecided:
    """A further decision on a case's current version, and to whom it prepared something new."""

    decision_id: UUID
    prepared: tuple[str, ...]


def decide_again(
    tx: DecisionTx,
    context: DecisionContext,
    case_id: UUID,
    *,
    agencies: Collection[str] | None = None,
) -> Redecided | None:
    """Decide on the kept snapshot under the agreement in force now, for all or for these agencies.

    What it permits goes the ordinary road: its own audit record, its receipt, the vetoes once more,
    then release. What had left, or is on its way, and says the same stays and is nothing new. What
    was blocked, or says something else, is superseded and prepared anew under another delivery id.

    None when there is nothing to decide on. The case is unknown or erased, or its agreement serves
    none of these agencies. If we crash before the commit nothing happened.

    Raises NoAgreement, CategoryUnknown.
    """
    case = tx.cases.hold(case_id)
    if case is None:
        return None
    authorised = tx.cases.authorised(context.own_work(), case_id, Reason.DECIDE_AGAIN)
    if authorised is None:
        return None
    try:
        snapshot = tx.cases.snapshot(authorised)
    except ContentGone:
        tx.cases.keep_skipped_suspended(case_id, ())
        return None
    # Locked one by one: the release worker may be sending one of them at this moment, and what has
    # left is not prepared again.
    earlier = [
        found
        for each in tx.disclosures.of_case(case_id)
        if (found := tx.disclosures.get(each.id)) is not None
    ]
    run = decide(context, SnapshotReader(snapshot), earlier, case.markings)
    if agencies is not None:
        run = narrowed(run, agencies, tx.cases.skipped_suspended(case_id))
    run.alarm()
    tx.cases.keep_skipped_suspended(case_id, run.skipped)
    if not run.decision.recipients:
        return None
    plan = run.plan()
    apply(tx, plan)
    return Redecided(plan.decision_id, plan.prepared)


def decide_for_restored(
    tx: DecisionTx, context: DecisionContext, case_id: UUID
) -> Redecided | None:
    """Decide again for those whom a suspension skipped and who may act now.

    Nobody else on the case is looked at.
    """
    suspended = {agency.id for agency in context.directory.agencies() if agency.suspended}
    agencies = tx.cases.skipped_suspended(case_id) - suspended
    return decide_again(tx, context, case_id, agencies=agencies) if agencies else None
