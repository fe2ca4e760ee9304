"""Sharing's use cases on ports in memory: first decision, decision again, preview, release, promise,
receipt.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.access import Granted, Principal, grant
from common.events.sharing import (
    DisclosureBlocked,
    DisclosureReleased,
    DisclosureSaved,
    PromiseBroken,
    SnapshotDecided,
)
from common.testing import ManualClock
from hubformats.agency_events import Promise
from hubformats.audit_record import Actor, AuditEntry, Leaf, record_hash
from hubformats.canonical import canonical
from hubformats.tlog import Signer, format_proof, leaf_hash
from hubformats.tlog.checkpoint import Checkpoint
from sharing.agreements.repository import CedarRules, read_bundle
from sharing.agreements.use_cases import Agreements, NoAgreement
from sharing.cases.model import CaseNotFound
from sharing.content.model.reader import SnapshotReader
from sharing.decisions.use_cases.deciding import forget_subject, take_snapshot
from sharing.decisions.use_cases.preview import Preview, preview
from sharing.decisions.use_cases.redeciding import decide_again, decide_for_restored
from sharing.decisions.use_cases.run import DecisionContext, decide
from sharing.disclosures.model.disclosure import Disclosure, Hold, Moved, Standing, State
from sharing.disclosures.ports import CaseState
from sharing.disclosures.repository.rules import answer_book
from sharing.disclosures.use_cases import emergency, promises, releasing
from sharing.disclosures.use_cases.emergency import DisclosureNotFound, Emergency, OnPromise
from sharing.disclosures.use_cases.steps import ReleaseContext
from sharing.inbox.use_cases.receiving import (
    DeliveryNotFound,
    InboxContext,
    RoleUnknown,
    acknowledge,
)
from tests.support.sharing_fakes import FakeTx
from tests.support.sharing_harness import Parties
from tests.support.sharing_kept import Kept
from tests.support.snapshots import CASE, VICTIM, marking, snapshot, urgent

POLICE, IDVA, CARE = "northmoor-police", "northmoor-idva", "northmoor-social-care"
SUPPORT = "northmoor-victim-support"
ACTOR = Actor(subject="issuer|police-system", agency=POLICE)
LOG = Signer("log.test.example.org/hub", bytes(32))
RULES = CedarRules(read_bundle("northmoor"))


class Desk:
    """One transaction in memory, and what use cases are given."""

    def __init__(self) -> None:
        self.clock, self.parties = ManualClock(), Parties()
        self.tx = FakeTx(Kept(), self.clock, self.parties)
        common: dict[str, Any] = {
            "clock": self.clock,
            "issuer": "http://identity.example.org",
            "reference_secret": b"r" * 32,
            "delivery_secret": b"d" * 32,
            "directory": self.parties,
            "answers": answer_book("northmoor"),
        }
        self.deciding = DecisionContext(**common, agreements=Agreements({"northmoor": RULES}))
        self.releasing = ReleaseContext(**common, log=LOG.verifier, spread_ms=0)
        self.receiving = InboxContext(**common)

    def take(self, **changes: Any) -> dict[str, Disclosure]:
        """Decide on a snapshot; its version's disclosures by recipient."""
        made = snapshot(**changes)
        take_snapshot(self.tx, self.deciding, made)
        return {
            one.recipient: one
            for one in self.tx.disclosures.of_case(made.case_id)
            if one.snapshot_version == made.version
        }

    def state(self, **changes: Any) -> CaseState:
        """Referral's answer of this moment."""
        said = {"version": 1, "vetoes": (), "asked": self.clock.monotonic(), **changes}
        return CaseState(**said)

    def prove(self, one: Disclosure) -> None:
        """The log's receipt for a disclosure's record."""
        found = self.tx.kept.evidence[one.id]
        leaf = Leaf("s", 1, 1, 1, record_hash(found.record_salt, found.record)).encode()
        note = LOG.sign(Checkpoint("log.test.example.org/hub", 1, leaf_hash(leaf)).text())
        releasing.receipt_came(
            self.tx,
            one.record_id,
            leaf=leaf,
            index=0,
            proof=format_proof(0, [], note),
            now=self.clock.now(),
        )

    def release(self, one: Disclosure, state: CaseState | None = None) -> str:
        """Try to release it, with nothing against it unless told otherwise."""
        return releasing.release(self.tx, self.releasing, one.id, state or self.state())

    def now(self, one: Disclosure) -> Disclosure:
        """The disclosure as it stands."""
        found = self.tx.disclosures.get(one.id)
        assert found is not None
        return found

    def told(self, kind: type[Any]) -> list[Any]:
        """What referral was told of a kind."""
        return [event for _, event in self.tx.kept.told if isinstance(event, kind)]

    def entries(self, operation: str) -> list[AuditEntry]:
        """What was recorded of an operation."""
        return [each for each in self.tx.kept.records if each.operation == operation]

    def referrer(self, agency: str = POLICE) -> Granted:
        """A grant of an agency's system."""
        who = Principal("i", "s", "s", "system", agency, scopes=frozenset({"sharing.request"}))
        return grant(who, scope="sharing.request", operation="disclosure", at=self.clock.now())

    def preview(self, agency: str = POLICE) -> Preview:
        """What the agency is shown of the case."""
        name = self.deciding.reference(agency, CASE)
        return preview(self.tx, self.deciding, self.referrer(agency), ACTOR, name)


@pytest.fixture
def desk() -> Desk:
    """A desk of its own."""
    return Desk()


# first decision


def test_a_first_decision_prepares_and_records_one_entry_for_each(desk: Desk) -> None:
    made = desk.take()
    assert set(made) == {IDVA, CARE, SUPPORT}
    assert {each.state for each in made.values()} == {State.AWAITING_RECEIPT}
    assert {(each.recipient, each.outcome) for each in desk.entries("disclosure")} == {
        (IDVA, "permit"),
        (CARE, "permit"),
        (SUPPORT, "permit"),
        (POLICE, "withhold"),
    }
    (told,) = desk.told(SnapshotDecided)
    assert {each.recipient for each in told.outcomes} == {IDVA, CARE, SUPPORT}
    assert len(desk.tx.kept.decisions) == 1


def test_an_older_version_changes_nothing(desk: Desk) -> None:
    desk.take(version=2)
    before = dict(desk.tx.kept.disclosures)
    desk.take(version=1)
    assert desk.tx.kept.disclosures == before
    assert desk.tx.kept.records[-1].reason_code == "older-version"


def test_a_newer_version_supersedes_what_has_not_left(desk: Desk) -> None:
    first = desk.take()
    desk.prove(first[CARE])
    desk.take(version=2)
    assert {desk.now(each).state for each in first.values()} == {State.SUPERSEDED}
    assert len(desk.entries("blocked")) == 3


def test_an_area_without_agreement_is_not_decided(desk: Desk) -> None:
    with pytest.raises(NoAgreement):
        desk.take(area="elsewhere")


# planning


def test_a_plan_writes_nothing(desk: Desk) -> None:
    before = replace(desk.tx.kept)
    plan = decide(desk.deciding, SnapshotReader(snapshot()), ()).plan()
    assert set(plan.prepared) == {IDVA, CARE, SUPPORT}
    assert desk.tx.kept == before


def test_what_is_on_its_way_and_says_the_same_stands(desk: Desk) -> None:
    made = desk.take()
    desk.prove(made[CARE])
    done = decide_again(desk.tx, desk.deciding, CASE)
    assert done is not None
    assert done.prepared == ()
    assert [desk.now(made[each]).state for each in (IDVA, CARE)] == [
        State.AWAITING_RECEIPT,
        State.PROVEN,
    ]
    assert {e.reason_code for e in desk.entries("disclosure")[4:]} == {"nothing-new", "own-facts"}


def test_what_was_blocked_is_prepared_anew_under_another_id(desk: Desk) -> None:
    made = desk.take()
    releasing.receipt_refused(desk.tx, desk.releasing, made[IDVA].record_id)
    assert [each.reason_code for each in desk.told(DisclosureBlocked)] == ["audit-rejected"]
    done = decide_again(desk.tx, desk.deciding, CASE, agencies={IDVA})
    assert done is not None
    assert done.prepared == (IDVA,)
    assert desk.now(made[IDVA]).state is State.SUPERSEDED
    assert desk.now(made[CARE]) == made[CARE], "nobody else is looked at"


def test_the_restored_are_decided_on_and_leave_the_list(desk: Desk) -> None:
    desk.parties.suspended.update((IDVA, CARE))
    assert set(desk.take()) == {SUPPORT}
    assert desk.tx.cases.skipped_suspended(CASE) == {IDVA, CARE}
    desk.parties.suspended.remove(CARE)
    done = decide_for_restored(desk.tx, desk.deciding, CASE)
    assert done is not None
    assert done.prepared == (CARE,)
    assert desk.tx.cases.skipped_suspended(CASE) == {IDVA}


def test_an_erased_case_is_decided_on_no_more(desk: Desk) -> None:
    made = desk.take()
    forget_subject(desk.tx, desk.deciding, VICTIM, (CASE,))
    assert decide_again(desk.tx, desk.deciding, CASE) is None
    assert {desk.now(each).state for each in made.values()} == {State.SUPERSEDED}


# preview


def test_a_preview_shows_what_is_delivered_and_prepares_nothing(desk: Desk) -> None:
    made = desk.take()
    before = dict(desk.tx.kept.disclosures)
    shown = {each.agency: each for each in desk.preview().recipients}
    assert set(shown) == {IDVA, CARE, SUPPORT}, "its own facts are not shown to the referrer"
    for agency, one in made.items():
        content = shown[agency].content
        assert content is not None
        assert canonical(dict(content)) == desk.tx.kept.evidence[one.id].content
    assert desk.tx.kept.disclosures == before
    look = desk.entries("consultation")[-1]
    assert look.resource_type == "decision-preview"
    told = {agency: each.content for agency, each in shown.items() if each.content is not None}
    assert look.shown is not None
    assert dict(json.loads(look.shown)) == told
    assert told


def test_a_preview_hides_which_veto_it_is(desk: Desk) -> None:
    desk.take(markings=(marking("conflict", agency=IDVA),))
    shown = next(each for each in desk.preview().recipients if each.agency == IDVA)
    assert shown.content is None
    assert shown.why is not None
    assert shown.why.reason == "restricted"


def test_only_the_referrer_has_a_preview(desk: Desk) -> None:
    desk.take()
    with pytest.raises(CaseNotFound):
        desk.preview(IDVA)


# release


def test_a_proven_one_leaves_once(desk: Desk) -> None:
    one = desk.take()[IDVA]
    assert desk.release(one) == releasing.GONE, "not before its receipt"
    desk.prove(one)
    assert desk.release(one) == releasing.RELEASED
    assert desk.release(one) == releasing.GONE
    sent = desk.now(one)
    assert (sent.standing, sent.sealed_to) == (Standing.PROVEN, desk.parties.opening[IDVA].kid)
    assert len(desk.tx.kept.inbox[IDVA]) == 1
    assert [each.proof for each in desk.told(DisclosureReleased)] == ["proven"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"asked": -10.0}, Hold.NO_ANSWER),
        ({"version": 2}, Hold.NEWER_VERSION),
    ],
)
def test_a_doubt_postpones(desk: Desk, changes: dict[str, Any], reason: Hold) -> None:
    one = desk.take()[IDVA]
    desk.prove(one)
    assert desk.release(one, desk.state(**changes)) == reason
    held = desk.now(one)
    assert (held.state, held.reason, held.attempts) == (State.PROVEN, reason, 1)
    assert IDVA not in desk.tx.kept.inbox


def test_a_held_case_a_suspension_and_a_missing_key_postpone(desk: Desk) -> None:
    one = desk.take()[IDVA]
    desk.prove(one)
    desk.tx.kept.held.add(CASE)
    assert desk.release(one) == Hold.STREAM_HELD
    desk.tx.kept.held.clear()
    desk.parties.is_fresh = False
    assert desk.release(one) == Hold.DIRECTORY_STALE
    desk.parties.is_fresh = True
    desk.parties.suspended.add(IDVA)
    assert desk.release(one) == Hold.SUSPENDED
    desk.parties.suspended.clear()
    del desk.parties.opening[IDVA]
    assert desk.release(one) == Hold.NO_KEY


def test_a_veto_blocks(desk: Desk) -> None:
    one = desk.take()[IDVA]
    desk.prove(one)
    state = desk.state(vetoes=(marking("must_not_disclose"),))
    assert desk.release(one, state) == Hold.VETO
    assert desk.now(one).state is State.BLOCKED


def test_who_comes_second_does_nothing(desk: Desk) -> None:
    one = desk.take()[IDVA]
    desk.tx.disclosures.replace(one, one.supersede())
    with pytest.raises(Moved):
        desk.tx.disclosures.replace(one, one.block(Hold.VETO))


# promise


def promised(desk: Desk, agency: str = POLICE) -> Disclosure:
    """An urgent one that left on a promise."""
    take_snapshot(desk.tx, desk.deciding, urgent())
    one = next(iter(desk.tx.disclosures.of_case(CASE)))
    granted = desk.referrer(agency)
    due = desk.clock.now() + timedelta(hours=1)
    why = Emergency(ACTOR, "imminent_danger_to_life", "He is at her door.")
    promise = Promise(src="sharing", ep=1, seq=1, h="h", due=due)
    emergency.release_in_emergency(
        desk.tx, desk.releasing, granted, one.id, OnPromise(promise, desk.state(), why)
    )
    return desk.now(one)


def test_a_promise_is_kept_when_its_proof_comes(desk: Desk) -> None:
    one = promised(desk)
    assert one.standing is Standing.PROMISED
    desk.prove(one)
    assert promises.keep_promise(desk.tx, desk.releasing, one.id, desk.state())
    assert desk.now(one).standing is Standing.PROVEN
    assert [each.proof for each in desk.told(DisclosureReleased)] == ["promised", "proven"]
    assert [each.kind for each in desk.tx.kept.inbox[one.recipient]] == ["disclosure", "notice"]


def test_an_overdue_promise_is_told_of_once(desk: Desk) -> None:
    one = promised(desk)
    assert not promises.promise_due(desk.tx, desk.releasing, one.id)
    desk.clock.advance(3601)
    assert promises.promise_due(desk.tx, desk.releasing, one.id)
    assert not promises.promise_due(desk.tx, desk.releasing, one.id)
    assert [each.standing for each in desk.told(PromiseBroken)] == ["overdue"]


def test_a_record_that_the_log_refuses_breaks_the_promise(desk: Desk) -> None:
    one = promised(desk)
    releasing.receipt_refused(desk.tx, desk.releasing, one.record_id)
    assert (desk.now(one).standing, desk.now(one).left) == (None, True)
    assert [each.standing for each in desk.told(PromiseBroken)] == ["broken"]


def test_another_agency_releases_nothing(desk: Desk) -> None:
    with pytest.raises(DisclosureNotFound):
        promised(desk, IDVA)
    assert desk.tx.kept.inbox == {}


def test_a_new_key_gets_the_same_delivery_again(desk: Desk) -> None:
    one = desk.take()[IDVA]
    desk.prove(one)
    desk.release(one)
    assert not promises.seal_again(desk.tx, desk.releasing, one.id, desk.state())
    old = desk.parties.opening[IDVA]
    desk.parties.opening[IDVA] = type(old)("new", IDVA, old.private)
    assert promises.seal_again(desk.tx, desk.releasing, one.id, desk.state())
    assert desk.now(one).sealed_to == "new"
    assert len(desk.tx.kept.inbox[IDVA]) == 2


# the inbox


def test_the_first_acknowledgement_counts_and_only_of_the_recipient(desk: Desk) -> None:
    one = desk.take()[IDVA]
    desk.prove(one)
    desk.release(one)
    actor, mine = Actor(subject=IDVA, agency=IDVA), desk.referrer(IDVA)
    with pytest.raises(RoleUnknown):
        acknowledge(desk.tx, desk.receiving, mine, actor, one.id, "king")
    first = acknowledge(desk.tx, desk.receiving, mine, actor, one.id, "idva")
    desk.clock.advance(5)
    assert acknowledge(desk.tx, desk.receiving, mine, actor, one.id, "idva_manager") == first
    for agency, delivery in ((CARE, one.id), (IDVA, UUID(int=7))):
        with pytest.raises(DeliveryNotFound):
            acknowledge(desk.tx, desk.receiving, desk.referrer(agency), actor, delivery, "idva")
    assert desk.told(DisclosureSaved) == []
