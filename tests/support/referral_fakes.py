"""Referral's ports in memory; they keep the contract suite that the real adapters keep."""

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

from common.access import Granted, Principal, grant
from common.attempts import Answer, Attempt
from common.sealed import SubjectErased
from common.testing import ManualClock
from hubformats.audit_record import AuditEntry
from hubformats.ids import uuid7
from referral.cases.model.authority import (
    AuthorisedCase,
    NotAllowed,
    Opens,
    Relation,
    authorise,
    relation_of,
)
from referral.cases.model.case import Case, CaseOutline, VersionMoved
from referral.cases.model.outcome import Outcome, OutcomeState
from referral.cases.model.referral import FormKind, OwnReferral, Referral
from referral.context import AgencyDirectory, Context
from referral.intake.model.refused import IntakeMarks, RefusedIntake, RefusedPage, RefusedPlace
from referral.risk.model import AreaRules
from referral.sent.model import IndexedBatch, SentPage, SentReferral, Wanted
from referral.vetoes.use_cases.setting import VetoContext
from referral.wiring import rule_book, veto_rules
from tests.support.answers import once
from tests.support.referral_held import Held, OpenAlarm
from tests.support.referral_lifting_fakes import FakeLiftings
from tests.support.referral_look_fakes import FakeSecondLooks
from tests.support.referral_view_fakes import FakeView

T = TypeVar("T")
POLICE, HOUSING = "northmoor-police", "northmoor-housing"
RULES = AreaRules(rule_book(), "northmoor")
CONTEXT = Context(ManualClock(), b"r" * 32)


def granted(
    agency: str = POLICE, scope: str = "referral.write", client: str | None = None
) -> Granted:
    """A grant as the guard gives it to an agency's system, or to the service `client`."""
    name = client or agency
    who = Principal("issuer", name, name, "system", agency, scopes=frozenset({scope}))
    return grant(who, scope=scope, operation="collection", at=CONTEXT.clock.now())


def person(
    name: str, agency: str = POLICE, role: str = "police_officer", scope: str = "referral.write"
) -> Granted:
    """A grant as the guard gives it to a person."""
    kind: Literal["person"] = "person"
    roles, scopes = frozenset({role}), frozenset({scope})
    who = Principal("issuer", name, "portal", kind, agency, roles=roles, scopes=scopes)
    return grant(who, scope=scope, operation="alteration", at=CONTEXT.clock.now())


VETOES = VetoContext(CONTEXT, AgencyDirectory(frozenset({POLICE, HOUSING})), veto_rules())
SHARING_CHECKS = granted("svc:sharing", "case.read", "svc-sharing")
"""The grant under which sharing checks a release."""


def _same(reference: str) -> str:
    folded = unicodedata.normalize("NFKC", reference).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


class FakeCases:
    """Fulfils `cases.ports.Cases`."""

    def __init__(self, held: Held) -> None:
        self.held = held

    def add(self, granted: Granted, case: Case) -> AuthorisedCase:
        """Keep it; publish."""
        agency, outline = granted.principal.agency, case.outline
        if outline.newest.agency != agency:
            raise NotAllowed
        self._keep(case)
        return authorise(outline.case_id, outline.version, agency, Relation.SENDER)

    def authorised(self, granted: Granted, case_id: UUID) -> AuthorisedCase | None:
        """The sender's relation is a referral of its own; sharing's is the case."""
        case = self.held.cases.get(case_id)
        if case is None:
            return None
        agency, relation = granted.principal.agency, relation_of(granted)
        sent = {r.case_id for r in self.held.referrals.values() if r.agency == agency}
        if agency in case.outline.barred:
            return None
        if relation is Relation.SENDER and case_id not in sent:
            return None
        return authorise(case_id, case.outline.version, agency, relation)

    def of_referral(self, granted: Granted, referral_id: UUID) -> AuthorisedCase | None:
        """For officers alone."""
        found = self.held.referrals.get(referral_id)
        if found is None or relation_of(granted) is not Relation.PRIVACY_OFFICER:
            return None
        return self.authorised(granted, found.case_id)

    def received(self, granted: Granted, reference: str) -> AuthorisedCase | None:
        """Of those told, for whom it is not withheld."""
        agency = granted.principal.agency
        case_id = self._told(agency, reference, withheld=False)
        if case_id is None or agency in self.held.cases[case_id].outline.barred:
            return None
        version = self.held.cases[case_id].outline.version
        return authorise(case_id, version, agency, Relation.RECIPIENT)

    def of_recipient(self, granted: Granted, agency: str, reference: str) -> AuthorisedCase | None:
        """For officers alone."""
        case_id = self._told(agency, reference, withheld=True)
        if case_id is None or relation_of(granted) is not Relation.PRIVACY_OFFICER:
            return None
        return self.authorised(granted, case_id)

    def _told(self, agency: str, reference: str, *, withheld: bool) -> UUID | None:
        for (case_id, recipient), one in self.held.outcomes.items():
            told = withheld or one.state is not OutcomeState.WITHHELD
            if recipient == agency and told and CONTEXT.reference(agency, case_id) == reference:
                return case_id
        return None

    def outline(self, proof: AuthorisedCase) -> CaseOutline:
        """As it stood when the proof was made."""
        proof.require(Opens.OUTLINE)
        return self._outline(proof)

    def for_revision(self, proof: AuthorisedCase) -> Case:
        """The case as it is, without the facts about erased people."""
        proof.require(Opens.REVISION)
        outline, erased = self._outline(proof), self.held.erased
        facts = tuple(
            tuple(fact for fact in told if fact.subject not in erased)
            for told in self.held.cases[proof.case_id].facts
        )
        return replace(self.held.cases[proof.case_id], outline=outline, facts=facts)

    def replace(self, proof: AuthorisedCase, old: Case, new: Case) -> None:
        """Compare and swap."""
        proof.require(Opens.REVISION)
        proof.covers(new.outline.case_id, proof.agency)
        if self.held.cases[proof.case_id].outline.version != old.outline.version:
            raise VersionMoved
        self._keep(new)

    def snapshot_decided(self, case_id: UUID, version: int) -> None:
        """Let go."""
        for one in [key for key in self.held.waiting if key[0] == case_id and key[1] <= version]:
            del self.held.waiting[one]

    def is_decided(self, proof: AuthorisedCase) -> bool:
        """None of this version or later waits."""
        proof.require(Opens.OUTCOMES)
        return not any(
            case == proof.case_id and version >= proof.version
            for case, version in self.held.waiting
        )

    def _outline(self, proof: AuthorisedCase) -> CaseOutline:
        if proof.case_id in self.held.erased:
            raise SubjectErased
        return self.held.outlines[proof.case_id, proof.version]

    def _keep(self, case: Case) -> None:
        snapshot = case.to_snapshot()
        self.held.cases[snapshot.case_id] = case
        self.held.outlines[snapshot.case_id, snapshot.version] = case.outline
        self.held.published.append(snapshot)
        self.held.waiting[snapshot.case_id, snapshot.version] = snapshot


class FakeReferrals:
    """Fulfils `cases.ports.Referrals`."""

    def __init__(self, held: Held) -> None:
        self.held = held

    def add(self, proof: AuthorisedCase, referral: Referral) -> None:
        """Keep it."""
        proof.require(Opens.REVISION)
        proof.covers(referral.case_id, referral.agency)
        self.held.referrals[referral.referral_id] = referral

    def own(self, granted: Granted, referral_id: UUID) -> OwnReferral | None:
        """Of the agency alone."""
        found = self.held.referrals.get(referral_id)
        if found is None or found.agency != granted.principal.agency:
            return None
        outline = self.held.cases[found.case_id].outline
        if found.agency in outline.barred:
            return None
        version = outline.version
        return OwnReferral(found, authorise(found.case_id, version, found.agency, Relation.SENDER))

    def claimed(self, granted: Granted, external_reference: str) -> UUID | None:
        """Of the agency alone."""
        for one in self.held.referrals.values():
            if (
                one.claims_reference
                and one.agency == granted.principal.agency
                and _same(one.external_reference or "") == _same(external_reference)
            ):
                return one.referral_id
        return None

    def completion(self, proof: AuthorisedCase) -> Referral | None:
        """The full form of the case."""
        proof.require(Opens.REVISION)
        for one in self.held.referrals.values():
            mine = (one.case_id, one.agency) == (proof.case_id, proof.agency)
            if mine and one.form is FormKind.FULL:
                return one
        return None


class FakeOutcomes:
    """Fulfils `cases.ports.Outcomes`."""

    def __init__(self, held: Held) -> None:
        self.held = held

    def told(self, proof: AuthorisedCase) -> tuple[Outcome, ...]:
        """Without the withheld."""
        proof.require(Opens.OUTCOMES)
        found = [one for (case, _), one in self.held.outcomes.items() if case == proof.case_id]
        shown = [one for one in found if one.state is not OutcomeState.WITHHELD]
        return tuple(sorted(shown, key=lambda one: (one.first_at, one.recipient)))

    def known(self, case_id: UUID, recipient: str) -> Outcome | None:
        """By case and recipient."""
        return self.held.outcomes.get((case_id, recipient))

    def add(self, case_id: UUID, outcome: Outcome) -> None:
        """Keep it."""
        self.held.outcomes[case_id, outcome.recipient] = outcome

    def replace(self, case_id: UUID, old: Outcome, new: Outcome) -> None:
        """Compare and swap."""
        if self.held.outcomes.get((case_id, old.recipient)) != old:
            raise VersionMoved
        self.held.outcomes[case_id, old.recipient] = new


class FakeRefused:
    """Fulfils `intake.ports.Refused`."""

    def __init__(self, held: Held, many: int = 1_000) -> None:
        self.held = held
        self.many = many

    def note(self, agency: str, code: str, at: datetime, marks: IntakeMarks) -> bool:
        """One for each intake."""
        again = self._same(agency, marks)
        for key in again:
            known = self.held.refused[key]
            reference = known.marks.external_reference or marks.external_reference
            self.held.refused[key] = OpenAlarm(
                agency,
                RefusedIntake(key, known.shown.at, code),
                IntakeMarks(known.marks.key_mark, reference),
            )
        if again:
            return False
        new = RefusedIntake(uuid7(), at, code)
        self.held.refused[new.id] = OpenAlarm(agency, new, marks)
        return len(self._of(agency)) == self.many

    def correct(self, granted: Granted, marks: IntakeMarks) -> None:
        """Those of the same key or reference."""
        for key in self._same(granted.principal.agency, marks):
            del self.held.refused[key]

    def acknowledge(self, granted: Granted, refused_id: UUID) -> RefusedIntake | None:
        """Of the agency alone."""
        found = self.held.refused.get(refused_id)
        if found is None or found.agency != granted.principal.agency:
            return None
        return self.held.refused.pop(refused_id).shown

    def open(self, granted: Granted, after: RefusedPlace | None, limit: int) -> RefusedPage:
        """Oldest first."""
        every = sorted(
            (one.shown for one in self._of(granted.principal.agency)),
            key=lambda one: (one.at, one.id),
        )
        rest = [one for one in every if after is None or (one.at, one.id) > after]
        return RefusedPage(tuple(rest[:limit]), more=len(rest) > limit, total=len(every))

    def _of(self, agency: str) -> list[OpenAlarm]:
        return [one for one in self.held.refused.values() if one.agency == agency]

    def _same(self, agency: str, marks: IntakeMarks) -> list[UUID]:
        reference = marks.external_reference
        return [
            one.shown.id
            for one in self._of(agency)
            if (marks.key_mark is not None and one.marks.key_mark == marks.key_mark)
            or (
                reference
                and one.marks.external_reference
                and _same(one.marks.external_reference) == _same(reference)
            )
        ]


class FakeSent:
    """Fulfils `sent.ports.Sent`."""

    def __init__(self, held: Held) -> None:
        self.held = held

    def page(self, granted: Granted, wanted: Wanted) -> SentPage:
        """Oldest change first."""
        own = [
            self._item(one)
            for one in self.held.referrals.values()
            if one.agency == granted.principal.agency
            and one.agency not in self.held.cases[one.case_id].outline.barred
        ]
        reference = wanted.external_reference
        found = sorted(
            (
                one
                for one in own
                if (reference is None or self._is_under(one, reference))
                and (wanted.changed_since is None or one.changed_at >= wanted.changed_since)
                and (wanted.after is None or (one.changed_at, one.referral_id) > wanted.after)
            ),
            key=lambda one: (one.changed_at, one.referral_id),
        )
        return SentPage(tuple(found[: wanted.limit]), more=len(found) > wanted.limit)

    def _is_under(self, one: SentReferral, reference: str) -> bool:
        own = one.external_reference
        if own is None or one.referral_id in self.held.not_indexed:
            return False
        return _same(own) == _same(reference)

    def _item(self, one: Referral) -> SentReferral:
        outline, erased = self.held.cases[one.case_id].outline, one.case_id in self.held.erased
        return SentReferral(
            referral_id=one.referral_id,
            case_id=one.case_id,
            form=one.form,
            kind=one.kind,
            state=one.state,
            version=outline.version,
            received_at=one.received_at,
            changed_at=outline.changed_at,
            external_reference=None if erased else one.external_reference,
        )


class FakeReferences:
    """Fulfils `sent.ports.References` over a store; looks at `batch` of them at a time."""

    def __init__(self, store: "FakeStore", batch: int) -> None:
        self.store = store
        self.batch = batch

    async def index_some(self, after: UUID | None) -> IndexedBatch:
        """By id; an erased case's are passed over."""
        held = self.store.held
        rest = sorted(one for one in held.not_indexed if after is None or one > after)
        looked = rest[: self.batch]
        found = {one for one in looked if held.referrals[one].case_id not in held.erased}
        held.not_indexed -= found
        return IndexedBatch(looked[-1] if looked else None, len(found), 0)


class FakeTx:
    """Fulfils the transaction of every folder."""

    def __init__(self, held: Held | None = None) -> None:
        self.held = Held() if held is None else held
        self.cases = FakeCases(self.held)
        self.referrals = FakeReferrals(self.held)
        self.outcomes = FakeOutcomes(self.held)
        self.refused = FakeRefused(self.held)
        self.sent = FakeSent(self.held)
        self.liftings = FakeLiftings(self.held)
        self.second_looks = FakeSecondLooks(self.held.looks)

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Keep the answer."""
        return once(self.held.answers, attempt, work)

    def record(self, entry: AuditEntry) -> None:
        """Keep the entry."""
        self.held.entries.append(entry)


class FakeStore:
    """Fulfils the store of every folder."""

    def __init__(self) -> None:
        self.held = Held()

    async def write(self, work: Callable[[FakeTx], T]) -> T:
        """Run `work`; an exception leaves nothing behind."""
        trying = self.held.copy()
        answer = work(FakeTx(trying))
        self.held = trying
        return answer

    async def read(self, work: Callable[[FakeView], T]) -> T:
        """Run `work` on what is held."""
        return work(FakeView(self.held))

    def erase(self, subject_id: UUID) -> None:
        """Destroy the key of a case or person."""
        self.held.erased.add(subject_id)
