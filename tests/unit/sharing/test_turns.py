"""Deciding is fair: one sender's load never delays another's danger by more than its share."""

import asyncio
from uuid import UUID

import pytest

from common.database import Unit
from common.events.case import CaseSnapshot, Fact
from common.inbox import Received, Refused
from sharing.content.model.reader import SnapshotReader
from sharing.decisions.consumers import CaseConsumer
from sharing.decisions.model import Undecided, whose_turn
from sharing.decisions.use_cases.waiting import AT_ONCE, decide_in_turn, read_through
from sharing.decisions.worker import Turns
from sharing.disclosures.model.disclosure import Disclosure
from tests.support.sharing_fakes import FakeStore, FakeTx
from tests.support.sharing_ports import HOUSING, IDVA, POLICE, Ports, case_of, in_memory
from tests.support.snapshots import VICTIM, facts, marking, urgent


def heavy(sender: str = POLICE, **changes: object) -> CaseSnapshot:
    """A form made to be slow: a shielded place, and long texts full of what looks like places."""
    texts = tuple(
        Fact(
            path=f"risk.answers.{number}.note",
            category="risk_answers",
            subject=VICTIM,
            label="Note",
            value="1 a b c road " * 300 + str(number),
        )
        for number in range(7)
    )
    shield = marking("location_shield", subject=VICTIM)
    made = {"facts": (*facts(), *texts), "markings": (shield,), **changes}
    return case_of(referrer_agency=sender, **made)


class Desk:
    """Sharing's deciding on fakes, and what comes to it."""

    def __init__(self) -> None:
        self.ports: Ports = in_memory()
        self.store: FakeStore = self.ports.store  # type: ignore[assignment]
        self.turns = Turns(self.store, self.ports.context)
        self.woken = 0

    def wake(self) -> None:
        """Count."""
        self.woken += 1

    async def come(self, *snapshots: CaseSnapshot) -> None:
        """They arrive in one batch, which is one transaction."""

        def batch(tx: FakeTx) -> Unit:
            unit = Unit(None)  # type: ignore[arg-type]
            consumer = CaseConsumer(self.ports.context, lambda _: tx, self.wake)
            for each in snapshots:
                consumer.snapshot(unit, came(), each)
            return unit

        for call in (await self.store.write(batch)).calls:
            call()

    def decided(self) -> list[tuple[UUID, int]]:
        """Cases and versions in the order in which they were decided on."""
        return [(case_id, version) for _, case_id, version, _ in self.store.kept.decisions]

    async def all_turns(self, *, urgent: bool = False) -> list[tuple[UUID, int]]:
        """Take turns until nothing waits; what was tried, in order."""
        tried = []
        while (one := await self.turns.step(urgent=urgent)) is not None:
            tried.append((one.case_id, one.version))
        return tried


def came(source: str = "svc:referral") -> Received:
    """How an event came."""
    made = object.__new__(Received)
    object.__setattr__(made, "source", source)
    return made


def places(*snapshots: CaseSnapshot) -> list[tuple[UUID, int]]:
    """Their cases and versions."""
    return [(each.case_id, each.version) for each in snapshots]


def test_the_turn_is_the_senders_that_had_none_for_longest() -> None:
    one, two, three = (
        Undecided(UUID(int=n), 1, sender, False, UUID(int=n))
        for n, sender in ((1, POLICE), (2, IDVA), (3, HOUSING))
    )
    assert whose_turn((one, two, three), {}) is one
    assert whose_turn((one, two, three), {POLICE: 1}) is two
    assert whose_turn((one, two, three), {POLICE: 1, IDVA: 2, HOUSING: 3}) is one
    assert whose_turn((one, three), {POLICE: 4, HOUSING: 3}) is three


async def test_senders_take_turns_and_danger_waits_for_no_other_form() -> None:
    desk = Desk()
    floods = [heavy() for _ in range(3)]
    other = case_of(referrer_agency=HOUSING)
    danger = urgent(case_id=case_of().case_id, referrer_agency=IDVA)
    await desk.come(*floods, other, danger)
    assert not desk.decided()
    assert desk.woken == 5
    assert (await desk.turns.step(urgent=False)) is not None
    assert await desk.all_turns(urgent=True) == places(danger)
    assert await desk.all_turns() == places(other, *floods[1:])
    assert desk.decided() == places(floods[0], danger, other, *floods[1:])


async def test_a_flood_of_danger_by_one_sender_leaves_the_others_theirs() -> None:
    desk = Desk()
    flood = [urgent(case_id=case_of().case_id) for _ in range(30)]
    danger = urgent(case_id=case_of().case_id, referrer_agency=IDVA)
    await desk.come(heavy(), *flood, danger)
    tried = await desk.all_turns(urgent=True)
    assert tried[:3] == places(flood[0], danger, flood[1])
    assert sorted(desk.decided()) == sorted(places(*flood, danger))


async def test_what_delays_nobody_is_decided_on_as_it_comes() -> None:
    desk = Desk()
    small = [case_of() for _ in range(12)]
    await desk.come(*small)
    at_once = AT_ONCE // small[0].size()
    assert 1 < at_once < 12
    assert desk.decided() == places(*small[:at_once])
    assert desk.woken == 12 - at_once
    assert await desk.all_turns() == places(*small[at_once:])
    await desk.come(one := case_of())
    assert desk.decided()[-1] == (one.case_id, 1)


async def test_versions_of_a_case_keep_their_order_whatever_is_urgent() -> None:
    desk = Desk()
    first = heavy()
    second = first.model_copy(update={"version": 2, "urgent": True})
    third = case_of().model_copy(update={"case_id": first.case_id, "version": 3})
    await desk.come(heavy(), first, second, third)
    assert await desk.all_turns(urgent=True) == places(first, second)
    assert (await desk.all_turns())[1:] == places(third)
    kept = desk.store.kept.cases[first.case_id]
    assert kept.version == 3


async def test_one_version_that_comes_twice_is_decided_on_once() -> None:
    desk = Desk()
    made = heavy()
    await desk.come(made)
    await desk.come(made)
    assert await desk.all_turns() == places(made)
    await desk.come(made)
    await desk.all_turns()
    assert desk.decided() == places(made)
    assert [each.reason_code for each in desk.store.kept.records].count("older-version") == 2


async def test_what_cannot_be_decided_is_refused_when_it_comes() -> None:
    desk = Desk()
    unknown = Fact(path="x", category="no_such_category", label="x", value="x")
    for wrong in (heavy(area="elsewhere"), heavy(facts=(*heavy().facts, unknown))):
        with pytest.raises(Refused):
            await desk.come(wrong)
    assert not desk.store.kept.undecided


async def test_one_that_fails_is_loud_holds_its_case_and_keeps_nobody_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    failing, other = heavy(), heavy()
    await desk.come(failing, other)
    plain = SnapshotReader.content

    def content(self: SnapshotReader, *given: object, **more: object) -> object:
        if self.snapshot.case_id == failing.case_id:
            raise ZeroDivisionError
        return plain(self, *given, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(SnapshotReader, "content", content)
        assert await desk.all_turns() == places(failing, other)
    assert desk.decided() == places(other)
    assert "deciding-failed" in {record.__dict__.get("alarm") for record in caplog.records}
    assert await desk.store.write(lambda tx: tx.cases.held(failing.case_id))
    assert not await desk.all_turns()
    desk.ports.clock.advance(31)
    assert await desk.all_turns() == places(failing)
    assert not await desk.store.write(lambda tx: tx.cases.held(failing.case_id))


async def test_the_transaction_of_a_slow_form_has_nothing_left_to_mask() -> None:
    desk = Desk()
    made = heavy()
    await desk.come(made)
    now = desk.ports.clock.now()
    (one,) = await desk.store.read(lambda view: view.undecided.heads(now, urgent=False))
    reader = read_through(desk.ports.context, made, lambda: None)
    assert reader.mask is not None
    before = reader.mask.steps
    assert before > 10_000
    context = desk.ports.context
    assert await desk.store.write(lambda tx: decide_in_turn(tx, context, one, reader))
    assert reader.mask.steps == before
    found = {each.recipient: desk.store.kept.evidence[each.id].content for each in _all(desk)}
    other = Desk()
    await other.ports.take(made)
    for each in _all(other):
        assert found.pop(each.recipient) == other.store.kept.evidence[each.id].content
    assert not found


def _all(desk: Desk) -> list[Disclosure]:
    return list(desk.store.kept.disclosures.values())


async def test_it_ends_though_a_snapshot_wakes_it_in_the_same_moment() -> None:
    turns = Desk().turns
    await turns.start()
    await asyncio.sleep(0.01)  # both tasks wait for a wake now
    turns.wake()
    stopping = asyncio.create_task(turns.stop())
    ended, _ = await asyncio.wait({stopping}, timeout=2)
    stopping.cancel()
    assert ended, "a cancellation was lost"
