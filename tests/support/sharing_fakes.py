"""Sharing's ports in memory. They keep the same promises as the repositories: one suite holds both
to them (tests/contract/test_sharing_ports.py).
"""

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from common.access import Granted
from common.events import Event
from common.events.case import CaseSnapshot
from hubformats.agency_events import Promise
from hubformats.audit_record import AuditEntry, new_salt
from hubformats.canonical import canonical
from hubformats.clock import Clock
from hubformats.ids import uuid7
from sharing.cases.model import (
    THIRD_PARTY,
    AuthorisedCase,
    CaseFile,
    Opens,
    Reason,
    Relation,
    authorised_case,
)
from sharing.cases.ports import Withheld
from sharing.context import SERVICE, ContentGone, Record
from sharing.delays.model import Delayed, Delays
from sharing.directory.ports import Directory
from sharing.disclosures.model.disclosure import (
    PROMISED,
    UNSENT,
    AuthorisedDisclosure,
    Disclosure,
    Hold,
    Moved,
    State,
    Step,
    authorised_disclosure,
)
from sharing.disclosures.model.evidence import Evidence
from sharing.disclosures.ports import Due, Stuck, Unproven
from tests.support.look_fakes import FakeSecondLooks
from tests.support.sharing_decision_fakes import FakeDecisions, FakeUndecided
from tests.support.sharing_inbox_fake import FakeInbox
from tests.support.sharing_kept import Kept
from tests.support.signed_fakes import FakeKeyUses

T = TypeVar("T")


class FakeCases:
    """Fulfils `cases.ports.Cases` and `CaseViews`."""

    def __init__(self, kept: Kept, clock: Clock) -> None:
        self._kept = kept
        self._clock = clock

    def find(self, case_id: UUID) -> CaseFile | None:
        return self._kept.cases.get(case_id)

    hold = find

    def by_reference(self, agency: str, reference: str) -> CaseFile | None:
        return next(
            (
                case
                for case in self._kept.cases.values()
                if case.referrer == agency and self._kept.references[case.case_id] == reference
            ),
            None,
        )

    def authorised(self, granted: Granted, case_id: UUID, reason: Reason) -> AuthorisedCase | None:
        case = self.find(case_id) if granted.principal.agency == SERVICE else None
        return None if case is None else authorised_case(case, Relation.OWN_WORK, reason)

    def authorised_by_reference(self, granted: Granted, reference: str) -> AuthorisedCase | None:
        case = self.by_reference(granted.principal.agency, reference)
        if case is None or case.source == THIRD_PARTY or self._kept.kept_out(case):
            return None
        return authorised_case(case, Relation.REFERRER)

    def named(self, case_ids: Collection[UUID]) -> Mapping[UUID, CaseFile]:
        return {one: case for one in case_ids if (case := self.find(one)) is not None}

    def snapshot(self, authorised: AuthorisedCase) -> CaseSnapshot:
        authorised.require(Opens.SNAPSHOT)
        found = self._kept.snapshots.get(authorised.case.case_id)
        if found is None:
            raise ContentGone
        return found

    def keep(self, snapshot: CaseSnapshot, reference: str) -> None:
        known = self.find(snapshot.case_id)
        since = {} if known is None else known.markings
        markings = {
            each.marking_id: since.get(each.marking_id, snapshot.version)
            for each in snapshot.markings
        }
        self._kept.cases[snapshot.case_id] = CaseFile(
            snapshot.case_id,
            snapshot.version,
            snapshot.referrer_agency,
            tuple(each.subject_id for each in snapshot.subjects),
            markings,
            snapshot.source,
        )
        self._kept.references[snapshot.case_id] = reference
        self._kept.snapshots[snapshot.case_id] = snapshot

    def forget(self, case_id: UUID, subject_id: UUID) -> None:
        del subject_id  # everybody on a case is sealed under its one key
        self._kept.snapshots.pop(case_id, None)
        for one in self._kept.disclosures.values():
            if one.case_id == case_id:
                self._kept.evidence.pop(one.id, None)
        self.keep_skipped_suspended(case_id, ())

    def held(self, case_id: UUID) -> bool:
        waits = any(known == case_id for known, _ in self._kept.undecided)
        return waits or case_id in self._kept.held

    def skipped_suspended(self, case_id: UUID) -> frozenset[str]:
        return frozenset(self._kept.skipped.get(case_id, {}))

    def keep_skipped_suspended(self, case_id: UUID, agencies: Collection[str]) -> None:
        known = self._kept.skipped.get(case_id, {})
        now = self._clock.now()
        self._kept.skipped[case_id] = {agency: known.get(agency, now) for agency in agencies}

    def withheld_while_suspended(self) -> tuple[Withheld, ...]:
        since: dict[str, list[datetime]] = {}
        for agencies in self._kept.skipped.values():
            for agency, at in agencies.items():
                since.setdefault(agency, []).append(at)
        return tuple(
            Withheld(agency, len(times), min(times)) for agency, times in sorted(since.items())
        )

    def that_skipped(
        self, agencies: Collection[str], after: UUID | None, limit: int
    ) -> tuple[UUID, ...]:
        found = sorted(
            case_id
            for case_id, skipped in self._kept.skipped.items()
            if not skipped.keys().isdisjoint(agencies) and (after is None or case_id > after)
        )
        return tuple(found[:limit])


class FakeDisclosures:
    """Fulfils `disclosures.ports.Disclosures` and `DisclosureViews`."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def add(self, disclosure: Disclosure, evidence: Evidence) -> None:
        self._kept.disclosures[disclosure.id] = disclosure
        self._kept.evidence[disclosure.id] = evidence

    def get(self, delivery_id: UUID) -> Disclosure | None:
        return self._kept.disclosures.get(delivery_id)

    def by_record(self, record_id: UUID) -> Disclosure | None:
        return next((one for one in self._all() if one.record_id == record_id), None)

    def of_case(self, case_id: UUID) -> tuple[Disclosure, ...]:
        found = [one for one in self._all() if one.case_id == case_id]
        return tuple(sorted(found, key=lambda one: (one.decided_at, one.id)))

    def delivered(self, delivery_ids: Collection[UUID]) -> Mapping[UUID, Disclosure]:
        return {one: found for one in delivery_ids if (found := self.get(one)) is not None}

    def set_aside(self, delivery_id: UUID) -> None:
        found = self.get(delivery_id)
        if found is not None and found.state is State.PROVEN:
            self._kept.disclosures[delivery_id] = found.block(Hold.ALTERED)

    def authorised(
        self, granted: Granted, delivery_id: UUID, reason: Reason | None = None
    ) -> AuthorisedDisclosure | None:
        found = self.get(delivery_id)
        agency = granted.principal.agency
        if found is None:
            return None
        if reason is None and self._of(agency, found):
            return authorised_disclosure(found, Relation.REFERRER)
        own = reason is not None and agency == SERVICE
        return authorised_disclosure(found, Relation.OWN_WORK, reason) if own else None

    def evidence(self, authorised: AuthorisedDisclosure) -> Evidence:
        authorised.require(Opens.EVIDENCE)
        found = self._kept.evidence.get(authorised.disclosure.id)
        if found is None:
            raise ContentGone
        return found

    def replace(self, old: Disclosure, new: Disclosure) -> None:
        if old.id != new.id:
            raise ValueError("not the same disclosure")
        if new == old:
            return
        if self._kept.disclosures.get(old.id) != old:
            raise Moved
        self._kept.disclosures[new.id] = new

    def keep_proof(self, delivery_id: UUID, leaf: bytes, index: int, proof: str) -> None:
        assert index >= 0
        found = self._kept.evidence.get(delivery_id)
        if found is not None and found.proof is None:
            self._kept.evidence[delivery_id] = replace(found, leaf=leaf, proof=proof)

    def promised(self, disclosure: Disclosure) -> Promise | None:
        due = disclosure.proof_due
        known = self.by_record(disclosure.record_id)
        if due is None or known is None or known.record_id in self._kept.refused:
            return None
        return Promise(src="sharing", ep=1, seq=1, h="h", due=due)

    def unproven(
        self, granted: Granted, limit: int, delivery_id: UUID | None = None
    ) -> tuple[Unproven, ...]:
        found = [
            Unproven(one, self._kept.references[one.case_id], self._urgent(one))
            for one in self._all()
            if self._of(granted.principal.agency, one)
            and (one.can(Step.PROMISE) or one.phase == PROMISED)
            and delivery_id in {None, one.id}
        ]
        found.sort(key=lambda each: (each.disclosure.decided_at, each.disclosure.id), reverse=True)
        found.sort(key=lambda each: (each.disclosure.left, not each.urgent))
        return tuple(found[:limit])

    def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        found = [
            (one.next_at, one.id)
            for one in self._all()
            if one.state is State.PROVEN and one.next_at is not None and one.next_at <= now
        ]
        return self._due([each for _, each in sorted(found)][:limit])

    def next_due(self) -> datetime | None:
        times = [one.next_at for one in self._all() if one.state is State.PROVEN and one.next_at]
        return min(times, default=None)

    def promised_with_proof(self, after: UUID | None, limit: int) -> tuple[Due, ...]:
        return self._due(
            one.id
            for one in self._behind(after)
            if one.phase == PROMISED and self._kept.evidence[one.id].proof is not None
        )[:limit]

    def promises_due(self, now: datetime, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        return tuple(one.id for one in self._behind(after) if _overdue(one, now))[:limit]

    def overdue_promises(self, now: datetime) -> int:
        return len(self.promises_due(now, None, len(self._kept.disclosures)))

    def unanswered(self, now: datetime, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        late = [one for one in self._behind(after) if one.left and one.unanswered(now)]
        return tuple(one.id for one in late)[:limit]

    def overdue_answers(self, now: datetime) -> int:
        asked = [one for one in self._all() if one.left and one.answered_at is None]
        return sum(one.answer_due is not None and one.answer_due < now for one in asked)

    def sealed_to_old_keys(
        self, current: Mapping[str, str], after: UUID | None, limit: int
    ) -> tuple[Due, ...]:
        return self._due(
            one.id
            for one in self._behind(after)
            if one.left
            and one.standing is not None
            and one.saved_at is None
            and current.get(one.recipient, one.sealed_to) != one.sealed_to
        )[:limit]

    def stuck(self) -> tuple[Stuck, ...]:
        times: dict[tuple[State, str], list[Disclosure]] = {}
        for one in self._all():
            if one.state in UNSENT:
                times.setdefault((one.state, one.reason or ""), []).append(one)
        return tuple(
            Stuck(state, same[0].reason, len(same), min(one.decided_at for one in same))
            for (state, _), same in sorted(times.items())
        )

    def blocked(self, deliveries: Collection[UUID], reason: str, limit: int) -> tuple[UUID, ...]:
        found = {
            one.case_id
            for one in self._all()
            if one.state is State.BLOCKED and (one.id in deliveries or one.reason == reason)
        }
        return tuple(sorted(found))[:limit]

    def _all(self) -> Sequence[Disclosure]:
        return list(self._kept.disclosures.values())

    def _behind(self, after: UUID | None) -> Sequence[Disclosure]:
        return sorted(
            (one for one in self._all() if not after or one.id > after), key=lambda one: one.id
        )

    def _due(self, ids: Iterable[UUID]) -> tuple[Due, ...]:
        return tuple(
            Due(
                one.id,
                one.case_id,
                one.snapshot_version,
                self._kept.cases[one.case_id].subjects,
            )
            for one in map(self._kept.disclosures.__getitem__, ids)
        )

    def _of(self, agency: str, one: Disclosure) -> bool:
        case = self._kept.cases[one.case_id]
        asks = case.referrer == agency and case.source != THIRD_PARTY
        return asks and not self._kept.kept_out(case)

    def _urgent(self, one: Disclosure) -> bool:
        found = self._kept.snapshots.get(one.case_id)
        return found is not None and found.urgent


class FakeDelays:
    """Fulfils `delays.ports.DelayViews`."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def delays(self, granted: Granted) -> Delays:
        agency = granted.principal.agency
        waiting = [
            (one, self._kept.cases[one.case_id])
            for one in self._kept.disclosures.values()
            if one.state is State.AWAITING_RECEIPT
        ]
        return Delays(
            self._counted(one for one, _ in waiting if one.recipient == agency),
            self._counted(
                one
                for one, case in waiting
                if case.referrer == agency and case.source != THIRD_PARTY
            ),
        )

    def _counted(self, found: Iterable[Disclosure]) -> Delayed:
        listed = list(found)
        urgent = sum(self._kept.snapshots[one.case_id].urgent for one in listed)
        oldest = min((one.decided_at for one in listed), default=None)
        return Delayed(urgent, len(listed) - urgent, oldest)


class FakeTx:
    """Fulfils every transaction and view that sharing's folders ask for."""

    def __init__(self, kept: Kept, clock: Clock, directory: Directory) -> None:
        self.kept = kept
        self.cases = FakeCases(kept, clock)
        self.decisions = FakeDecisions(kept)
        self.undecided = FakeUndecided(kept)
        self.disclosures = FakeDisclosures(kept)
        self.inbox = FakeInbox(kept, clock, directory)
        self.delays = FakeDelays(kept)
        self.second_looks = FakeSecondLooks(kept.looks)
        self.signed: FakeKeyUses = kept.signed

    def record(self, entry: AuditEntry) -> Record:
        self.kept.records.append(entry)
        said = {"dl": entry.delivery, "rcp": entry.recipient, "dc": entry.content_commitment}
        return Record(uuid7(), canonical(said), new_salt())

    def publish(self, case_id: UUID, event: Event) -> None:
        self.kept.told.append((case_id, event))


class FakeStore:
    """Fulfils `sharing.context.Store`; an exception leaves nothing behind."""

    def __init__(self, clock: Clock, directory: Directory) -> None:
        self.kept = Kept()
        self._clock = clock
        self._directory = directory

    async def write(self, work: Callable[[FakeTx], T]) -> T:
        before = copy.deepcopy(self.kept)
        try:
            return work(FakeTx(self.kept, self._clock, self._directory))
        except BaseException:
            self.kept = before
            raise

    async def read(self, work: Callable[[FakeTx], T]) -> T:
        return work(FakeTx(copy.deepcopy(self.kept), self._clock, self._directory))


def _overdue(one: Disclosure, now: datetime) -> bool:
    return one.phase == PROMISED and one.proof_due is not None and one.proof_due < now
