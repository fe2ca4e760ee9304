"""Decide again on what stays blocked, because the operator asks for it.

By delivery, by reason, or a whole case by its referrer's name for it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from hubformats.audit_record import Actor, AuditEntry
from sharing.cases.model import CaseNotFound
from sharing.decisions.ports import DecisionTx
from sharing.decisions.use_cases.redeciding import decide_again
from sharing.decisions.use_cases.run import DecisionContext
from sharing.disclosures.model.disclosure import State


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which blocked disclosures: these, or all with this reason."""

    deliveries: frozenset[UUID] = frozenset()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one case: whether a new decision was made, and to how many something was prepared."""

    decided: bool = False
    prepared: int = 0


def decide_blocked(
    tx: DecisionTx, context: DecisionContext, actor: Actor, case_id: UUID, wanted: Wanted
) -> Outcome:
    """Decide again for those whose disclosure of this case is still blocked as wanted.

    Nobody else on the case is looked at. The operator learns counts alone. If we crash before the
    commit nothing happened; asked twice, the second finds nothing blocked.
    Raises NoAgreement, CategoryUnknown.
    """
    if tx.cases.hold(case_id) is None:
        return Outcome()
    stuck = {
        each.recipient: each.reason
        for each in tx.disclosures.of_case(case_id)
        if each.state is State.BLOCKED
        and (each.id in wanted.deliveries or (each.reason or "") == wanted.reason)
    }
    if not stuck:
        return Outcome()
    reason = ",".join(sorted({each or "" for each in stuck.values()}))
    return _decide(tx, context, actor, case_id, Again(reason, stuck))


def decide_case(
    tx: DecisionTx, context: DecisionContext, actor: Actor, agency: str, reference: str
) -> Outcome:
    """Decide again for everybody on a case, such as after a rule that failed was mended.

    Raises CaseNotFound, NoAgreement, CategoryUnknown.
    """
    case = tx.cases.by_reference(agency, reference)
    if case is None:
        raise CaseNotFound
    return _decide(tx, context, actor, case.case_id, Again("whole-case", None))


@dataclass(frozen=True, slots=True)
class Again:
    """Why it is decided on again, and for whom; None means everybody."""

    reason: str
    agencies: Collection[str] | None


def _decide(
    tx: DecisionTx, context: DecisionContext, actor: Actor, case_id: UUID, again: Again
) -> Outcome:
    done = decide_again(tx, context, case_id, agencies=again.agencies)
    if done is None:
        return Outcome()
    tx.record(
        AuditEntry(
            operation="config_change",
            outcome="done",
            actor=actor,
            case_id=case_id,
            resource_type="decision",
            decision=context.decision_name(done.decision_id, ""),
            reason_code=again.reason,
            count=len(done.prepared),
        )
    )
    return Outcome(True, len(done.prepared))
