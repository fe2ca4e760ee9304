"""The agencies' inboxes keep the same promises in memory, on SQLite and on PostgreSQL."""

from typing import Final

import pytest

from hubformats.ids import uuid7
from sharing.cases.model import Reason
from sharing.content.model.projection import Kind
from sharing.disclosures.model.disclosure import Disclosure, Hold
from sharing.disclosures.model.evidence import Prepared, package
from sharing.disclosures.ports import InboxWriter
from sharing.inbox.ports import Inbox, InboxViews
from sharing.inbox.repository import SqlInbox, SqlInboxViews
from sharing.wiring import SqlTx
from tests.support.port_suites import Held
from tests.support.sharing_inbox_fake import FakeInbox
from tests.support.sharing_ports import HOUR, HOUSING, IDVA, Ports, case_of
from tests.support.snapshots import marking

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTS: Final = (
    Held(Inbox, (SqlInbox,), FakeInbox),
    Held(InboxViews, (SqlInboxViews,), FakeInbox),
    Held(InboxWriter, (SqlInbox,), FakeInbox),
)


async def test_an_inbox_shows_its_own_agency_what_may_be_seen(ports: Ports) -> None:
    waiting = (await ports.take(case_of(markings=(marking("legal_hold", agency=HOUSING),))))[IDVA]
    now = ports.clock.now()
    await ports.change(waiting, waiting.prove(now).release(now, "kid"))
    own = ports.context.own_work()
    reader = ports.granted(IDVA, "disclosure.read")
    before = await ports.store.write(lambda tx: tx.inbox.behind(reader, 0, 1_000, now))
    place = before[-1].delivery.position if before else 0

    def send(tx: SqlTx) -> list[str]:
        found = tx.disclosures.authorised(own, waiting.id, Reason.RELEASE)
        assert found is not None
        made = package(Prepared(waiting, tx.disclosures.evidence(found)))
        return [
            tx.inbox.send(waiting, made, kind="disclosure", not_before=at)
            for at in (None, now + HOUR)
        ]

    first, second = await ports.store.write(send)
    assert first != second
    shown = await ports.store.write(lambda tx: tx.inbox.behind(reader, place, 10, now))
    assert [(each.delivery.digest, each.standing) for each in shown] == [(first, "delivered")]
    last = shown[-1].delivery.position
    seen = await ports.store.read(
        lambda view: (
            view.inbox.waiting(IDVA, place, 10, now),
            view.inbox.waiting(IDVA, last, 10, now),
            view.inbox.waiting(IDVA, last, 10, now + HOUR),
            view.inbox.case_of(IDVA, waiting.id),
            view.inbox.case_of(HOUSING, waiting.id),
        )
    )
    case_id = waiting.case_id
    assert seen == (frozenset({case_id}), None, frozenset({case_id}), case_id, None)
    given = await ports.store.write(lambda tx: tx.inbox.given_to(reader, waiting.id))
    assert given is not None
    assert [each.delivery.digest for each in given.shown] == [first, second]
    other = ports.granted(HOUSING, "disclosure.read")
    assert await ports.store.write(lambda tx: tx.inbox.given_to(other, waiting.id)) is None
    assert await ports.store.write(lambda tx: tx.inbox.envelopes(other, waiting.id)) == ()


async def test_nothing_is_sent_to_an_agency_without_a_key(ports: Ports) -> None:
    made = await ports.take(case_of())
    waiting, own = made["northmoor-victim-support"], ports.context.own_work()
    key = ports.parties.opening.pop(waiting.recipient)

    def send(tx: SqlTx) -> str:
        found = tx.disclosures.authorised(own, waiting.id, Reason.RELEASE)
        assert found is not None
        sealed = package(Prepared(waiting, tx.disclosures.evidence(found)))
        return tx.inbox.send(waiting, sealed, kind="disclosure", not_before=None)

    with pytest.raises(LookupError):
        await ports.store.write(send)
    ports.parties.opening[waiting.recipient] = key


async def test_withdrawals_are_listed_alone_and_need_no_question(ports: Ports) -> None:
    """No veto stands against one, so that it is shown also while nobody can be asked."""
    now, own = ports.clock.now(), ports.context.own_work()
    reader = ports.granted(IDVA, "disclosure.read")
    before = await ports.store.write(lambda tx: tx.inbox.behind(reader, 0, 1_000, now))
    place = before[-1].delivery.position if before else 0
    kinds: tuple[Kind, ...] = ("disclosure", "withdrawal")
    told, taken_back = [(await ports.take(case_of()))[IDVA] for _ in kinds]
    for made, kind in zip((told, taken_back), kinds, strict=True):
        await ports.change(made, made.prove(now).release(now, "kid"))

        def send(tx: SqlTx, made: Disclosure = made, kind: Kind = kind) -> str:
            found = tx.disclosures.authorised(own, made.id, Reason.RELEASE)
            assert found is not None
            sealed = package(Prepared(made, tx.disclosures.evidence(found)))
            return tx.inbox.send(made, sealed, kind=kind, not_before=None)

        await ports.store.write(send)
    alone = await ports.store.write(lambda tx: tx.inbox.behind(reader, place, 1, now, "withdrawal"))
    assert [each.delivery.delivery_id for each in alone] == [taken_back.id]
    seen = await ports.store.read(
        lambda view: (
            view.inbox.waiting(IDVA, place, 1, now, "withdrawal"),
            view.inbox.waiting(HOUSING, place, 1, now, "withdrawal"),
            view.inbox.case_of(IDVA, told.id),
            view.inbox.case_of(IDVA, taken_back.id),
        )
    )
    assert seen == (frozenset({taken_back.case_id}), None, told.case_id, None)


async def test_what_was_taken_back_is_in_no_list_and_can_still_be_signed_for(ports: Ports) -> None:
    made = await ports.take(case_of())
    waiting, now = made[IDVA], ports.clock.now()
    sent = waiting.prove(now).release(now, "kid")
    await ports.change(waiting, sent)
    own, reader = ports.context.own_work(), ports.granted(IDVA, "disclosure.read")

    def send(tx: SqlTx) -> str:
        found = tx.disclosures.authorised(own, waiting.id, Reason.RELEASE)
        assert found is not None
        sealed = package(Prepared(waiting, tx.disclosures.evidence(found)))
        return tx.inbox.send(waiting, sealed, kind="disclosure", not_before=None)

    await ports.store.write(send)
    (place,) = [
        each.delivery.position
        for each in await ports.store.write(lambda tx: tx.inbox.envelopes(reader, waiting.id))
    ]
    await ports.change(sent, sent.withdraw(now, Hold.VETO))
    seen = await ports.store.read(
        lambda view: (
            view.inbox.waiting(IDVA, place - 1, 10, now),
            view.inbox.case_of(IDVA, waiting.id),
        )
    )
    assert seen == (None, None)
    listed = await ports.store.write(
        lambda tx: (
            tx.inbox.behind(reader, place - 1, 10, now),
            tx.inbox.envelopes(reader, waiting.id),
        )
    )
    assert listed == ((), ())
    given = await ports.store.write(lambda tx: tx.inbox.given_to(reader, waiting.id))
    assert given is not None, "a receipt signed before still counts"


async def send(ports: Ports, waiting: Disclosure) -> None:
    """Seal its package, to wait for its topic."""
    own = ports.context.own_work()

    def work(tx: SqlTx) -> str:
        found = tx.disclosures.authorised(own, waiting.id, Reason.RELEASE)
        assert found is not None
        sealed = package(Prepared(waiting, tx.disclosures.evidence(found)))
        return tx.inbox.send(waiting, sealed, kind="disclosure", not_before=None)

    await ports.store.write(work)


async def test_what_waits_for_its_topic_is_known_by_its_event_and_stopped_there(
    ports: Ports,
) -> None:
    made = case_of(markings=(marking("legal_hold", agency=HOUSING),))
    waiting, now = (await ports.take(made))[IDVA], ports.clock.now()
    sent = waiting.prove(now).release(now, "kid")
    await ports.change(waiting, sent)
    reader = ports.granted(IDVA, "disclosure.read")

    await send(ports, waiting)
    (given,) = await ports.store.write(lambda tx: tx.inbox.envelopes(reader, waiting.id))
    event = given.delivery.event_id
    (found,) = await ports.store.write(lambda tx: tx.inbox.under_way([event, uuid7()]))
    assert (found.event_id, found.recipient) == (event, IDVA)
    assert found.shown == given
    assert event not in await ports.behind.stopped()
    gone = sent.withdraw(now, Hold.VETO)
    await ports.change(sent, gone)
    await ports.store.write(lambda tx: tx.inbox.stop(gone))
    assert event in await ports.behind.stopped()
    (found,) = await ports.store.write(lambda tx: tx.inbox.under_way([event]))
    assert found.shown is None, "nothing of what was taken back may leave"


async def test_a_stop_that_nobody_can_be_sent_keeps_the_package_all_the_same(ports: Ports) -> None:
    waiting, now = (await ports.take(case_of()))[IDVA], ports.clock.now()
    sent = waiting.prove(now).release(now, "kid")
    await ports.change(waiting, sent)
    reader = ports.granted(IDVA, "disclosure.read")

    await send(ports, waiting)
    (given,) = await ports.store.write(lambda tx: tx.inbox.envelopes(reader, waiting.id))
    key = ports.parties.opening.pop(IDVA)
    await ports.store.write(lambda tx: tx.inbox.stop(sent))
    ports.parties.opening[IDVA] = key
    assert given.delivery.event_id in await ports.behind.stopped()
