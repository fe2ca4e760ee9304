"""Decisions in memory; apart from the other fakes for their length alone."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from common.access import Granted
from common.events.case import CaseSnapshot
from hubformats.ids import uuid7
from sharing.cases.model import (
    AuthorisedCase,
    CaseFile,
    Opens,
    Reason,
    Relation,
    authorised_case,
)
from sharing.context import SERVICE, ContentGone
from sharing.decisions.model import SharingDecision, Undecided
from tests.support.sharing_kept import Kept


class FakeDecisions:
    """Fulfils `decisions.ports.Decisions`."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def add(self, decision_id: UUID, snapshot: CaseSnapshot, decision: SharingDecision) -> None:
        if snapshot.case_id not in self._kept.snapshots:
            raise ContentGone
        self._kept.decisions.append((decision_id, snapshot.case_id, snapshot.version, decision))


class FakeUndecided:
    """Fulfils `decisions.ports.UndecidedSnapshots` and `UndecidedViews`."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def waits(self) -> bool:
        return bool(self._kept.undecided)

    def add(self, snapshot: CaseSnapshot) -> bool:
        kept, case_id, version = self._kept.undecided, snapshot.case_id, snapshot.version
        if (case_id, version) in kept:
            return False
        one = Undecided(case_id, version, snapshot.referrer_agency, snapshot.urgent, uuid7())
        kept[case_id, version] = (snapshot, one)
        if snapshot.urgent:
            for place, (waiting, each) in kept.items():
                if place[0] == case_id:
                    kept[place] = (waiting, replace(each, urgent=True))
        return True

    def authorised(self, granted: Granted, one: Undecided) -> AuthorisedCase | None:
        waits = (one.case_id, one.version) in self._kept.undecided
        if granted.principal.agency != SERVICE or not waits:
            return None
        case = CaseFile(one.case_id, one.version, one.sender, (), {})
        return authorised_case(case, Relation.OWN_WORK, Reason.DECIDE)

    def snapshot(self, authorised: AuthorisedCase) -> CaseSnapshot:
        authorised.require(Opens.SNAPSHOT)
        found = self._kept.undecided.get((authorised.case.case_id, authorised.case.version))
        if found is None:
            raise ContentGone
        return found[0]

    def done(self, case_id: UUID, version: int) -> bool:
        return self._kept.undecided.pop((case_id, version), None) is not None

    def postpone(self, one: Undecided, until: datetime) -> None:
        self._kept.again[one.case_id, one.version] = until

    def forget(self, case_id: UUID) -> int | None:
        versions = [version for known, version in self._kept.undecided if known == case_id]
        for version in versions:
            del self._kept.undecided[case_id, version]
        return max(versions, default=None)

    def heads(self, now: datetime, *, urgent: bool) -> tuple[Undecided, ...]:
        first: dict[str, Undecided] = {}
        for (case_id, version), (_, one) in self._kept.undecided.items():
            until = self._kept.again.get((case_id, version))
            earliest = min(other for known, other in self._kept.undecided if known == case_id)
            free = version == earliest and (until is None or until <= now)
            if free and one.urgent is urgent:
                before = first.get(one.sender, one)
                first[one.sender] = min(one, before, key=lambda each: each.place)
        return tuple(sorted(first.values(), key=lambda one: one.place))
