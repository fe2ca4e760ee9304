"""Visits and summaries on a real database: nothing readable at rest, no row in another's place."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from common.access import Granted
from common.database import Database, ensure_schema
from common.testing import ManualClock
from portal.depends import guard
from portal.shell.model import Draft, PendingSignIn
from portal.shell.repository import SqlSessions
from portal.tables import METADATA
from portal.work.model.delivery import Known
from portal.work.repository import SqlDeliverySummaries
from tests.support.portal_harness import signed_in

KNOWN = Known("NM-7F3K-9QXA-2C4T", urgent=True)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of the portal."""
    made = Database(f"sqlite:///{tmp_path}/portal.db", clock=ManualClock(), name="portal")
    await made.start()
    await ensure_schema(made, METADATA)
    yield made
    await made.stop()


def granted_to(clock: ManualClock, agency: str) -> Granted:
    """What somebody of that agency may read."""
    session = signed_in(clock, agency=agency)
    return guard.permit("read_deliveries", session.principal, at=clock.now())


def as_idva(clock: ManualClock) -> Granted:
    """What an advocate may read."""
    return granted_to(clock, "northmoor-idva")


def at_rest(folder: Path) -> bytes:
    """Every byte of the database's files, journal included."""
    return b"".join(
        path.read_bytes() for path in folder.iterdir() if path.name.startswith("portal.db")
    )


async def test_nothing_of_a_visit_is_readable_at_rest(database: Database, tmp_path: Path) -> None:
    clock, sessions, summaries = (
        ManualClock(),
        SqlSessions(database, b"k" * 32),
        SqlDeliverySummaries(database, b"s" * 32),
    )
    await sessions.put("the-cookie", signed_in(clock))
    await sessions.begin(
        "another-cookie",
        PendingSignIn(
            "the-state",
            "the-verifier",
            {"d": "the-private-key"},
            clock.now(),
            Draft("p-1", "/emergency", {"a": "what-was-written"}),
        ),
    )
    await summaries.remember(as_idva(clock), "delivery-1", KNOWN, clock.now())
    found = await sessions.find("the-cookie", clock.now())
    assert found is not None
    assert found.person.name == "Amina Yusuf"
    stored = at_rest(tmp_path)
    for secret in (
        b"the-cookie",
        b"another-cookie",
        b"Amina",
        b"refresh",
        b"the-state",
        b"the-verifier",
        b"the-private-key",
        b"what-was-written",
        b"NM-7F3K",
        b"delivery-1",
        b"csrf-of-this",
    ):
        assert secret not in stored


async def test_a_row_in_anothers_place_opens_nothing(database: Database) -> None:
    clock, sessions, summaries = (
        ManualClock(),
        SqlSessions(database, b"k" * 32),
        SqlDeliverySummaries(database, b"s" * 32),
    )
    await sessions.put("mine", signed_in(clock))
    await sessions.put("theirs", replace(signed_in(clock), csrf="other"))
    await summaries.remember(as_idva(clock), "1", KNOWN, clock.now())
    await summaries.remember(as_idva(clock), "2", KNOWN, clock.now())
    for table in ("visit", "opened_delivery"):
        copy = text(
            f"UPDATE {table} SET sealed = "  # noqa: S608 - two fixed names
            f"(SELECT sealed FROM {table} b WHERE b.id <> {table}.id) "
            f"WHERE id = (SELECT min(id) FROM {table})"
        )
        await database.write(lambda unit, copy=copy: unit.connection.execute(copy).rowcount)  # type: ignore[misc]
    visits = [await sessions.find(cookie, clock.now()) for cookie in ("mine", "theirs")]
    assert visits.count(None) == 1, "the copied row opens nothing, the other one still does"
    assert len(await summaries.known(as_idva(clock), ["1", "2"])) == 1


async def test_what_was_asked_is_kept_sealed_and_never_brings_an_ended_visit_back(
    database: Database, tmp_path: Path
) -> None:
    clock, sessions = ManualClock(), SqlSessions(database, b"k" * 32)
    begun = signed_in(clock)
    await sessions.put("the-cookie", begun)
    await sessions.amend(
        "the-cookie",
        replace(
            begun, asked={"caseReference": "NM-7F3K-9QXA-2C4T"}, released={"d": "NM-2222-2222-2222"}
        ),
    )
    found = await sessions.find("the-cookie", clock.now())
    assert found is not None
    assert (found.asked, found.released) == (
        {"caseReference": "NM-7F3K-9QXA-2C4T"},
        {"d": "NM-2222-2222-2222"},
    )
    assert b"7F3K" not in at_rest(tmp_path)
    await sessions.end("the-cookie")
    await sessions.amend("the-cookie", found)
    assert await sessions.find("the-cookie", clock.now()) is None


async def test_a_summary_from_before_says_none_by_an_empty_text(database: Database) -> None:
    clock, summaries = ManualClock(), SqlDeliverySummaries(database, b"s" * 32)
    older = replace(
        KNOWN, case_reference="", accept_by="", case_mark="", newer_id="", newer_at="", opened=False
    )
    await summaries.remember(as_idva(clock), "d", older, clock.now())
    known = await summaries.known(as_idva(clock), ["d"])
    assert known == {"d": Known(None, urgent=True, opened=False)}
