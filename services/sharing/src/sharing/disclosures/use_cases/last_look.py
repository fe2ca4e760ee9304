"""The last look before something is sealed: reasons against it, read where they are owned, now."""

import logging
from collections.abc import Collection
from typing import Final
from uuid import UUID

from sharing.context import Context
from sharing.disclosures.model.disclosure import Disclosure, Hold
from sharing.disclosures.ports import CaseState, ReleaseTx
from sharing.disclosures.use_cases.steps import ReleaseContext

_log = logging.getLogger("hub.sharing")


class CheckUnanswered(RuntimeError):
    """The owner of the vetoes did not say how a case stands now, so nothing of it is shown."""


ANSWER_LASTS: Final = 2.0
"""Seconds for which a release check's answer counts.

A veto is acknowledged without asking us, so this bounds what may leave after it; two seconds are
many times what asking and committing take, and the next try asks again.
"""


def reason_against(
    tx: ReleaseTx, context: ReleaseContext, disclosure: Disclosure, state: CaseState | None
) -> Hold | None:
    """Find the first reason against releasing now; None when there is none.

    `state` is referral's answer to the release check of this moment. A withdrawal carries no fact,
    so no veto and no newer version stands against it.
    """
    if disclosure.kind == "withdrawal":
        return _recipient(context, disclosure.recipient)
    if state is None or context.clock.monotonic() - state.asked > ANSWER_LASTS:
        return Hold.NO_ANSWER
    case = tx.cases.find(disclosure.case_id)
    if (
        case is None
        or state.version != disclosure.snapshot_version
        or case.version != disclosure.snapshot_version
    ):
        return Hold.NEWER_VERSION
    if any(marking.marking_id not in case.markings for marking in state.vetoes):
        return Hold.VETO
    return _not_now(tx, context, disclosure)


def forbidden(context: Context, state: CaseState, known: Collection[UUID], recipient: str) -> bool:
    """Tell whether a veto that no decision took into account keeps it from `recipient`.

    `known` are the vetoes of the newest decision: what that one let stand may be shown. Raises
    CheckUnanswered for an answer that is too old.
    """
    if context.clock.monotonic() - state.asked > ANSWER_LASTS:
        raise CheckUnanswered
    return any(
        veto.agency in {"*", recipient} and veto.marking_id not in known for veto in state.vetoes
    )


def kept_back(
    tx: ReleaseTx, context: ReleaseContext, disclosure: Disclosure, state: CaseState | None
) -> bool:
    """Tell whether there is a reason against sealing again what has left once.

    It is looked at again at the next round.
    """
    reason = _reason_against_again(tx, context, disclosure, state)
    if reason is not None:
        _log.warning(
            "not sealed again",
            extra={
                "alarm": "reseal-withheld",
                "reason": reason.value,
                "recipient": disclosure.recipient,
            },
        )
    return reason is not None


def _reason_against_again(
    tx: ReleaseTx, context: ReleaseContext, disclosure: Disclosure, state: CaseState | None
) -> Hold | None:
    """Find the reason against sealing again content that this recipient has already.

    A newer version is no reason. A veto on the recipient is one if what left was decided without
    it. A later decision that took it into account changes nothing.
    """
    reason = reason_against(tx, context, disclosure, state)
    case = tx.cases.find(disclosure.case_id)
    if reason is not Hold.NEWER_VERSION or state is None or case is None:
        return reason
    known = {
        marking for marking, first in case.markings.items() if first <= disclosure.snapshot_version
    }
    if any(
        each.agency in {"*", disclosure.recipient} and each.marking_id not in known
        for each in state.vetoes
    ):
        return Hold.VETO
    return _not_now(tx, context, disclosure)


def _not_now(tx: ReleaseTx, context: ReleaseContext, disclosure: Disclosure) -> Hold | None:
    if tx.cases.held(disclosure.case_id):
        return Hold.STREAM_HELD
    return _recipient(context, disclosure.recipient)


def _recipient(context: ReleaseContext, recipient: str) -> Hold | None:
    directory = context.directory
    if not directory.fresh():
        return Hold.DIRECTORY_STALE
    agency = next((agency for agency in directory.agencies() if agency.id == recipient), None)
    if agency is None or agency.suspended:
        return Hold.SUSPENDED
    return None if directory.sealing_key(recipient) else Hold.NO_KEY
