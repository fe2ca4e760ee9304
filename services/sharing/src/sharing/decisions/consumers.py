"""Events from referral: snapshots to decide on, and people that were erased."""

from collections.abc import Callable
from typing import Final

from common.database import Unit
from common.events.case import CaseSnapshot, SubjectErased
from common.inbox import Inbox, Received, Refused
from hubformats.categories import CategoryUnknown
from sharing.agreements.use_cases import NoAgreement
from sharing.decisions.ports import DecisionTx
from sharing.decisions.use_cases.deciding import forget_subject
from sharing.decisions.use_cases.run import DecisionContext
from sharing.decisions.use_cases.waiting import take_in

_AT_ONCE: Final = "sharing.decided-at-once"


class CaseConsumer:
    """Each handler runs in the transaction that takes the event in.

    So a crash repeats the event and never half of its effect. `opened` makes the repositories of
    such a transaction; `wake` is called after the commit of a snapshot that waits.
    """

    def __init__(
        self,
        context: DecisionContext,
        opened: Callable[[Unit], DecisionTx],
        wake: Callable[[], None],
    ) -> None:
        self._context = context
        self._opened = opened
        self._wake = wake

    def register(self, inbox: Inbox) -> None:
        """Tell the inbox what this consumer understands."""
        inbox.on(CaseSnapshot, self.snapshot)
        inbox.on(SubjectErased, self.erased)

    def snapshot(self, unit: Unit, got: Received, event: CaseSnapshot) -> None:
        """Decide and prepare, or keep it for its sender's turn.

        What cannot be decided is set aside whole, and holds the case.
        """
        if got.source != "svc:referral":
            raise Refused("not-referral")
        try:
            size = take_in(self._opened(unit), self._context, event, sum(unit.kept(_AT_ONCE)))
        except NoAgreement:
            raise Refused("no-agreement") from None
        except CategoryUnknown:
            raise Refused("category-unknown") from None
        unit.keep(_AT_ONCE, size)
        if not size:
            unit.after_commit(self._wake)

    def erased(self, unit: Unit, got: Received, event: SubjectErased) -> None:
        """Destroy here what was destroyed at the owner, on the owner's word alone."""
        if got.source != "svc:referral":
            raise Refused("not-referral")
        forget_subject(self._opened(unit), self._context, event.subject_id, event.case_ids)
