"""Sharing's ports keep the same promises in memory, on SQLite and on PostgreSQL."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest

from hubformats.ids import uuid7
from sharing.cases.model import ALLOWED, NotAllowed, Opens, Reason, Relation, authorised_case
from sharing.cases.ports import Cases, CaseViews
from sharing.cases.repository import SqlCases, SqlCaseViews
from sharing.context import ContentGone
from sharing.decisions.ports import DecisionTx, DecisionView
from sharing.decisions.use_cases.deciding import take_snapshot
from sharing.disclosures.model.answers import Answer
from sharing.disclosures.model.disclosure import (
    Hold,
    Moved,
    Standing,
    State,
    authorised_disclosure,
)
from sharing.disclosures.ports import Disclosures, DisclosureViews, ReleaseTx, ReleaseView
from sharing.disclosures.repository.disclosures import SqlDisclosures
from sharing.disclosures.repository.views import SqlDisclosureViews
from sharing.inbox.ports import InboxTx, InboxView
from sharing.wiring import SqlTx, SqlView
from tests.support.port_suites import Held
from tests.support.sharing_fakes import FakeCases, FakeDisclosures, FakeTx
from tests.support.sharing_ports import HOUR, HOUSING, IDVA, POLICE, Ports, case_of
from tests.support.snapshots import VICTIM, marking, snapshot, urgent

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTS: Final = (
    Held(Cases, (SqlCases,), FakeCases),
    Held(CaseViews, (SqlCaseViews,), FakeCases),
    Held(Disclosures, (SqlDisclosures,), FakeDisclosures),
    Held(DisclosureViews, (SqlDisclosureViews,), FakeDisclosures),
    *(Held(tx, (SqlTx,), FakeTx) for tx in (DecisionTx, ReleaseTx, InboxTx)),
    *(Held(view, (SqlView,), FakeTx) for view in (DecisionView, ReleaseView, InboxView)),
)


# a grant alone opens nothing


async def test_a_case_opens_for_its_referrer_and_for_own_work_alone(ports: Ports) -> None:
    made = case_of()
    await ports.take(made)
    own = ports.context.own_work()
    name = ports.context.reference(POLICE, made.case_id)

    def lookups(tx: SqlTx) -> list[Any]:
        return [
            tx.cases.authorised(own, made.case_id, Reason.DECIDE_AGAIN),
            tx.cases.authorised_by_reference(ports.granted(POLICE), name),
            tx.cases.authorised(ports.granted(POLICE), made.case_id, Reason.DECIDE_AGAIN),
            tx.cases.authorised_by_reference(ports.granted(IDVA), name),
            tx.cases.authorised_by_reference(ports.granted(HOUSING), name),
        ]

    first, second, *others = await ports.store.write(lookups)
    assert (first.relation, first.reason) == (Relation.OWN_WORK, Reason.DECIDE_AGAIN)
    assert (second.relation, second.reason) == (Relation.REFERRER, None)
    assert others == [None, None, None]
    opened = await ports.store.write(
        lambda tx: (tx.cases.snapshot(first), tx.cases.snapshot(second))
    )
    assert opened == (made, made)


async def test_a_third_partys_reporter_has_no_relation(ports: Ports) -> None:
    made = case_of(source="third_party")
    waiting = (await ports.take(made))[IDVA]
    name, police = ports.context.reference(POLICE, made.case_id), ports.granted(POLICE)

    def lookups(tx: SqlTx) -> tuple[Any, ...]:
        return (
            tx.cases.authorised_by_reference(police, name),
            tx.disclosures.authorised(police, waiting.id),
            tx.disclosures.unproven(police, 10, waiting.id),
        )

    assert await ports.store.write(lookups) == (None, None, ())


async def test_evidence_opens_for_own_work_and_the_referrer_alone(ports: Ports) -> None:
    waiting = (await ports.take(case_of()))[IDVA]
    own = ports.context.own_work()

    def lookups(tx: SqlTx) -> list[Any]:
        found = tx.disclosures.authorised
        return [
            found(own, waiting.id, Reason.RELEASE),
            found(ports.granted(POLICE), waiting.id),
            found(ports.granted(POLICE), waiting.id, Reason.RELEASE),
            found(ports.granted(IDVA), waiting.id),
            found(ports.granted(HOUSING), waiting.id),
            found(own, UUID(int=7), Reason.RELEASE),
        ]

    first, second, *others = await ports.store.write(lookups)
    assert (first.relation, second.relation) == (Relation.OWN_WORK, Relation.REFERRER)
    assert others == [None] * 4
    one, two = await ports.store.write(
        lambda tx: (tx.disclosures.evidence(first), tx.disclosures.evidence(second))
    )
    assert one == two
    assert b"Quillfeather" in one.content


@pytest.mark.parametrize("relation", Relation)
@pytest.mark.parametrize("reason", [None, *Reason])
async def test_a_proof_opens_what_its_relation_and_reason_open_and_nothing_else(
    ports: Ports, relation: Relation, reason: Reason | None
) -> None:
    made = case_of()
    waiting = (await ports.take(made))[IDVA]
    may = ALLOWED.get((relation, reason), frozenset())

    def tried(tx: SqlTx) -> set[Opens]:
        found = tx.cases.find(made.case_id)
        assert found is not None
        case = authorised_case(found, relation, reason)
        disclosure = authorised_disclosure(waiting, relation, reason)
        ways: dict[Opens, Callable[[], object]] = {
            Opens.SNAPSHOT: lambda: tx.cases.snapshot(case),
            Opens.EVIDENCE: lambda: tx.disclosures.evidence(disclosure),
        }
        opened = set()
        for part, way in ways.items():
            with suppress(NotAllowed):
                way()
                opened.add(part)
        return opened

    assert await ports.store.write(tried) == may - {Opens.ENVELOPE}


async def test_what_was_erased_opens_for_nobody(ports: Ports) -> None:
    made = case_of()
    waiting = (await ports.take(made))[IDVA]
    own = ports.context.own_work()

    def proofs(tx: SqlTx) -> tuple[Any, Any]:
        return (
            tx.cases.authorised(own, made.case_id, Reason.DECIDE_AGAIN),
            tx.disclosures.authorised(own, waiting.id, Reason.RELEASE),
        )

    case, disclosure = await ports.store.write(proofs)
    await ports.store.write(lambda tx: tx.cases.forget(made.case_id, VICTIM))
    with pytest.raises(ContentGone):
        await ports.store.write(lambda tx: tx.cases.snapshot(case))
    with pytest.raises(ContentGone):
        await ports.store.write(lambda tx: tx.disclosures.evidence(disclosure))


# cases


async def test_a_veto_keeps_the_version_it_was_first_decided_with(ports: Ports) -> None:
    case_id, veto = uuid7(), marking("must_not_disclose", 9)
    await ports.take(snapshot(case_id=case_id, markings=(veto,)))
    other = marking("conflict", 8)
    await ports.take(snapshot(case_id=case_id, version=2, markings=(veto, other)))
    found = await ports.store.write(lambda tx: tx.cases.hold(case_id))
    assert found is not None
    assert (found.version, found.referrer) == (2, POLICE)
    assert found.markings == {veto.marking_id: 1, other.marking_id: 2}


async def test_who_was_skipped_keeps_its_time_and_is_found(ports: Ports) -> None:
    case_id = uuid7()
    await ports.take(snapshot(case_id=case_id))
    agency = f"agency-{secrets.token_hex(4)}"

    async def keep(*agencies: str) -> None:
        await ports.store.write(lambda tx: tx.cases.keep_skipped_suspended(case_id, agencies))

    first = ports.clock.now()
    await keep(agency)
    ports.clock.advance(60)
    await keep(agency, "another")
    assert await ports.store.write(lambda tx: tx.cases.skipped_suspended(case_id)) == {
        agency,
        "another",
    }
    shown = await ports.store.read(lambda view: view.cases.withheld_while_suspended())
    assert (agency, 1, first) in {(each.recipient, each.count, each.oldest) for each in shown}
    find = ports.store.read
    assert await find(lambda view: view.cases.that_skipped({agency}, None, 5)) == (case_id,)
    assert await find(lambda view: view.cases.that_skipped({agency}, case_id, 5)) == ()
    await keep()
    assert await find(lambda view: view.cases.that_skipped({agency}, None, 5)) == ()


# disclosures


async def test_one_is_found_by_its_id_its_record_and_its_case(ports: Ports) -> None:
    made = case_of()
    waiting = (await ports.take(made))[IDVA]
    assert (waiting.state, waiting.standing, waiting.reason, waiting.sealed_to) == (
        State.AWAITING_RECEIPT,
        None,
        None,
        None,
    )
    found = await ports.store.write(
        lambda tx: (tx.disclosures.get(waiting.id), tx.disclosures.by_record(waiting.record_id))
    )
    assert found == (waiting, waiting)
    assert await ports.store.write(lambda tx: tx.disclosures.get(UUID(int=7))) is None


async def test_replace_refuses_what_another_changed_first(ports: Ports) -> None:
    waiting = (await ports.take(case_of()))[IDVA]
    now = ports.clock.now()
    proven = waiting.prove(now)
    await ports.change(waiting, proven)
    with pytest.raises(Moved):
        await ports.change(waiting, waiting.block(Hold.VETO))
    later = proven.postpone(Hold.NO_ANSWER, now)
    await ports.change(proven, later)
    with pytest.raises(Moved):
        await ports.change(proven, proven.supersede())
    assert await ports.store.write(lambda tx: tx.disclosures.get(waiting.id)) == later
    await ports.change(later, later.supersede())
    other = (await ports.take(case_of()))[IDVA]
    with pytest.raises(ValueError, match="same"):
        await ports.change(waiting, other)


CHANGED: Final[dict[str, Any]] = {
    "state": State.SUPERSEDED,
    "standing": Standing.PROVEN,
    "reason": Hold.VETO,
    "attempts": 5,
    "next_at": datetime(2026, 1, 1, tzinfo=UTC),
    "proven_at": datetime(2026, 1, 1, tzinfo=UTC),
    "released_at": datetime(2026, 1, 1, tzinfo=UTC),
    "saved_at": datetime(2026, 1, 1, tzinfo=UTC),
    "acknowledged_at": datetime(2026, 1, 1, tzinfo=UTC),
    "proof_due": datetime(2026, 1, 1, tzinfo=UTC),
    "sealed_to": "another",
    "opened_at": datetime(2026, 1, 1, tzinfo=UTC),
    "withdrawn_at": datetime(2026, 1, 1, tzinfo=UTC),
    "answer_due": datetime(2026, 1, 1, tzinfo=UTC),
    "answered_at": datetime(2026, 1, 1, tzinfo=UTC),
    "answer": Answer.KEPT,
    "duty": "court_order",
    "unanswered_at": datetime(2026, 1, 1, tzinfo=UTC),
}


async def test_replace_compares_every_field_that_changes(ports: Ports) -> None:
    first = (await ports.take(case_of()))[IDVA]
    fixed = "id decision_id case_id snapshot_version recipient kind clause record_id commitment"
    names = {each.name for each in fields(first)}
    assert names - set(CHANGED) == {*fixed.split(), "fingerprint", "decided_at"}
    for name, value in CHANGED.items():
        read = (await ports.take(case_of()))[IDVA]
        meanwhile = replace(read, **{name: value})
        await ports.change(read, meanwhile)
        with pytest.raises(Moved):
            await ports.change(read, replace(read, attempts=9))
        assert await ports.get(read.id) == meanwhile
        await ports.change(meanwhile, replace(meanwhile, attempts=9))


async def test_only_a_record_that_the_log_knows_is_promised_again(ports: Ports) -> None:
    waiting = (await ports.take(case_of()))[IDVA]
    due = ports.clock.now() + HOUR
    known = replace(waiting, proof_due=due)
    unknown = replace(known, record_id=uuid7())
    first, second, third = await ports.store.write(
        lambda tx: tuple(tx.disclosures.promised(one) for one in (known, unknown, waiting))
    )
    assert first is not None
    assert (first.due, second, third) == (due, None, None)


async def test_the_first_proof_stays(ports: Ports) -> None:
    waiting = (await ports.take(case_of()))[IDVA]
    own = ports.context.own_work()

    def work(tx: SqlTx) -> Any:
        tx.disclosures.keep_proof(waiting.id, b"leaf", 1, "proof")
        tx.disclosures.keep_proof(waiting.id, b"other", 2, "other")
        found = tx.disclosures.authorised(own, waiting.id, Reason.RELEASE)
        assert found is not None
        return tx.disclosures.evidence(found)

    evidence = await ports.store.write(work)
    assert (evidence.leaf, evidence.proof) == (b"leaf", "proof")


async def test_what_has_no_proof_is_listed_the_urgent_first(ports: Ports) -> None:
    calm = (await ports.take(case_of()))[IDVA]
    ports.clock.advance(1)
    danger = (await ports.take(urgent(case_id=uuid7())))[IDVA]
    now = ports.clock.now()
    left = (await ports.take(urgent(case_id=uuid7())))[IDVA]
    await ports.change(left, left.promise(now, now + HOUR, "kid"))
    listed = await ports.store.write(
        lambda tx: tx.disclosures.unproven(ports.granted(POLICE), 1_000)
    )
    places = {each.disclosure.id: place for place, each in enumerate(listed)}
    assert places[danger.id] < places[calm.id] < places[left.id]
    one = await ports.store.write(
        lambda tx: tx.disclosures.unproven(ports.granted(POLICE), 10, calm.id)
    )
    assert [(each.disclosure.id, each.urgent) for each in one] == [(calm.id, False)]
    assert (
        await ports.store.write(lambda tx: tx.disclosures.unproven(ports.granted(IDVA), 10)) == ()
    )


async def test_the_worker_finds_what_is_due_promised_or_sealed_to_an_old_key(ports: Ports) -> None:
    made = await ports.take(case_of())
    now: datetime = ports.clock.now()
    ready, sent = made[IDVA], made["northmoor-social-care"]
    await ports.change(ready, ready.prove(now))
    promised = sent.promise(now, now + HOUR, "old")
    await ports.change(sent, promised)
    await ports.store.write(lambda tx: tx.disclosures.keep_proof(sent.id, b"leaf", 1, "proof"))

    def look(view: Any) -> tuple[set[UUID], ...]:
        shown, late = view.disclosures, now + HOUR + HOUR
        keys = {"northmoor-social-care": "new"}
        return (
            {each.delivery_id for each in shown.due(now, 1_000)},
            {each.delivery_id for each in shown.promised_with_proof(None, 1_000)},
            set(shown.promises_due(late, None, 1_000)),
            {each.delivery_id for each in shown.sealed_to_old_keys(keys, None, 1_000)},
        )

    due, kept, late, old = await ports.store.read(look)
    assert ready.id in due
    assert sent.id not in due
    assert sent.id in kept & late & old
    assert await ports.store.read(lambda view: view.disclosures.next_due()) == now
    await ports.change(promised, promised.keep_promise("new"))
    due, kept, late, old = await ports.store.read(look)
    assert sent.id not in kept | late | old


async def test_what_is_blocked_is_counted_and_found_by_id_and_reason(ports: Ports) -> None:
    made = case_of()
    waiting = (await ports.take(made))[IDVA]
    await ports.change(waiting, waiting.block(Hold.PROOF_WRONG))
    stuck = await ports.store.read(lambda view: view.disclosures.stuck())
    assert (State.BLOCKED, Hold.PROOF_WRONG, 1) in {(s.state, s.reason, s.count) for s in stuck}
    found = await ports.store.read(
        lambda view: (
            view.disclosures.blocked((waiting.id,), "", 5),
            view.disclosures.blocked((), "proof-wrong", 5),
        )
    )
    assert found == ((made.case_id,), (made.case_id,))


# transactions


async def test_an_exception_leaves_nothing_behind(ports: Ports) -> None:
    made = case_of()

    def work(tx: SqlTx) -> None:
        take_snapshot(tx, ports.context, made)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await ports.store.write(work)
    found = await ports.store.write(
        lambda tx: (tx.cases.find(made.case_id), tx.disclosures.of_case(made.case_id))
    )
    assert found == (None, ())


async def test_standing_is_stored_and_read(ports: Ports) -> None:
    waiting = (await ports.take(case_of()))[IDVA]
    now = ports.clock.now()
    sent = waiting.prove(now).release(now, "kid").save(now)
    await ports.change(waiting, sent)
    found = await ports.store.write(lambda tx: tx.disclosures.get(waiting.id))
    assert found == sent
    assert found.standing is Standing.PROVEN


async def test_an_answer_that_is_late_is_found_until_it_is_said_and_counted(ports: Ports) -> None:
    waiting = (await ports.take(case_of()))[IDVA]
    now: datetime = ports.clock.now()
    left = waiting.promise(now, now + HOUR, "kid")
    await ports.change(waiting, left)
    owed = replace(left, answer_due=now + HOUR)
    await ports.change(left, owed)
    late = now + HOUR + HOUR

    def look(at: datetime) -> Callable[[Any], tuple[bool, int]]:
        return lambda view: (
            owed.id in view.disclosures.unanswered(at, None, 1_000),
            view.disclosures.overdue_answers(at),
        )

    listed, before = await ports.store.read(look(now))
    assert not listed
    assert await ports.store.read(look(late)) == (True, before + 1)
    said = owed.mark_unanswered(late)
    await ports.change(owed, said)
    assert await ports.store.read(look(late)) == (False, before + 1), "told once, and still late"
    await ports.change(said, replace(said, answered_at=late))
    assert await ports.store.read(look(late)) == (False, before)
