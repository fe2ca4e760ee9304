"""What a privacy officer does with the queue, and the alarm for what nobody looks at."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from common.access import Granted
from hubformats.audit_record import Account, Actor, AuditEntry
from sharing.context import Context
from sharing.second_look.model import (
    LookBook,
    LookNotFound,
    LookOutcome,
    LookState,
    SecondLook,
)
from sharing.second_look.ports import LookTx

SHOWN: Final = 200
"""Items on one list: what is due soonest comes first, so none is out of reach for long."""
_log = logging.getLogger("hub.sharing")


@dataclass(frozen=True, slots=True)
class LookContext:
    """The process's context, and the rules of second looks."""

    context: Context
    book: LookBook

    def reference(self, granted: Granted, look: SecondLook) -> str:
        """Make the reference by which the caller's agency knows the case."""
        return self.context.reference(granted.principal.agency, look.case_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the officer says: outcome, code, and words that stay sealed in the audit record."""

    outcome: LookOutcome
    code: str
    words: str


def queue(
    tx: LookTx, given: LookContext, granted: Granted, actor: Actor, *, waiting: bool
) -> Sequence[SecondLook]:
    """List the queue, or what was closed. One entry in the log, before it is shown."""
    found = tx.second_looks.listed(granted, SHOWN, waiting=waiting)
    references = {given.reference(granted, each) for each in found}
    tx.record(
        AuditEntry(
            operation="listing",
            outcome="done",
            actor=actor,
            case_references=tuple(sorted(references)),
            resource_type="second-look",
            count=len(found),
        )
    )
    return found


def read(
    tx: LookTx, given: LookContext, granted: Granted, actor: Actor, look_id: UUID
) -> SecondLook:
    """Read one item, and record the read. Raises LookNotFound."""
    found = _found(tx, granted, look_id)
    tx.record(_entry(given, granted, actor, found))
    return found


def take(
    tx: LookTx, given: LookContext, granted: Granted, actor: Actor, look_id: UUID
) -> SecondLook:
    """Say that the caller looks at it. Raises LookNotFound, AnotherMustLook, LookOver."""
    found = _found(tx, granted, look_id)
    taken = found.take(tx.second_looks.party_of(granted))
    if taken != found:
        tx.second_looks.replace(found, taken)
        entry = _entry(given, granted, actor, taken)
        tx.record(replace(entry, operation="alteration", reason_code="second-look-taken"))
    return taken


def review(
    tx: LookTx,
    given: LookContext,
    granted: Granted,
    actor: Actor,
    look_id: UUID,
    said: Verdict,
) -> SecondLook:
    """Say what came of it.

    Raises LookNotFound, AnotherMustLook, LookOver, OutcomeUnknown.
    """
    found, now = _found(tx, granted, look_id), given.context.now()
    party = tx.second_looks.party_of(granted)
    closed = found.review(given.book.said(said.outcome, said.code, now.date()), party, now)
    tx.second_looks.replace(found, closed)
    entry = _entry(given, granted, actor, closed)
    why = f"second-look-{said.outcome.replace('_', '-')}"
    tx.record(
        replace(
            entry,
            operation="review",
            justification_code=said.code,
            reason_code=why,
            account=Account(said.words),
        )
    )
    return closed


def tell(tx: LookTx, given: LookContext) -> int:
    """Tell of what was filed or escalated since the last time. Returns how many items.

    The officers' duty desk is rung by this alarm; it names the kind of act, how many, and nobody.
    """
    found = tx.second_looks.to_tell(given.context.now())
    for (act, state), count in Counter((each.act, each.state) for each in found).items():
        code = "second-look-escalated" if state is LookState.ESCALATED else "second-look-filed"
        _log.warning(
            "second looks wait",
            extra={"alarm": code, "code": act.value, "count": count},
        )
    return len(found)


def alarm(tx: LookTx, given: LookContext) -> int:
    """Page for what is overdue, and again as often as the rules say. Returns how many items.

    The alarm names the kind of act and how many, and nobody.
    """
    now = given.context.now()
    every = given.book.rules_on(now.date()).alarm_every
    found = tx.second_looks.to_alarm(now, now - every)
    for act, count in Counter(each.act for each in found).items():
        _log.error(
            "second looks are overdue",
            extra={"alarm": "second-look-overdue", "code": act.value, "count": count},
        )
    return len(found)


def _found(tx: LookTx, granted: Granted, look_id: UUID) -> SecondLook:
    found = tx.second_looks.find(granted, look_id)
    if found is None:
        raise LookNotFound
    return found


def _entry(given: LookContext, granted: Granted, actor: Actor, look: SecondLook) -> AuditEntry:
    """Make the entry of a look at an item."""
    return AuditEntry(
        operation="consultation",
        outcome="done",
        actor=actor,
        case_id=look.case_id,
        case_references=(given.reference(granted, look),),
        resource_type="second-look",
        resource_id=str(look.id),
    )
