"""What waits to be decided on keeps the same promises in memory, on SQLite and on PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest

from common.events.case import CaseSnapshot
from sharing.cases.model import AuthorisedCase, NotAllowed
from sharing.content.model.reader import SnapshotReader
from sharing.context import ContentGone
from sharing.decisions.model import Undecided
from sharing.decisions.ports import UndecidedSnapshots, UndecidedViews
from sharing.decisions.repository import SqlUndecided, SqlUndecidedViews
from sharing.decisions.use_cases.deciding import forget_subject
from sharing.decisions.use_cases.waiting import decide_in_turn
from sharing.wiring import SqlTx
from tests.support.port_suites import Held
from tests.support.sharing_decision_fakes import FakeUndecided
from tests.support.sharing_ports import HOUSING, POLICE, Ports, case_of, ports
from tests.support.snapshots import VICTIM

__all__ = ["ports"]

PORTS: Final = (
    Held(UndecidedSnapshots, (SqlUndecided,), FakeUndecided),
    Held(UndecidedViews, (SqlUndecidedViews,), FakeUndecided),
)
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def add(ports: Ports, snapshot: CaseSnapshot) -> bool:
    """Have it wait."""
    return await ports.store.write(lambda tx: tx.undecided.add(snapshot))


async def heads(ports: Ports, *, urgent: bool = False) -> tuple[Undecided, ...]:
    """The first of each sender."""
    now = ports.clock.now()
    return await ports.store.read(lambda view: view.undecided.heads(now, urgent=urgent))


async def done(ports: Ports, snapshot: CaseSnapshot) -> bool:
    """Take it out."""
    place = snapshot.case_id, snapshot.version
    return await ports.store.write(lambda tx: tx.undecided.done(*place))


def sent(sender: str = POLICE, case_id: UUID | None = None, **changes: object) -> CaseSnapshot:
    """A snapshot of a sender."""
    made = case_of(referrer_agency=sender, **changes)
    return made if case_id is None else made.model_copy(update={"case_id": case_id})


async def test_one_of_each_sender_is_first_and_each_version_waits_once(ports: Ports) -> None:
    assert not await ports.store.write(lambda tx: tx.undecided.waits())
    first, second, other = sent(), sent(), sent(HOUSING)
    later = sent(case_id=first.case_id, version=2)
    for each in (first, later, second, other):
        assert await add(ports, each)
    assert not await add(ports, first)
    assert await ports.store.write(lambda tx: tx.undecided.waits())
    found = await heads(ports)
    assert [(one.case_id, one.version, one.sender) for one in found] == [
        (first.case_id, 1, POLICE),
        (other.case_id, 1, HOUSING),
    ]
    assert await done(ports, first)
    assert not await done(ports, first)
    for each in (later, second, other):
        assert (each.case_id, each.version) in {(o.case_id, o.version) for o in await heads(ports)}
        assert await done(ports, each)
    assert not await heads(ports)


async def test_an_urgent_version_makes_what_waits_of_its_case_urgent(ports: Ports) -> None:
    first = sent()
    urgent = sent(case_id=first.case_id, version=2, urgent=True)
    await add(ports, first)
    assert not await heads(ports, urgent=True)
    await add(ports, urgent)
    for each in (first, urgent):
        (one,) = await heads(ports, urgent=True)
        assert (one.version, one.urgent) == (each.version, True)
        assert not await heads(ports)
        await done(ports, each)
    await add(ports, later := sent(case_id=first.case_id, version=3))
    assert [one.version for one in await heads(ports)] == [3]
    await done(ports, later)


async def test_only_the_service_itself_opens_one_and_as_it_was_kept(ports: Ports) -> None:
    made = sent()
    await add(ports, made)
    (one,) = await heads(ports)

    async def authorised(who: object, one: Undecided = one) -> AuthorisedCase | None:
        return await ports.store.write(lambda tx: tx.undecided.authorised(who, one))  # type: ignore[arg-type]

    assert await authorised(ports.granted(POLICE)) is None
    own = ports.context.own_work()
    assert await authorised(own, replace(one, version=2)) is None
    proof = await authorised(own)
    assert proof is not None
    assert await ports.store.write(lambda tx: tx.undecided.snapshot(proof)) == made
    await ports.take(again := case_of())
    referrers = await ports.store.write(
        lambda tx: tx.cases.authorised_by_reference(
            ports.granted(POLICE), ports.context.reference(POLICE, again.case_id)
        )
    )
    assert referrers is not None
    with pytest.raises((ContentGone, NotAllowed)):
        await ports.store.write(lambda tx: tx.undecided.snapshot(referrers))
    await done(ports, made)
    with pytest.raises(ContentGone):
        await ports.store.write(lambda tx: tx.undecided.snapshot(proof))


async def test_one_that_failed_holds_its_case_and_nobody_else(ports: Ports) -> None:
    failing, behind = sent(), sent()
    later = sent(case_id=failing.case_id, version=2)
    for each in (failing, behind, later):
        await add(ports, each)
    (one,) = await heads(ports)
    until = ports.clock.now() + timedelta(seconds=30)
    await ports.store.write(lambda tx: tx.undecided.postpone(one, until))
    assert [each.case_id for each in await heads(ports)] == [behind.case_id]
    assert await ports.store.write(lambda tx: tx.cases.held(failing.case_id))
    ports.clock.advance(31)
    assert [each.case_id for each in await heads(ports)] == [failing.case_id]
    for each in (failing, behind, later):
        await done(ports, each)
    assert not await ports.store.write(lambda tx: tx.cases.held(failing.case_id))


@pytest.mark.parametrize("known", [True, False])
async def test_erasing_somebody_destroys_what_waits(ports: Ports, known: bool) -> None:
    first = sent()
    if known:
        await ports.take(first)
    for version in (2, 3):
        await add(ports, sent(case_id=first.case_id, version=version))
    _, told = await ports.behind.written()
    case_ids = (first.case_id,)
    await ports.store.write(lambda tx: forget_subject(tx, ports.context, VICTIM, case_ids))
    assert not await heads(ports)
    assert (await ports.behind.written())[1] == told + 1, "referral lets go of what it keeps for us"
    assert await ports.store.write(lambda tx: tx.undecided.forget(first.case_id)) is None
    remains = sent(case_id=first.case_id, version=4)
    assert await add(ports, remains)
    await done(ports, remains)
    assert await ports.take(remains)


async def test_it_is_taken_out_and_decided_on_once_in_one_transaction(ports: Ports) -> None:
    made = sent()
    await add(ports, made)
    (one,) = await heads(ports)

    def decided(tx: SqlTx, *, dies: bool = False) -> bool:
        done = decide_in_turn(tx, ports.context, one, SnapshotReader(made))
        if dies:
            raise ZeroDivisionError
        return done

    with pytest.raises(ZeroDivisionError):
        await ports.store.write(lambda tx: decided(tx, dies=True))
    assert [each.place for each in await heads(ports)] == [one.place]
    assert await ports.store.write(decided)
    assert not await ports.store.write(decided)
    assert await ports.behind.decisions(made.case_id, 1) == 1
