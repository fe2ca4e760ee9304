"""Sharing's ports of one kind, in memory or on a database, and what a suite may see behind them."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import func, insert, select

from common import topics
from common.access import Granted, Principal, grant
from common.events.audit import AuditRejected
from common.events.case import CaseSnapshot
from common.inbox.tables import QUARANTINE
from common.outbox.tables import OUTBOX
from common.testing import ManualClock
from deploy.stack.postgres import PostgresServer
from hubformats.ids import uuid7
from sharing.agreements.use_cases import Agreements
from sharing.decisions.use_cases.deciding import take_snapshot
from sharing.decisions.use_cases.run import DecisionContext
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.ports import Promises
from sharing.disclosures.repository.rules import answer_book
from sharing.tables import DELIVERY, DecisionRow, table_of
from sharing.wiring import SharingStore
from tests.support.sharing_fakes import FakeStore
from tests.support.sharing_harness import Parties, SharingHarness, sharing_harness
from tests.support.sharing_kept import Kept
from tests.support.sharing_outside_fakes import FakePromises, FakeRules, northmoor
from tests.support.snapshots import snapshot

POLICE, IDVA, HOUSING = "northmoor-police", "northmoor-idva", "northmoor-housing"
HOUR = timedelta(hours=1)


class Behind(Protocol):
    """What a suite looks at, or brings about, behind the ports."""

    async def set_aside(self, case_id: UUID) -> None:
        """Have an authentic message about this case wait in quarantine."""
        ...

    async def decisions(self, case_id: UUID, version: int) -> int:
        """Count the decisions on a version."""
        ...

    async def unconfirmed(self) -> set[UUID]:
        """The messages to agencies whose bytes are still kept to be sent again."""
        ...

    async def stopped(self) -> set[UUID]:
        """The packages that are in inboxes and never leave for their topics."""
        ...

    async def refuse(self, record_id: UUID) -> None:
        """Have the log refuse a record."""
        ...

    async def written(self) -> tuple[int, int]:
        """Count the audit records, and what referral was told."""
        ...


@dataclass
class Ports:
    """The ports of one kind."""

    store: SharingStore
    context: DecisionContext
    parties: Parties
    clock: ManualClock
    promises: Promises
    behind: Behind

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


class InMemory:
    """Fulfils `Behind` for the fakes."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    @property
    def _kept(self) -> Kept:
        return self._store.kept

    async def set_aside(self, case_id: UUID) -> None:
        self._kept.held.add(case_id)

    async def decisions(self, case_id: UUID, version: int) -> int:
        return [made[1:3] for made in self._kept.decisions].count((case_id, version))

    async def unconfirmed(self) -> set[UUID]:
        sent = {each.event_id for one in self._kept.inbox.values() for each in one}
        return sent - set(self._kept.confirmed)

    async def stopped(self) -> set[UUID]:
        return set(self._kept.stopped)

    async def refuse(self, record_id: UUID) -> None:
        self._kept.refused.add(record_id)

    async def written(self) -> tuple[int, int]:
        return len(self._kept.records), len(self._kept.told)


class OnDatabase:
    """Fulfils `Behind` for the built service."""

    def __init__(self, harness: SharingHarness) -> None:
        self._harness = harness

    async def set_aside(self, case_id: UUID) -> None:
        row = {
            "consumer": "sharing.case",
            "digest": secrets.token_hex(21),
            "topic": topics.CASE,
            "key": str(case_id).encode(),
            "reason": "category-unknown",
            "authentic": True,
            "source": "svc:referral",
            "stream": "s",
            "event_id": uuid7(),
            "outbox_id": uuid7(),
            "at": self._harness.clock.now(),
        }
        await self._harness.database.write(
            lambda unit: unit.connection.execute(insert(QUARANTINE), row)
        )

    async def decisions(self, case_id: UUID, version: int) -> int:
        table = table_of(DecisionRow)
        return await self._count(
            select(func.count()).where(
                table.c.case_id == case_id, table.c.snapshot_version == version
            )
        )

    async def unconfirmed(self) -> set[UUID]:
        wanted = select(OUTBOX.c.id).where(
            OUTBOX.c.body.is_not(None), OUTBOX.c.topic.startswith("hub.disclosure.")
        )
        return await self._harness.database.read(
            lambda connection: set(connection.execute(wanted).scalars())
        )

    async def stopped(self) -> set[UUID]:
        waiting = select(OUTBOX.c.id).where(OUTBOX.c.body.is_not(None))
        here = select(DELIVERY.c.event_id).where(DELIVERY.c.event_id.not_in(waiting))
        return await self._harness.database.read(
            lambda connection: set(connection.execute(here).scalars())
        )

    async def refuse(self, record_id: UUID) -> None:
        harness = self._harness
        row = await harness._pending(record_id)
        refused = AuditRejected(
            src=row.src, epoch=row.epoch, seq=row.seq, code="record-malformed", index=7
        )
        await harness.database.write(lambda unit: harness.trail.reject(unit, refused))

    async def written(self) -> tuple[int, int]:
        told = select(func.count()).where(OUTBOX.c.topic == topics.SHARING)
        return len(await self._harness.records()), await self._count(told)

    async def _count(self, query: Any) -> int:
        return await self._harness.database.read(
            lambda connection: int(connection.execute(query).scalar_one())
        )


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["fake", "sqlite", "postgresql"]
)
async def ports(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ports]:
    """The ports of one kind."""
    folder: Path = tmp_path_factory.mktemp("sharing")
    if request.param == "fake":
        yield in_memory()
        return
    url = f"sqlite:///{folder}/hub.db"
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    async with sharing_harness(url, folder) as harness:
        yield Ports(
            harness.store,
            harness.deciding,
            harness.parties,
            harness.clock,
            harness.trail,
            OnDatabase(harness),
        )


def in_memory() -> Ports:
    """The ports on fakes."""
    parties, clock = Parties(), ManualClock()
    context = DecisionContext(
        clock=clock,
        issuer="http://identity.example.org",
        reference_secret=b"r" * 32,
        delivery_secret=b"d" * 32,
        directory=parties,
        agreements=Agreements({"northmoor": FakeRules(northmoor())}),
        answers=answer_book("northmoor"),
    )
    store = FakeStore(clock, parties)
    promises = FakePromises(store, clock)
    return Ports(cast(SharingStore, store), context, parties, clock, promises, InMemory(store))


def case_of(**changes: Any) -> CaseSnapshot:
    """A case of its own, because the store is shared by all tests."""
    return snapshot(case_id=uuid7(), **changes)
