"""Look once more at packages that waited long for their agency's topic, before they leave."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from sharing.context import Store
from sharing.disclosures.ports import ReleaseChecks
from sharing.disclosures.use_cases.last_look import ANSWER_LASTS, CheckUnanswered
from sharing.inbox.model import UnderWay
from sharing.inbox.ports import InboxTx, InboxView
from sharing.inbox.use_cases.receiving import Checked, InboxContext

LATE: Final = timedelta(seconds=ANSWER_LASTS)
"""How long the check counts that was made before a package was sealed."""


class LateLook:
    """Says which packages must not leave now, such as after an outage of the broker.

    They were checked before they were sealed, which is too long ago. One that a veto stops waits
    for the decision on it, which takes it back or lets it stand. Without an answer about vetoes all
    wait. Notices and withdrawals carry no fact, and go.
    """

    def __init__(
        self, store: Store[InboxTx, InboxView], context: InboxContext, checks: ReleaseChecks
    ) -> None:
        self._store = store
        self._context = context
        self._checks = checks

    async def held(self, messages: Sequence[UUID]) -> Collection[UUID]:
        """Find the events among these that must not leave now."""
        packages = await self._store.write(partial(_under_way, messages=messages))
        cases = frozenset(one.shown.case_id for one in packages if one.shown is not None)
        states = await self._checks.check_all(cases) if cases else {}
        checked = None if states is None else Checked(cases, states)
        # Read again after the answer: what a decision took into account meanwhile is known to it.
        packages = await self._store.write(partial(_under_way, messages=messages))
        return {one.event_id for one in packages if self._stopped(checked, one)}

    def _stopped(self, checked: Checked | None, one: UnderWay) -> bool:
        if one.shown is None:
            return True
        if checked is None:
            return one.shown.delivery.kind != "withdrawal"
        try:
            return checked.stopped(self._context, one.shown, one.recipient)
        except CheckUnanswered:
            return True


def _under_way(tx: InboxTx, messages: Sequence[UUID]) -> tuple[UnderWay, ...]:
    return tx.inbox.under_way(messages)
