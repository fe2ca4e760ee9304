"""What waits for the audit log is counted alike in memory, on SQLite and on PostgreSQL."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import pytest

from common.access import Granted, Principal, grant
from common.testing import ManualClock
from deploy.stack.postgres import PostgresServer
from hubformats.audit_record import Actor
from hubformats.ids import uuid7
from sharing.agreements.repository import CedarRules, read_bundle
from sharing.agreements.use_cases import Agreements
from sharing.decisions.use_cases.deciding import take_snapshot
from sharing.decisions.use_cases.run import DecisionContext
from sharing.delays.model import Delayed, Delays
from sharing.delays.ports import DelayView, DelayViews
from sharing.delays.repository import SqlDelayViews
from sharing.delays.use_cases import delays_of
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.repository.rules import answer_book
from sharing.wiring import SharingStore, SqlView
from tests.support.port_suites import Held
from tests.support.sharing_fakes import FakeDelays, FakeStore, FakeTx
from tests.support.sharing_harness import Parties, sharing_harness
from tests.support.snapshots import snapshot, urgent

POLICE, IDVA, HOUSING = "northmoor-police", "northmoor-idva", "northmoor-housing"
PORTS: Final = (
    Held(DelayViews, (SqlDelayViews,), FakeDelays),
    Held(DelayView, (SqlView,), FakeTx),
)
NOTHING = Delays(Delayed(), Delayed())


@dataclass
class Ports:
    store: SharingStore
    context: DecisionContext
    clock: ManualClock

    async def take(self, **changes: object) -> dict[str, Disclosure]:
        """Decide on a routine referral, or with `urgent=True` on an urgent one."""
        made = urgent() if changes.pop("urgent", False) else snapshot()
        made = made.model_copy(update={"case_id": uuid7(), **changes})
        await self.store.write(lambda tx: take_snapshot(tx, self.context, made))
        found = await self.store.write(lambda tx: tx.disclosures.of_case(made.case_id))
        return {one.recipient: one for one in found}

    def granted(self, agency: str) -> Granted:
        """A valid grant of an agency's system."""
        scope = "disclosure.read"
        who = Principal("i", agency, agency, "system", agency, scopes=frozenset({scope}))
        return grant(who, scope=scope, operation="operation", at=self.clock.now())

    async def delays(self, agency: str) -> Delays:
        """What the agency is told."""
        return await delays_of(self.store, self.granted(agency), Actor(agency, agency, "system"))


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def ports(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ports]:
    """An empty store of one kind."""
    if request.param == "fake":
        parties, clock = Parties(), ManualClock()
        context = DecisionContext(
            clock=clock,
            issuer="http://identity.example.org",
            reference_secret=b"r" * 32,
            delivery_secret=b"d" * 32,
            directory=parties,
            agreements=Agreements({"northmoor": CedarRules(read_bundle("northmoor"))}),
            answers=answer_book("northmoor"),
        )
        yield Ports(cast(SharingStore, FakeStore(clock, parties)), context, clock)
        return
    url = f"sqlite:///{tmp_path}/hub.db"
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    async with sharing_harness(url, tmp_path) as harness:
        yield Ports(harness.store, harness.deciding, harness.clock)


async def test_each_side_counts_what_waits_and_the_urgent_apart(ports: Ports) -> None:
    assert await ports.delays(POLICE) == NOTHING
    first = ports.clock.now()
    routine = await ports.take()
    ports.clock.advance(5)
    danger = await ports.take(urgent=True)
    assert IDVA in routine.keys() & danger.keys()
    assert (await ports.delays(IDVA)).received == Delayed(1, 1, first)
    sent = (await ports.delays(POLICE)).sent
    assert sent == Delayed(len(danger), len(routine), first)
    assert (await ports.delays(POLICE)).received == Delayed()
    assert await ports.delays(HOUSING) == NOTHING, "others learn nothing, not even that it exists"


async def test_what_left_or_will_not_leave_waits_no_more(ports: Ports) -> None:
    made = (await ports.take(urgent=True))[IDVA]
    proven = made.prove(ports.clock.now())
    await ports.store.write(lambda tx: tx.disclosures.replace(made, proven))
    assert (await ports.delays(IDVA)).received == Delayed()


async def test_who_reported_for_a_third_party_hears_of_nothing_that_waits(ports: Ports) -> None:
    made = await ports.take(source="third_party")
    assert made
    assert (await ports.delays(POLICE)).sent == Delayed()
    assert (await ports.delays(IDVA)).received.total == 1
