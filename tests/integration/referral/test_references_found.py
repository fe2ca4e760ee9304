"""References stored before all of them were indexed are found after the next start."""

import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import TypeAdapter
from sqlalchemy import select, update

from common.attempts import Attempt
from common.database import Unit
from deploy.stack.postgres import PostgresServer
from referral.intake import use_cases
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from referral.intake.use_cases import Intake
from referral.sent import repository
from referral.sent.model import Wanted
from referral.sent.worker import ReferenceIndex
from referral.tables import ReferralRow, table_of
from tests.support.referral_fakes import CONTEXT, RULES, granted
from tests.support.referral_forms import full, urgent
from tests.support.referral_harness import ReferralHarness, referral_harness

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFERRAL = table_of(ReferralRow)
READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def harness(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ReferralHarness]:
    """One service for the whole module."""
    url = None
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    folder: Path = tmp_path_factory.mktemp("referral")
    async with referral_harness(folder, url) as made:
        yield made


async def sent(harness: ReferralHarness, form: dict[str, Any]) -> Intake:
    """A referral taken in."""
    attempt, read = Attempt(secrets.token_bytes(32), b"r"), READ.validate_python(form)
    return await harness.store.write(
        lambda tx: use_cases.submit_referral(tx, granted(), read, attempt, CONTEXT, RULES)
    )


async def found(harness: ReferralHarness, reference: str) -> list[UUID]:
    """What its sender finds."""
    page = await harness.store.write(
        lambda tx: tx.sent.page(granted(), Wanted(50, external_reference=reference))
    )
    return [item.referral_id for item in page.items]


async def stored_before(harness: ReferralHarness, reference: str) -> list[UUID]:
    """An urgent, its completing and a second urgent referral as migration 0005 leaves older ones:
    their reference sealed and not indexed.
    """
    first = await sent(harness, urgent(externalReference=reference))
    completes = str(first.referral.referral_id)
    made = [
        first,
        await sent(harness, full(externalReference=reference, completes=completes)),
        await sent(harness, urgent(externalReference=reference)),
    ]
    ids = [one.referral.referral_id for one in made]
    older = update(REFERRAL).where(REFERRAL.c.id.in_(ids)).values(reference_bi=None)
    await harness.frame.database.write(lambda unit: unit.connection.execute(older))
    assert await found(harness, reference) == []
    return ids


def part(harness: ReferralHarness) -> ReferenceIndex:
    """The part as wiring builds it."""
    return next(one for one in harness.service._parts if isinstance(one, ReferenceIndex))


async def test_older_references_are_found_after_a_start(
    harness: ReferralHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(repository, "BATCH", 2)
    reference = f"Inc {secrets.token_hex(6)}"
    ids = await stored_before(harness, reference)
    with caplog.at_level(logging.INFO):
        await part(harness).start()
    assert sorted(await found(harness, reference)) == sorted(ids)
    assert "older references indexed" in caplog.text
    assert reference not in str([vars(record) for record in caplog.records])


async def test_a_second_start_writes_nothing(harness: ReferralHarness) -> None:
    await part(harness).start()
    before = harness.frame.database.groups
    await part(harness).start()
    assert harness.frame.database.groups == before


async def test_an_erased_case_and_a_field_that_does_not_open_stay_without(
    harness: ReferralHarness, caplog: pytest.LogCaptureFixture
) -> None:
    reference = f"Inc {secrets.token_hex(6)}"
    erased, _completing, changed = await stored_before(harness, reference)
    keys = harness.store._deps.repositories.subject_keys

    def spoil(unit: Unit) -> None:
        conn = unit.connection
        case = select(REFERRAL.c.case_id).where(REFERRAL.c.id == erased)
        keys.destroy(conn, conn.execute(case).scalar_one())
        other = update(REFERRAL).where(REFERRAL.c.id == changed)
        conn.execute(other.values(external_ct=b"\1" * 60))

    await harness.frame.database.write(spoil)
    await part(harness).start()
    assert await found(harness, reference) == []
    indexed = select(REFERRAL.c.id).where(
        REFERRAL.c.id.in_([erased, changed]), REFERRAL.c.reference_bi.is_not(None)
    )
    rows = await harness.frame.database.read(lambda conn: conn.execute(indexed).all())
    assert rows == []
    assert "do not open" in caplog.text
