"""A veto that comes while a package waits for the broker: the package never reaches its topic."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio

from common import topics
from common.bus import BusUnavailable, Outgoing
from hubformats.envelope import peek
from hubformats.keys import StaticKeys
from hubformats.package_proof import PackageRefused
from hubpartner.delivery import Delivery, open_stop
from sharing.inbox.use_cases.leaving import LATE
from tests.attacks.test_taken_back import (
    CARE,
    IDVA,
    POLICE,
    SUPPORT,
    consuming,
    forbid,
    frame,
    listed,
)
from tests.support.modes import Mode, StackMode
from tests.support.road import Road, example, road, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]


PATIENCE_S = 60.0
"""A broker that starts anew is slow, and so are its clients to find it."""


class Broker:
    """The bus, which falls silent the moment that a package would be put on a topic.

    Kafka's broker is killed then, and starts again. The embedded bus takes nothing but identity's
    heartbeats: without them every door shuts after a minute, which a slow machine needs for less.
    """

    def __init__(self, hub: Road, mode: Mode) -> None:
        self._real = mode.broker if isinstance(mode, StackMode) else None
        bus = frame(hub, "sharing").bus if self._real else hub.bus
        self._publish = bus.publish
        self.fails = self.down = False
        bus.publish = self.publish  # type: ignore[method-assign]

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Take them, or be unavailable."""
        if any(one.topic.startswith("hub.disclosure.") for one in messages):
            if self.fails and not self.down and self._real:
                await asyncio.to_thread(self._real.kill)
            self.down = self.down or self.fails
        if self.down and not self._real and any(one.topic != topics.IDENTITY for one in messages):
            raise BusUnavailable("down")
        await self._publish(messages)

    async def back(self) -> None:
        """Take messages again."""
        down, self.fails, self.down = self.down, False, False
        if down and self._real:
            await asyncio.to_thread(self._real.start)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Road]:
    """One hub for the whole module."""
    async with road(tmp_path_factory.mktemp("outage"), mode=mode) as made:
        for service in ("sharing", "referral"):
            frame(made, service).outbox.relay.longest_pause = 0.2
        yield made


@pytest.fixture(scope="module")
def broker(hub: Road, mode: Mode) -> Broker:
    """Its bus."""
    return Broker(hub, mode)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def whole_again(hub: Road, broker: Broker) -> AsyncIterator[None]:
    """Whatever a test has stopped runs again for the next one, though it failed."""
    yield
    await broker.back()
    await hub.services["referral"].resume()
    consuming(hub, on=True)


async def on_topic(hub: Road, agency: str, before: int) -> list[str]:
    """What came on an agency's topic, as the agency opens it; all numbers are there."""
    mine, found = hub.partner(agency).profile, []
    records = await hub.bus.read(topics.disclosure(agency))
    for record in records[before:]:
        with suppress(PackageRefused):
            stop = open_stop(
                record.value, me=agency, opening=mine.opening, keys=StaticKeys(mine.hub)
            )
            found.append(f"stop {stop.delivery_id}")
            continue
        found.append(hub.open(agency, record.value).package.kind)
    assert sorted(peek(one.value).seq for one in records) == list(range(1, len(records) + 1))
    return found


async def sealed_during_an_outage(
    hub: Road, broker: Broker, reference: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """A referral whose packages are sealed and wait for the broker; the delivery of each agency."""
    starts = {one: (await hub.partner(one).inbox(limit=100)).cursor for one in (IDVA, CARE)}
    broker.fails = True
    referral = await hub.refer(example("referral-full", externalReference=reference))
    found: dict[str, str] = {}

    async def sealed() -> bool:
        for agency, start in starts.items():
            for one in await listed(hub, agency, start):
                found[agency] = one
        return broker.down and len(found) == len(starts)

    await until(sealed, PATIENCE_S)
    return referral, found


async def records(hub: Road, *agencies: str) -> dict[str, int]:
    """How much is on each topic."""
    return {one: len(await hub.bus.read(topics.disclosure(one))) for one in agencies}


@pytest.mark.parametrize("hears_first", [True, False], ids=["sharing-first", "relay-first"])
async def test_a_veto_during_an_outage_keeps_the_package_from_its_topic(
    hub: Road, broker: Broker, *, hears_first: bool
) -> None:
    """Whether sharing hears of the veto before its relay sends, or only long afterwards."""
    before = await records(hub, IDVA, CARE)
    referral, given = await sealed_during_an_outage(hub, broker, f"NP-2026-outage-{hears_first}")
    await forbid(hub, referral, IDVA)
    await asyncio.sleep(LATE.total_seconds() + 0.1)
    if not hears_first:
        consuming(hub, on=False)
    await broker.back()

    async def others_went() -> bool:
        return (await on_topic(hub, CARE, before[CARE]))[:1] == ["disclosure"]

    await until(others_went, PATIENCE_S)
    if not hears_first:
        await asyncio.sleep(1.5)  # long enough to be asked about again
        assert await on_topic(hub, IDVA, before[IDVA]) == []
        consuming(hub, on=True)

    async def told() -> bool:
        return len(await on_topic(hub, IDVA, before[IDVA])) == 2

    await until(told, PATIENCE_S)
    assert await on_topic(hub, IDVA, before[IDVA]) == [f"stop {given[IDVA]}", "withdrawal"]

    async def sent_elsewhere() -> bool:
        return await on_topic(hub, CARE, before[CARE]) == ["disclosure", "correction"]

    # Social care was told to go through the advocate, who will not hear of this case
    await until(sent_elsewhere, PATIENCE_S)


async def test_without_an_answer_nothing_that_waited_leaves_and_then_it_does(
    hub: Road, broker: Broker
) -> None:
    before = await records(hub, IDVA, CARE)
    await sealed_during_an_outage(hub, broker, "NP-2026-outage-2")
    await hub.services["referral"].pause()
    # Long enough that the relay has used up any answer that it got before the pause
    await asyncio.sleep(LATE.total_seconds() + 0.1)
    await broker.back()
    await asyncio.sleep(1.5)
    assert await records(hub, IDVA, CARE) == before
    await hub.services["referral"].resume()

    async def went() -> bool:
        return [await on_topic(hub, one, before[one]) for one in before] == [["disclosure"]] * 2

    await until(went, PATIENCE_S)


async def test_what_the_decision_lets_stand_leaves_under_its_number(
    hub: Road, broker: Broker
) -> None:
    before = await records(hub, IDVA)
    referral, given = await sealed_during_an_outage(hub, broker, "NP-2026-outage-3")
    await forbid(hub, referral, IDVA, "child_school")
    await asyncio.sleep(LATE.total_seconds() + 0.1)
    await broker.back()

    async def went() -> bool:
        return await on_topic(hub, IDVA, before[IDVA]) == ["disclosure"]

    await until(went, PATIENCE_S)
    last: Delivery = hub.open(IDVA, (await hub.bus.read(topics.disclosure(IDVA)))[-1].value)
    assert last.delivery_id == given[IDVA]
    read = await hub.partner(POLICE).read_referral(referral["referralId"])
    assert {one["recipient"]: one["state"] for one in read["outcomes"]}[SUPPORT] == "released"
