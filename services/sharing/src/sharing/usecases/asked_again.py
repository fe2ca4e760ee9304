"""The operator has what stays blocked decided on again: by delivery, by reason, or a whole case by
its referrer's name for it."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from common.access import Granted
from common.problems import Problem
from hubformats.audit_record import Actor, AuditEntry
from sharing.permissions import may
from sharing.ports import Tx
from sharing.usecases.desk import Desk
from sharing.usecases.redeciding import decide_again


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which blocked disclosures: these, or all with this reason."""

    deliveries: frozenset[UUID] = frozenset()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one case: whether a new decision was made, and to how many something was prepared under
    it.
    """

    decided: bool = False
    prepared: int = 0


def decide_blocked(
    tx: Tx, desk: Desk, granted: Granted, actor: Actor, case_id: UUID, wanted: Wanted
) -> Outcome:
    """Decide again for those whose disclosure of this case is still blocked as wanted; nobody else
    on the case is looked at.

    The operator learns counts alone. If we crash before the commit nothing happened; asked twice,
    the second finds nothing blocked. Raises Problem(forbidden), NoAgreement, CategoryUnknown.
    """
    _allow(granted)
    if tx.hold_case(case_id) is None:
        return Outcome()
    blocked = [each for each in tx.of_case(case_id) if each.state == "blocked"]
    stuck = {
        each.recipient: each.reason
        for each in blocked
        if each.id in wanted.deliveries or each.reason == wanted.reason
    }
    return (
        _decide(
            tx, desk, actor, case_id, reason=",".join(sorted(set(stuck.values()))), agencies=stuck
        )
        if stuck
        else Outcome()
    )


def decide_case(
    tx: Tx, desk: Desk, granted: Granted, actor: Actor, agency: str, reference: str
) -> Outcome:
    """Decide again for everybody on a case, such as after a rule that failed was mended.

    Raises Problem(forbidden, not-found) and as above.
    """
    _allow(granted)
    case = tx.case_by_reference(agency, reference)
    if case is None:
        raise Problem("not-found")
    return _decide(tx, desk, actor, case.case_id, reason="whole-case", agencies=None)


def _decide(
    tx: Tx,
    desk: Desk,
    actor: Actor,
    case_id: UUID,
    *,
    reason: str,
    agencies: Collection[str] | None,
) -> Outcome:
    done = decide_again(tx, desk, desk.own_work(), case_id, agencies=agencies)
    if done is None:
        return Outcome()
    tx.record(
        AuditEntry(
            operation="config_change",
            outcome="done",
            actor=actor,
            case_id=case_id,
            resource_type="decision",
            decision=str(done.decision_id),
            reason_code=reason,
            count=len(done.prepared),
        )
    )
    return Outcome(True, len(done.prepared))


def _allow(granted: Granted) -> None:
    if not may("decide_again", granted):
        raise Problem("forbidden")
