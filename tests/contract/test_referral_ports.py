"""Referral's ports keep the same promises in memory, on SQLite and on PostgreSQL."""

import copy
import secrets
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import pytest
from sqlalchemy import func, select

from common.attempts import Answer, Attempt
from common.audit_trail.tables import PENDING
from common.events.case import Marking
from common.problems import Problem
from common.sealed import SubjectErased
from hubformats.ids import uuid7
from referral.cases.model.authority import NotAllowed, Relation
from referral.cases.model.case import VersionMoved
from referral.cases.model.outcome import Outcome, OutcomeState, Proof
from referral.cases.ports import (
    Cases,
    CaseStore,
    CaseTx,
    CaseView,
    CaseViews,
    Outcomes,
    Referrals,
)
from referral.cases.repository.cases import SqlCases
from referral.cases.repository.outcomes import SqlOutcomes
from referral.cases.repository.referrals import SqlReferrals
from referral.cases.repository.views import SqlCaseViews
from referral.context import Recording
from referral.intake import use_cases
from referral.intake.model.refused import IntakeMarks
from referral.intake.ports import IntakeStore, IntakeTx, Refused
from referral.intake.repository import SqlRefused
from referral.intake.use_cases import Intake
from referral.sent.model import SentPage, Wanted
from referral.sent.ports import Sent, SentStore, SentTx
from referral.sent.repository import SqlSent
from referral.wiring import ReferralStore, ReferralTx, ReferralView
from tests.support.port_suites import Held
from tests.support.referral_fakes import (
    CONTEXT,
    HOUSING,
    POLICE,
    RULES,
    SHARING_CHECKS,
    FakeCases,
    FakeOutcomes,
    FakeReferrals,
    FakeRefused,
    FakeSent,
    FakeStore,
    FakeTx,
    granted,
)
from tests.support.referral_ports import FULL, READ, URGENT, sent, store
from tests.support.referral_view_fakes import FakeCaseViews, FakeView

__all__ = ["store"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTS: Final = (
    Held(Cases, (SqlCases,), FakeCases),
    Held(CaseViews, (SqlCaseViews,), FakeCaseViews),
    Held(CaseView, (ReferralView,), FakeView),
    Held(Referrals, (SqlReferrals,), FakeReferrals),
    Held(Outcomes, (SqlOutcomes,), FakeOutcomes),
    Held(Refused, (SqlRefused,), FakeRefused),
    Held(Sent, (SqlSent,), FakeSent),
    *(Held(tx, (ReferralTx,), FakeTx) for tx in (Recording, CaseTx, IntakeTx, SentTx)),
    *(Held(store, (ReferralStore,), FakeStore) for store in (CaseStore, IntakeStore, SentStore)),
)

T = TypeVar("T")
Work = Callable[[Any], T]
AT = datetime(2026, 11, 21, 2, tzinfo=UTC)


async def test_a_case_opens_for_its_sender_as_it_was_stored(store: ReferralStore) -> None:
    made = await sent(store, FULL)
    case_id = made.case.outline.case_id

    def opened(tx: Any) -> Any:
        proof = tx.cases.authorised(granted(), case_id)
        return proof, tx.cases.outline(proof), tx.cases.for_revision(proof)

    proof, outline, case = await store.write(opened)
    assert (proof.case_id, proof.version, proof.relation) == (case_id, 1, Relation.SENDER)
    assert (outline, case) == (made.case.outline, made.case)


def outline_of(case_id: UUID) -> Work[Any]:
    """What the sender opens of a case."""
    return lambda tx: tx.cases.outline(tx.cases.authorised(granted(), case_id))


def revision_of(case_id: UUID) -> Work[Any]:
    """The whole case, for its sender."""
    return lambda tx: tx.cases.for_revision(tx.cases.authorised(granted(), case_id))


async def erase(store: ReferralStore, subject_id: UUID) -> None:
    """Destroy the key of a case or person."""
    one: object = store  # a fake stands in for the class by `cast`
    if isinstance(one, FakeStore):
        one.erase(subject_id)
        return
    keys = store._deps.repositories.subject_keys
    await store._database.write(lambda unit: keys.destroy(unit.connection, subject_id))


async def test_facts_about_an_erased_person_are_gone_and_the_rest_stands(
    store: ReferralStore,
) -> None:
    made = (await sent(store, FULL)).case
    victim, case_id = made.outline.victim, made.outline.case_id
    await erase(store, victim)
    left = await store.write(revision_of(case_id))
    assert left.outline == made.outline
    assert left.told == tuple(fact for fact in made.told if fact.subject != victim) != ()
    await erase(store, case_id)
    for gone in (revision_of(case_id), outline_of(case_id)):
        with pytest.raises(SubjectErased):
            await store.write(gone)


async def test_an_erased_case_is_listed_and_not_found_by_reference(store: ReferralStore) -> None:
    agency, reference = f"a-{secrets.token_hex(4)}", secrets.token_hex(6)
    form = {**URGENT, "externalReference": reference}
    gone, here = await sent(store, form, agency), await sent(store, form, agency)
    await erase(store, gone.case.outline.case_id)
    who, asked = granted(agency), Wanted(10, external_reference=reference)
    found = await store.write(lambda tx: tx.sent.page(who, asked))
    assert [item.referral_id for item in found.items] == [here.referral.referral_id]
    every = await store.write(lambda tx: tx.sent.page(who, Wanted(10)))
    shown = {item.referral_id: item.external_reference for item in every.items}
    assert shown == {gone.referral.referral_id: None, here.referral.referral_id: reference}


async def test_a_proof_opens_the_outline_of_its_own_moment(store: ReferralStore) -> None:
    made = (await sent(store, FULL)).case
    marked = made.mark(Marking(marking_id=uuid7(), kind="must_not_disclose"), AT)

    def opened(tx: Any) -> Any:
        before = tx.cases.authorised(granted(), made.outline.case_id)
        tx.cases.replace(before, made, marked)
        after = tx.cases.authorised(granted(), made.outline.case_id)
        return tx.cases.outline(before), tx.cases.outline(after)

    assert await store.write(opened) == (made.outline, marked.outline)


async def test_the_completion_of_a_case_is_its_full_referral(store: ReferralStore) -> None:
    first = await sent(store, URGENT)
    case_id = first.case.outline.case_id

    def completion(tx: Any) -> Any:
        return tx.referrals.completion(tx.cases.authorised(granted(), case_id))

    assert await store.write(completion) is None
    second = await sent(store, {**FULL, "completes": str(first.referral.referral_id)})
    assert await store.write(completion) == second.referral

    def by_sharing(tx: Any) -> None:
        with pytest.raises(NotAllowed):
            tx.referrals.completion(tx.cases.authorised(SHARING_CHECKS, case_id))

    await store.write(by_sharing)


async def test_an_attempt_is_done_once_and_a_failed_one_again(store: ReferralStore) -> None:
    attempt, done = Attempt(secrets.token_bytes(32), b"r" * 32), [0]

    def work() -> Answer:
        done[0] += 1
        if done[0] == 1:
            raise LookupError
        return Answer(201, {"b": done[0], "a": ""}, {"Location": "/x"})

    with pytest.raises(LookupError):
        await store.write(lambda tx: tx.once(attempt, work))
    first = await store.write(lambda tx: tx.once(attempt, work))
    again = await store.write(lambda tx: tx.once(attempt, work))
    assert (first.replayed, again, done) == (False, replace(first, replayed=True), [2])
    other = replace(attempt, request=b"other" * 8)
    with pytest.raises(Problem, match="idempotency-key-reused"):
        await store.write(lambda tx: tx.once(other, work))
    assert done == [2]


async def test_a_record_is_written_with_the_transaction(store: ReferralStore) -> None:
    made = await sent(store, FULL)
    entry = CONTEXT.entry("consultation", granted(), made.case.outline.case_id, uuid7(), 1)
    before = await records(store)
    await store.write(lambda tx: tx.record(entry))

    def fails(tx: Any) -> None:
        tx.record(entry)
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(fails)
    assert await records(store) == before + 1


async def records(store: ReferralStore) -> int:
    """How many audit records were written."""
    one: object = store
    if isinstance(one, FakeStore):
        return len(one.held.entries)
    query = select(func.count()).select_from(PENDING)
    return await store._database.read(lambda conn: int(conn.execute(query).scalar_one()))


async def test_a_completed_case_keeps_whose_each_fact_is(store: ReferralStore) -> None:
    first = await sent(store, URGENT)
    second = await sent(store, {**FULL, "completes": str(first.referral.referral_id)})
    found = await store.write(revision_of(second.case.outline.case_id))
    assert found == second.case
    older, newer = found.contributions
    assert older.origin.contribution_id == first.referral.referral_id
    assert newer.origin.contribution_id == second.referral.referral_id
    assert {fact.path.split(".")[0] for fact in older.facts} == {"urgent"}
    assert older.origin.recorded_at <= newer.origin.recorded_at


async def test_no_relation_and_no_case_are_one_answer(store: ReferralStore) -> None:
    made = await sent(store, FULL)
    case_id = made.case.outline.case_id
    for who, wanted in ((granted(HOUSING), case_id), (granted(), uuid7())):
        assert await store.write(lambda tx: tx.cases.authorised(who, wanted)) is None  # noqa: B023
    own = [
        await store.write(lambda tx: tx.referrals.own(granted(HOUSING), each))  # noqa: B023
        for each in (made.referral.referral_id, uuid7())
    ]
    assert own == [None, None]


async def test_sharing_opens_the_outline_of_any_case_and_nothing_else(
    store: ReferralStore,
) -> None:
    made = await sent(store, FULL)

    def checked(tx: Any) -> Any:
        proof = tx.cases.authorised(SHARING_CHECKS, made.case.outline.case_id)
        with pytest.raises(NotAllowed):
            tx.cases.for_revision(proof)
        with pytest.raises(NotAllowed):
            tx.cases.replace(proof, made.case, made.case)
        with pytest.raises(NotAllowed):
            tx.outcomes.told(proof)
        with pytest.raises(NotAllowed):
            tx.cases.is_decided(proof)
        return proof.relation, tx.cases.outline(proof)

    assert await store.write(checked) == (Relation.SERVICE, made.case.outline)


async def test_sharing_opens_many_outlines_at_once_and_nobody_else_any(
    store: ReferralStore,
) -> None:
    made = [(await sent(store, URGENT)).case.outline for _ in range(3)]
    await erase(store, made[2].case_id)
    wanted = [*(one.case_id for one in made), uuid7()]
    found = await store.read(
        lambda view: (
            view.cases.outlines(SHARING_CHECKS, wanted),
            view.cases.outlines(granted(), wanted),
        )
    )
    assert found == (tuple(sorted(made[:2], key=lambda one: one.case_id)), ())


async def test_a_proof_serves_its_own_case_and_agency_alone(store: ReferralStore) -> None:
    """Whoever could add a referral to any case would make itself a sender of it."""
    mine, other = await sent(store, FULL), await sent(store, FULL)
    theirs = await sent(store, FULL, HOUSING)

    def tried(tx: Any) -> None:
        proof = tx.cases.authorised(granted(), mine.case.outline.case_id)
        for referral in (other.referral, theirs.referral):
            with pytest.raises(NotAllowed):
                tx.referrals.add(proof, replace(referral, referral_id=uuid7()))
        joining = replace(theirs.referral, referral_id=uuid7(), case_id=proof.case_id)
        with pytest.raises(NotAllowed):
            tx.referrals.add(proof, joining)
        with pytest.raises(NotAllowed):
            tx.cases.replace(proof, other.case, other.case)
        with pytest.raises(NotAllowed):
            tx.cases.add(granted(HOUSING), mine.case)

    await store.write(tried)


async def test_a_proof_of_ones_own_case_becomes_none_of_anothers(store: ReferralStore) -> None:
    """Housing takes the proof of its own case, names the police's, and asks storage."""
    theirs, own = await sent(store, FULL), await sent(store, FULL, HOUSING)
    others = theirs.case.outline.case_id
    fields_of_theirs = {"case_id": others, "agency": POLICE}

    def attack(tx: Any) -> None:
        proof = tx.cases.authorised(granted(HOUSING), own.case.outline.case_id)
        for changed in ({"case_id": others}, fields_of_theirs, {"relation": Relation.SERVICE}):
            with pytest.raises(ValueError, match="seal"):
                tx.cases.for_revision(replace(proof, **changed))
            with pytest.raises(TypeError):
                tx.cases.for_revision(replace(proof, **changed, seal=object()))
        with pytest.raises(TypeError):
            tx.cases.for_revision(copy.copy(proof))
        with pytest.raises(FrozenInstanceError):
            proof.case_id = others
        assert tx.cases.for_revision(proof) == own.case

    await store.write(attack)


async def test_the_second_of_two_changes_of_one_version_is_refused(store: ReferralStore) -> None:
    made = await sent(store, FULL)
    case_id = made.case.outline.case_id
    marked = made.case.mark(Marking(marking_id=uuid7(), kind="must_not_disclose"), AT)

    def changed(tx: Any) -> Any:
        proof = tx.cases.authorised(granted(), case_id)
        tx.cases.replace(proof, made.case, marked)
        return tx.cases.for_revision(tx.cases.authorised(granted(), case_id))

    assert await store.write(changed) == marked
    with pytest.raises(VersionMoved):
        await store.write(changed)
    assert await store.write(outline_of(case_id)) == marked.outline


async def test_a_reference_is_claimed_by_its_own_agency_alone(store: ReferralStore) -> None:
    made = await sent(store, {**FULL, "externalReference": "  Inc-77/A "})
    urgent_one = await sent(store, {**URGENT, "externalReference": "INC-78"})

    def claimed(agency: str, reference: str) -> Work[UUID | None]:
        return lambda tx: cast("UUID | None", tx.referrals.claimed(granted(agency), reference))

    assert await store.write(claimed(POLICE, "INC-77/a")) == made.referral.referral_id
    assert await store.write(claimed(HOUSING, "INC-77/a")) is None
    assert await store.write(claimed(POLICE, "INC-78")) is None, "danger claims no reference"
    found = await store.write(
        lambda tx: tx.referrals.own(granted(), urgent_one.referral.referral_id)
    )
    assert found is not None
    assert found.referral == urgent_one.referral


async def test_a_snapshot_is_decided_with_those_before_it(store: ReferralStore) -> None:
    made = await sent(store, FULL)
    case_id = made.case.outline.case_id

    def is_decided(tx: Any) -> bool:
        return bool(tx.cases.is_decided(tx.cases.authorised(granted(), case_id)))

    assert not await store.write(is_decided)
    await store.write(lambda tx: tx.cases.snapshot_decided(case_id, 1))
    assert await store.write(is_decided)


def outcome(recipient: str, state: OutcomeState, **more: Any) -> Outcome:
    """An outcome of the first version."""
    return Outcome(recipient=recipient, version=1, state=state, changed_at=AT, first_at=AT, **more)


async def test_outcomes_are_told_in_order_without_the_withheld(store: ReferralStore) -> None:
    made = await sent(store, FULL)
    case_id = made.case.outline.case_id
    rows = [
        replace(outcome("b", OutcomeState.RELEASED, clause="NM-1"), proof=Proof.PROMISED),
        outcome("c", OutcomeState.WITHHELD, reason_code="no-clause"),
        outcome("a", OutcomeState.BLOCKED, earlier_promise=Proof.OVERDUE),
        replace(outcome("d", OutcomeState.DECIDED), first_at=AT - timedelta(hours=1)),
    ]

    def told(tx: Any) -> Any:
        for row in rows:
            tx.outcomes.add(case_id, row)
        return tx.outcomes.told(tx.cases.authorised(granted(), case_id))

    assert await store.write(told) == (rows[3], rows[2], rows[0])
    assert await store.write(lambda tx: tx.outcomes.known(case_id, "c")) == rows[1]
    assert await store.write(lambda tx: tx.outcomes.known(case_id, "e")) is None


async def test_an_outcome_is_swapped_where_it_is_still_the_known_one(store: ReferralStore) -> None:
    made = await sent(store, FULL)
    case_id = made.case.outline.case_id
    old = outcome("a", OutcomeState.DECIDED)
    new = replace(old, state=OutcomeState.RELEASED, proof=Proof.PROVEN)
    await store.write(lambda tx: tx.outcomes.add(case_id, old))
    await store.write(lambda tx: tx.outcomes.replace(case_id, old, new))
    assert await store.write(lambda tx: tx.outcomes.known(case_id, "a")) == new
    with pytest.raises(VersionMoved):
        await store.write(lambda tx: tx.outcomes.replace(case_id, old, new))


async def test_a_failed_transaction_leaves_nothing_behind(store: ReferralStore) -> None:
    made: list[Intake] = []
    read = READ.validate_python({**FULL, "externalReference": secrets.token_hex(6)})

    def fails(tx: Any) -> None:
        attempt = Attempt(secrets.token_bytes(32), b"r")
        made.append(use_cases.submit_referral(tx, granted(), read, attempt, CONTEXT, RULES))
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(fails)
    found = await store.write(lambda tx: tx.referrals.own(granted(), made[-1].referral.referral_id))
    assert found is None


async def test_refused_intakes_are_one_alarm_each_until_corrected(store: ReferralStore) -> None:
    agency, other = granted(f"a-{secrets.token_hex(4)}"), granted(f"b-{secrets.token_hex(4)}")
    mine = agency.principal.agency
    key, again = IntakeMarks(b"k" * 32, None), IntakeMarks(b"k" * 32, "REF-1")
    for marks, code in ((key, "one"), (again, "two"), (IntakeMarks(None, "ref-1"), "three")):
        many = await store.write(lambda tx: tx.refused.note(mine, code, AT, marks))  # noqa: B023
        assert not many
    await store.write(
        lambda tx: tx.refused.note(mine, "x", AT + timedelta(hours=1), IntakeMarks(None, None))
    )
    page = await store.write(lambda tx: tx.refused.open(agency, None, 1))
    assert ([one.code for one in page.items], page.more, page.total) == (["three"], True, 2)
    place = (page.items[0].at, page.items[0].id)
    rest = await store.write(lambda tx: tx.refused.open(agency, place, 5))
    assert ([one.code for one in rest.items], rest.more) == (["x"], False)
    assert await store.write(lambda tx: tx.refused.acknowledge(other, rest.items[0].id)) is None
    await store.write(lambda tx: tx.refused.correct(other, again))
    await store.write(lambda tx: tx.refused.correct(agency, IntakeMarks(b"z" * 32, "Ref-1")))
    ended = await store.write(lambda tx: tx.refused.acknowledge(agency, rest.items[0].id))
    assert ended == rest.items[0]
    assert (await store.write(lambda tx: tx.refused.open(agency, None, 5))).total == 0


async def test_the_thousandth_open_alarm_of_an_agency_is_told_once(store: ReferralStore) -> None:
    agency = f"a-{secrets.token_hex(4)}"

    def noted(tx: Any) -> list[int]:
        none = IntakeMarks(None, None)
        return [n for n in range(1, 1_003) if tx.refused.note(agency, "code", AT, none)]

    assert await store.write(noted) == [1_000]


async def test_what_was_sent_is_listed_by_change_and_found_by_reference(
    store: ReferralStore,
) -> None:
    agency, reference = f"a-{secrets.token_hex(4)}", f"Inc {secrets.token_hex(4)}"
    who = granted(agency)
    made = [
        await sent(store, {**URGENT, "externalReference": reference}, agency),
        await sent(store, {**FULL, "externalReference": reference}, agency),
        await sent(store, FULL, agency),
    ]
    expected = sorted(one.referral.referral_id for one in made)

    async def page(asked: Wanted, by: Any = who) -> SentPage:
        return await store.write(lambda tx: tx.sent.page(by, asked))

    every = await page(Wanted(10))
    assert [item.referral_id for item in every.items] == expected, "taken in at the same moment"
    assert not every.more
    assert every.items[0].external_reference == reference
    found = await page(Wanted(10, external_reference=f" {reference.upper()}"))
    assert [item.referral_id for item in found.items] == expected[:2]
    one = await page(Wanted(1))
    place = (one.items[0].changed_at, one.items[0].referral_id)
    rest = await page(Wanted(2, after=place))
    assert ([item.referral_id for item in rest.items], rest.more) == (expected[1:], False)
    assert (one.more, every.items[1]) == (True, rest.items[0])
    for nothing in (Wanted(10), Wanted(10, external_reference=reference)):
        assert await page(nothing, granted(f"b-{secrets.token_hex(4)}")) == SentPage((), more=False)
    later = Wanted(10, changed_since=every.items[0].changed_at + timedelta(seconds=1))
    assert await page(later) == SentPage((), more=False)

    case = made[2].case
    at = every.items[0].changed_at + timedelta(hours=1)
    marked = case.mark(Marking(marking_id=uuid7(), kind="must_not_disclose"), at)

    def mark(tx: Any) -> None:
        tx.cases.replace(tx.cases.authorised(who, case.outline.case_id), case, marked)

    await store.write(mark)
    moved = await page(later)
    assert [(i.referral_id, i.version, i.changed_at) for i in moved.items] == [
        (made[2].referral.referral_id, 2, at)
    ]
