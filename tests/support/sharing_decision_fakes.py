"""Decisions in memory; apart from the other fakes for their length alone."""

from uuid import UUID

from common.events.case import CaseSnapshot
from sharing.context import ContentGone
from sharing.decisions.model import SharingDecision
from tests.support.sharing_kept import Kept


class FakeDecisions:
    """Fulfils `decisions.ports.Decisions`."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def add(self, decision_id: UUID, snapshot: CaseSnapshot, decision: SharingDecision) -> None:
        if snapshot.case_id not in self._kept.snapshots:
            raise ContentGone
        self._kept.decisions.append((decision_id, snapshot.case_id, snapshot.version, decision))
