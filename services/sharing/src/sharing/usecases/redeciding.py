"""Decide again on what sharing holds of a case, with no new facts: a restored agency, or a person
who asks for another look."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from uuid import UUID

from common.access import Granted
from common.problems import Problem
from common.views import Reading
from hubformats.ids import uuid7
from sharing.domain.disclosure import Disclosure
from sharing.permissions import may
from sharing.ports import Sealed, Tx
from sharing.usecases.deciding import (
    NOTHING_NEW,
    UNSENT,
    alarm_failed_rules,
    alarm_suspended,
    decide,
    decision_entry,
    keep_decision,
    one_recipient,
    says,
    supersede,
    tell,
)
from sharing.usecases.desk import Desk

_log = logging.getLogger("hub.sharing")
_ON_ITS_WAY = ("awaiting_receipt", "proven")


@dataclass(frozen=True, slots=True)
class Redecided:
    """A further decision on a case's current version, and to whom something new was prepared under
    it.
    """

    decision_id: UUID
    prepared: tuple[str, ...]


def decide_again(
    tx: Tx, desk: Desk, granted: Granted, case_id: UUID, *, agencies: Collection[str] | None = None
) -> Redecided | None:
    """A new decision on the kept snapshot, under the agreement in force now, for all agencies or
    only for those named.

    What it permits goes the ordinary road: its own audit record, its receipt, the vetoes once more,
    then release. What had left, or is on its way, and says the same stays and is nothing new; what
    was blocked, or says something else, is superseded and prepared anew under another delivery id.
    None when there is nothing to decide on: the case is unknown or erased, or its agreement serves
    none of these agencies. If we crash before the commit nothing happened. Raises
    Problem(forbidden), NoAgreement, CategoryUnknown.
    """
    if not may("decide", granted):
        raise Problem("forbidden")
    if tx.hold_case(case_id) is None:
        return None
    try:
        snapshot = tx.snapshot(granted, case_id)
    except Sealed:
        tx.keep_passed_over(case_id, ())
        return None
    reading = Reading(snapshot)
    whole = decide(desk, reading)
    asked = tuple(
        each for each in whole.recipients if agencies is None or each.recipient.id in agencies
    )
    decision = replace(whole, recipients=asked)
    others = frozenset[str]() if agencies is None else tx.passed_over(case_id).difference(agencies)
    tx.keep_passed_over(case_id, others.union(alarm_suspended(decision)))
    if not asked:
        return None
    alarm_failed_rules(decision)
    decision_id = uuid7()
    keep_decision(tx, decision_id, snapshot, decision)
    # Locked one by one: the release worker may be sending one of them at this moment, and what has
    # left is not prepared again.
    earlier = [
        found for each in tx.of_case(case_id) if (found := tx.disclosure(each.id)) is not None
    ]
    served = {each.recipient.id for each in asked}
    for one in earlier:
        if agencies is None and one.recipient not in served and one.state in UNSENT:
            supersede(tx, desk, one)
    news = []
    for each in asked:
        unsent = [
            one for one in earlier if one.recipient == each.recipient.id and one.state in UNSENT
        ]
        if each.permitted and any(
            _stands(one, says(desk, reading, decision, each)) for one in unsent
        ):
            tx.record(
                decision_entry(desk, snapshot, decision, decision_id, each, NOTHING_NEW)(
                    outcome="withhold", reason_code=NOTHING_NEW
                )
            )
            continue
        for one in unsent:
            supersede(tx, desk, one)
        news.append(one_recipient(tx, desk, granted, reading, decision, decision_id, each, earlier))
    tell(tx, decision, snapshot, news)
    before = {one.id for one in earlier}
    return Redecided(
        decision_id, tuple(one.recipient for one in tx.of_case(case_id) if one.id not in before)
    )


def decide_for_restored(tx: Tx, desk: Desk, granted: Granted, case_id: UUID) -> Redecided | None:
    """Decide again for those whom a suspension passed over and who may act now; nobody else on the
    case is looked at.
    """
    suspended = {agency.id for agency in desk.directory.agencies() if agency.suspended}
    agencies = tx.passed_over(case_id) - suspended
    return decide_again(tx, desk, granted, case_id, agencies=agencies) if agencies else None


def _stands(disclosure: Disclosure, fingerprint: str) -> bool:
    return disclosure.state in _ON_ITS_WAY and disclosure.fingerprint == fingerprint
