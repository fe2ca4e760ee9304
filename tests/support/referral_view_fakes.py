"""Cases on a snapshot, in memory."""

from collections.abc import Collection
from uuid import UUID

from common.access import Granted
from referral.cases.model.case import CaseOutline
from tests.support.referral_held import Held


class FakeCaseViews:
    """Fulfils `cases.ports.CaseViews`."""

    def __init__(self, held: Held) -> None:
        self.held = held

    def outlines(self, granted: Granted, case_ids: Collection[UUID]) -> tuple[CaseOutline, ...]:
        """Those that are there and not erased, for sharing alone."""
        if (granted.principal.client_id, granted.scope) != ("svc-sharing", "case.read"):
            return ()
        known = [one for one in sorted(case_ids) if one in self.held.cases]
        return tuple(self.held.cases[one].outline for one in known if one not in self.held.erased)


class FakeView:
    """Fulfils the snapshot of every folder."""

    def __init__(self, held: Held) -> None:
        self.cases = FakeCaseViews(held)
