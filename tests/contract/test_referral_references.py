"""References stored before all were indexed: the fake and the real adapter index the same, batch by
batch, and leave an erased case's alone."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import TypeAdapter
from sqlalchemy import update

from common.attempts import Attempt
from deploy.stack.postgres import PostgresServer
from referral.intake import use_cases
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from referral.sent import repository
from referral.sent.model import IndexedBatch, Wanted
from referral.sent.ports import References
from referral.sent.repository import SqlReferences
from referral.tables import ReferralRow, table_of
from referral.wiring import ReferralStore
from tests.support.port_suites import Held
from tests.support.referral_fakes import CONTEXT, RULES, FakeReferences, FakeStore, granted
from tests.support.referral_forms import urgent
from tests.support.referral_harness import ReferralHarness, referral_harness

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTS: Final = (Held(References, (SqlReferences,), FakeReferences),)
READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)
REFERRAL: Final = table_of(ReferralRow)
BATCH: Final = 2


@dataclass
class Older:
    """The port, and how referrals come to have no index, or to be erased."""

    references: References
    store: ReferralStore
    forget_index: Callable[[UUID], Awaitable[object]]
    erase: Callable[[UUID], Awaitable[object]]

    async def sent(self, reference: str) -> tuple[UUID, UUID]:
        """An urgent referral without an index; its own id and its case's."""
        read = READ.validate_python(urgent(externalReference=reference))
        attempt = Attempt(secrets.token_bytes(32), b"r")
        made = await self.store.write(
            lambda tx: use_cases.submit_referral(tx, granted(), read, attempt, CONTEXT, RULES)
        )
        await self.forget_index(made.referral.referral_id)
        return made.referral.referral_id, made.case.outline.case_id

    async def found(self, reference: str) -> list[UUID]:
        """What its sender finds under a reference."""
        wanted = Wanted(50, external_reference=reference)
        page = await self.store.write(lambda tx: tx.sent.page(granted(), wanted))
        return [item.referral_id for item in page.items]

    async def every_batch(self) -> list[IndexedBatch]:
        """Index until nothing is left to look at."""
        made = [await self.references.index_some(None)]
        while made[-1].last is not None:
            made.append(await self.references.index_some(made[-1].last))
        return made


def _in_memory() -> Older:
    store = FakeStore()

    async def forget_index(referral_id: UUID) -> None:
        store.held.not_indexed.add(referral_id)

    async def erase(case_id: UUID) -> None:
        store.erase(case_id)

    references = FakeReferences(store, BATCH)
    return Older(references, cast(ReferralStore, store), forget_index, erase)


def _on_database(harness: ReferralHarness) -> Older:
    database, repositories = harness.frame.database, harness.store._deps.repositories

    async def forget_index(referral_id: UUID) -> None:
        without = update(REFERRAL).where(REFERRAL.c.id == referral_id).values(reference_bi=None)
        await database.write(lambda unit: unit.connection.execute(without))

    async def erase(case_id: UUID) -> None:
        keys = repositories.subject_keys
        await database.write(lambda unit: keys.destroy(unit.connection, case_id))

    references = SqlReferences(database, repositories.subject_keys, repositories.index_key)
    return Older(references, harness.store, forget_index, erase)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["fake", "sqlite", "postgresql"]
)
async def older(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Older]:
    """The port of one kind."""
    if request.param == "fake":
        yield _in_memory()
        return
    url = None
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    folder: Path = tmp_path_factory.mktemp("referral")
    async with referral_harness(folder, url) as harness:
        yield _on_database(harness)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "BATCH", BATCH)


async def test_every_one_is_indexed_in_bounded_batches_and_once(older: Older) -> None:
    reference = f"Inc {secrets.token_hex(4)}"
    made = [(await older.sent(reference))[0] for _ in range(5)]
    assert await older.found(reference) == []
    batches = await older.every_batch()
    assert max(batch.indexed for batch in batches) == BATCH
    assert sum(batch.indexed for batch in batches) == 5
    assert await older.found(reference.upper()) == sorted(made)
    again = await older.references.index_some(None)
    assert (again.indexed, again.unread) == (0, 0)


async def test_an_erased_cases_stays_without(older: Older) -> None:
    reference = f"Inc {secrets.token_hex(4)}"
    _, gone = await older.sent(reference)
    here, _ = await older.sent(reference)
    await older.erase(gone)
    assert sum(batch.indexed for batch in await older.every_batch()) == 1
    assert await older.found(reference) == [here]


async def test_indexing_goes_on_behind_a_place(older: Older) -> None:
    reference = f"Inc {secrets.token_hex(4)}"
    first, second = sorted([(await older.sent(reference))[0] for _ in range(2)])
    behind = await older.references.index_some(first)
    assert behind.last == second
    assert await older.found(reference) == [second]
