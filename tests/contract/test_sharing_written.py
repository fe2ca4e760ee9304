"""What sharing's transactions keep and let go, in memory, on SQLite and on PostgreSQL: decisions,
records, events, confirmed messages, held cases, and the log's promises."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from common.audit_trail import AuditTrail
from common.events.sharing import SnapshotDecided
from hubformats.audit_record import AuditEntry
from hubformats.ids import uuid7
from sharing.cases.model import Reason
from sharing.cases.ports import Cases
from sharing.cases.repository import SqlCases
from sharing.content.model.reader import SnapshotReader
from sharing.context import SERVICE_ACTOR, ContentGone, Store, Writing
from sharing.decisions.ports import Decisions
from sharing.decisions.repository import SqlDecisions
from sharing.decisions.use_cases.run import decide
from sharing.disclosures.model.disclosure import Hold, State
from sharing.disclosures.model.evidence import Prepared, package
from sharing.disclosures.ports import Disclosures, DisclosureViews, Promises
from sharing.disclosures.repository.disclosures import SqlDisclosures
from sharing.disclosures.repository.views import SqlDisclosureViews
from sharing.inbox.ports import Inbox
from sharing.inbox.repository import SqlInbox
from sharing.wiring import SharingStore, SqlTx
from tests.support.port_suites import Held
from tests.support.sharing_decision_fakes import FakeDecisions
from tests.support.sharing_fakes import (
    FakeCases,
    FakeDisclosures,
    FakeStore,
    FakeTx,
)
from tests.support.sharing_inbox_fake import FakeInbox
from tests.support.sharing_outside_fakes import FakePromises
from tests.support.sharing_ports import HOUSING, IDVA, POLICE, Ports, case_of
from tests.support.snapshots import VICTIM

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTS: Final = (
    Held(Cases, (SqlCases,), FakeCases),
    Held(Disclosures, (SqlDisclosures,), FakeDisclosures),
    Held(DisclosureViews, (SqlDisclosureViews,), FakeDisclosures),
    Held(Inbox, (SqlInbox,), FakeInbox),
    Held(Writing, (SqlTx,), FakeTx),
    Held(Store, (SharingStore,), FakeStore),
    Held(Decisions, (SqlDecisions,), FakeDecisions),
    Held(Promises, (AuditTrail,), FakePromises),
)


async def test_one_version_may_be_decided_on_again(ports: Ports) -> None:
    made = case_of()
    await ports.take(made)
    assert await ports.behind.decisions(made.case_id, 1) == 1
    again = decide(ports.context, SnapshotReader(made), ()).decision

    def add(tx: SqlTx) -> None:
        tx.decisions.add(uuid7(), made, again)
        tx.decisions.add(uuid7(), made, again)

    await ports.store.write(add)
    assert await ports.behind.decisions(made.case_id, 1) == 3


async def test_nothing_is_decided_on_a_case_without_a_key(ports: Ports) -> None:
    made = case_of()
    await ports.take(made)
    decision = decide(ports.context, SnapshotReader(made), ()).decision
    await ports.store.write(lambda tx: tx.cases.forget(made.case_id, VICTIM))
    with pytest.raises(ContentGone):
        await ports.store.write(lambda tx: tx.decisions.add(uuid7(), made, decision))
    assert await ports.behind.decisions(made.case_id, 1) == 1


async def test_a_case_is_held_while_a_message_about_it_is_set_aside(ports: Ports) -> None:
    made, other = case_of(), case_of()
    for each in (made, other):
        await ports.take(each)
    assert not await ports.store.write(lambda tx: tx.cases.held(made.case_id))
    await ports.behind.set_aside(made.case_id)
    found = await ports.store.write(
        lambda tx: (tx.cases.held(made.case_id), tx.cases.held(other.case_id))
    )
    assert found == (True, False)


async def test_a_newer_snapshot_takes_the_older_ones_place(ports: Ports) -> None:
    made = case_of()
    await ports.take(made)
    newer, name = (
        made.model_copy(update={"version": 2}),
        ports.context.reference(POLICE, made.case_id),
    )
    own = ports.context.own_work()

    def keep(tx: SqlTx) -> Any:
        tx.cases.keep(newer, name)
        found = tx.cases.authorised(own, made.case_id, Reason.DECIDE_AGAIN)
        assert found is not None
        return tx.cases.find(made.case_id), tx.cases.snapshot(found)

    found, opened = await ports.store.write(keep)
    assert (found.version, opened) == (2, newer)


async def test_a_reference_names_the_case_to_its_referrer_alone(ports: Ports) -> None:
    made = case_of()
    await ports.take(made)
    name = ports.context.reference(POLICE, made.case_id)
    found = await ports.store.write(
        lambda tx: [
            tx.cases.by_reference(*each)
            for each in ((POLICE, name), (HOUSING, name), (POLICE, "NM-0000-0000-0000"))
        ]
    )
    assert [each and each.case_id for each in found] == [made.case_id, None, None]


async def test_a_promise_that_is_past_its_hour_is_counted(ports: Ports) -> None:
    waiting, now = (await ports.take(case_of()))[IDVA], ports.clock.now()
    due = now + timedelta(hours=1)
    before = [await overdue(ports, at) for at in (due, due + timedelta(seconds=1))]
    await ports.change(waiting, waiting.promise(now, due, "kid"))
    after = [await overdue(ports, at) for at in (due, due + timedelta(seconds=1))]
    assert after == [before[0], before[1] + 1]


async def overdue(ports: Ports, at: datetime) -> int:
    """How many promises were not kept by then."""
    return await ports.store.read(lambda view: view.disclosures.overdue_promises(at))


async def test_what_the_other_end_holds_need_not_be_sent_again(ports: Ports) -> None:
    waiting = (await ports.take(case_of()))[IDVA]
    now = ports.clock.now()
    await ports.change(waiting, waiting.prove(now).release(now, "kid"))
    own, reader = ports.context.own_work(), ports.granted(IDVA, "disclosure.read")

    def send(tx: SqlTx) -> Any:
        found = tx.disclosures.authorised(own, waiting.id, Reason.RELEASE)
        assert found is not None
        made = package(Prepared(waiting, tx.disclosures.evidence(found)))
        for _ in range(2):
            tx.inbox.send(waiting, made, kind="disclosure", not_before=None)
        return tx.inbox.envelopes(reader, waiting.id)

    first, second = [each.delivery.event_id for each in await ports.store.write(send)]
    assert {first, second} <= await ports.behind.unconfirmed()
    await ports.store.write(lambda tx: tx.inbox.confirmed([first]))
    left = await ports.behind.unconfirmed()
    assert (first in left, second in left) == (False, True)
    shown = await ports.store.write(lambda tx: tx.inbox.envelopes(reader, waiting.id))
    assert len(shown) == 2, "the inbox keeps its own"


def _entry(case_id: UUID) -> AuditEntry:
    return AuditEntry(
        operation="key_destroy",
        outcome="done",
        actor=SERVICE_ACTOR,
        case_id=case_id,
        resource_type="case",
    )


async def test_records_and_events_leave_with_the_transaction_or_not_at_all(ports: Ports) -> None:
    case_id, before = uuid7(), await ports.behind.written()
    told = SnapshotDecided(case_id=case_id, snapshot_version=1, decided_at=ports.clock.now())

    def work(tx: SqlTx) -> Any:
        tx.publish(case_id, told)
        return tx.record(_entry(case_id))

    def fails(tx: SqlTx) -> None:
        work(tx)
        raise LookupError("half way")

    with pytest.raises(LookupError):
        await ports.store.write(fails)
    assert await ports.behind.written() == before
    record = await ports.store.write(work)
    assert (len(record.salt), record.record[:1]) == (32, b"{")
    assert await ports.behind.written() == (before[0] + 1, before[1] + 1)


async def test_a_look_sees_what_is_committed(ports: Ports) -> None:
    waiting = (await ports.take(case_of()))[IDVA]
    now = ports.clock.now()
    await ports.store.write(lambda tx: tx.disclosures.replace(waiting, waiting.prove(now)))
    due = await ports.store.read(lambda view: view.disclosures.due(now, 1_000))
    assert waiting.id in {each.delivery_id for each in due}


async def test_the_log_promises_a_committed_record_within_the_hour(ports: Ports) -> None:
    made = await ports.take(case_of())
    first, other = made[IDVA].record_id, made["northmoor-social-care"].record_id
    promise = await ports.promises.promise(first)
    assert promise.due == ports.clock.now() + timedelta(hours=1)
    ports.clock.advance(60)
    again = await ports.promises.promise(first)
    assert again.due == ports.clock.now() + timedelta(hours=1)
    assert (again.src, again.ep, again.seq) == (promise.src, promise.ep, promise.seq)
    assert (await ports.promises.promise(other)).seq != promise.seq


async def test_the_log_promises_nothing_it_refused_or_never_had(ports: Ports) -> None:
    record_id = (await ports.take(case_of()))[IDVA].record_id
    await ports.promises.promise(record_id)
    await ports.behind.refuse(record_id)
    for missing in (record_id, uuid7()):
        with pytest.raises(LookupError):
            await ports.promises.promise(missing)


async def test_cases_and_deliveries_are_named_together(ports: Ports) -> None:
    made, other = case_of(), case_of()
    first, second = (await ports.take(made))[IDVA], (await ports.take(other))[IDVA]
    wanted = {made.case_id, other.case_id, UUID(int=7)}
    cases, deliveries = await ports.store.write(
        lambda tx: (
            tx.cases.named(wanted),
            tx.disclosures.delivered({first.id, second.id, UUID(int=7)}),
        )
    )
    assert cases.keys() == {made.case_id, other.case_id}
    assert cases[made.case_id].referrer == POLICE
    assert deliveries == {first.id: first, second.id: second}


async def test_only_what_is_proven_is_set_aside(ports: Ports) -> None:
    made = await ports.take(case_of())
    now: datetime = ports.clock.now()
    ready, waiting = made[IDVA], made["northmoor-social-care"]
    await ports.change(ready, ready.prove(now))

    def aside(tx: SqlTx) -> None:
        for one in (ready, waiting):
            tx.disclosures.set_aside(one.id)

    await ports.store.write(aside)
    due = await ports.store.read(lambda view: view.disclosures.due(now, 1_000))
    assert ready.id not in {each.delivery_id for each in due}
    stuck = await ports.store.read(lambda view: view.disclosures.stuck())
    assert (State.BLOCKED, Hold.ALTERED) in {(each.state, each.reason) for each in stuck}
    assert (State.AWAITING_RECEIPT, None) in {(each.state, each.reason) for each in stuck}
