"""Sharing's stores of three kinds, for the contract suites of its ports."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
import pytest_asyncio

from common.access import Granted, Principal, grant
from common.events.case import CaseSnapshot
from common.testing import ManualClock
from deploy.stack.postgres import PostgresServer
from hubformats.ids import uuid7
from sharing.agreements.repository import CedarRules, read_bundle
from sharing.agreements.use_cases import Agreements
from sharing.decisions.use_cases.deciding import take_snapshot
from sharing.decisions.use_cases.run import DecisionContext
from sharing.disclosures.model.disclosure import (
    Disclosure,
)
from sharing.wiring import SharingStore
from tests.support.sharing_fakes import FakeStore
from tests.support.sharing_harness import Parties, sharing_harness
from tests.support.snapshots import snapshot

POLICE, IDVA, HOUSING = "northmoor-police", "northmoor-idva", "northmoor-housing"
HOUR = timedelta(hours=1)


@dataclass
class Ports:
    store: SharingStore
    context: DecisionContext
    parties: Parties
    clock: ManualClock

    async def take(self, snapshot: CaseSnapshot) -> dict[str, Disclosure]:
        """Decide on a snapshot; its version's disclosures by recipient."""
        await self.store.write(lambda tx: take_snapshot(tx, self.context, snapshot))
        found = await self.store.write(lambda tx: tx.disclosures.of_case(snapshot.case_id))
        return {one.recipient: one for one in found if one.snapshot_version == snapshot.version}

    def granted(self, agency: str, scope: str = "sharing.request") -> Granted:
        """A valid grant of an agency's system."""
        who = Principal("i", agency, agency, "system", agency, scopes=frozenset({scope}))
        return grant(who, scope=scope, operation="consultation", at=self.clock.now())

    async def get(self, delivery_id: UUID) -> Disclosure | None:
        """One as it stands."""
        return await self.store.write(lambda tx: tx.disclosures.get(delivery_id))

    async def change(self, old: Disclosure, new: Disclosure) -> None:
        """Replace one."""
        await self.store.write(lambda tx: tx.disclosures.replace(old, new))


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["fake", "sqlite", "postgresql"]
)
async def ports(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ports]:
    """The ports of one kind."""
    folder: Path = tmp_path_factory.mktemp("sharing")
    if request.param == "fake":
        parties, clock = Parties(), ManualClock()
        context = DecisionContext(
            clock=clock,
            issuer="http://identity.example.org",
            reference_secret=b"r" * 32,
            delivery_secret=b"d" * 32,
            directory=parties,
            agreements=Agreements({"northmoor": CedarRules(read_bundle("northmoor"))}),
        )
        store = cast(SharingStore, FakeStore(clock, parties))
        yield Ports(store, context, parties, clock)
        return
    url = f"sqlite:///{folder}/hub.db"
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    async with sharing_harness(url, folder) as harness:
        yield Ports(harness.store, harness.deciding, harness.parties, harness.clock)


def case_of(**changes: Any) -> CaseSnapshot:
    """A case of its own, because the store is shared by all tests."""
    return snapshot(case_id=uuid7(), **changes)
