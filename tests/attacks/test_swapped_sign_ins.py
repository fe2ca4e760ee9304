"""Whoever may write identity's database, and may sign in or not, becomes nobody else by it: the
rows of codes and token families are as identity wrote them, or they count for nothing."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, insert, select, update

from identity.oauth.model import digest
from identity.tables import CODE, FAMILY
from tests.support.identity_stage import Party, Stage, claims_of, identity_stage
from tests.support.modes import Mode

pytestmark = pytest.mark.both_modes

VERIFIER = "v" * 50
SWAPS: Mapping[str, Any] = {
    "subject": "auditor",
    "agency": "northmoor-police",
    "scope": "case.read audit.read agency.manage",
    "acr": "urn:hub:acr:stronger",
    "auth_time": 2_000_000_000,
    "client_id": "another",
    "redirect_uri": "https://hub.example.org/elsewhere",
    "code_challenge": "c" * 43,
    "jkt": "j" * 43,
    "resource": "https://hub.example.org/audit",
    "grant_id": "g" * 43,
    "id": "i" * 43,
}
"""A column that says who signed in, how, for what or with which key; and another value."""
KEPT = {
    "digest": "the secret itself finds the row",
    "refresh_digest": "the secret itself finds the row",
    "expires_at": "sealed; a later one is tried below",
    "used": "a code opens nothing without the key of the client that asked for it",
    "revoked": "named in the threat model: a token state can be invented",
    "row_seal": "the seal",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture
async def stage(folder: Path, tmp_path: Path, mode: Mode) -> AsyncIterator[Stage]:
    async with identity_stage(folder, mode.url(tmp_path / "identity.db")) as made:
        yield made


@pytest.fixture
def portal(stage: Stage) -> Party:
    return stage.portal()


async def swap(stage: Stage, table: Table, **values: Any) -> None:
    """Write into the database behind the service's back."""
    if "subject" in values:
        values["subject"] = stage.person(values["subject"])
    await stage.store.database.write(
        lambda unit: unit.connection.execute(update(table).values(**values))
    )


async def refreshed(stage: Stage, portal: Party, token: str) -> Any:
    """Ask for the next access token of a family."""
    return await stage.token(portal, grant_type="refresh_token", refresh_token=token)


def of(table: Table) -> list[str]:
    """The columns that are tried one by one."""
    return [column.name for column in table.c if column.name in SWAPS]


def test_every_column_is_judged() -> None:
    for table in (CODE, FAMILY):
        assert {column.name for column in table.c} <= SWAPS.keys() | KEPT.keys()


@pytest.mark.parametrize("column", of(CODE))
async def test_a_swapped_code_gives_nothing(stage: Stage, portal: Party, column: str) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    await swap(stage, CODE, **{column: SWAPS[column]})
    answer = await stage.redeem(portal, code, VERIFIER)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert stage.sent.entries[-1].operation == "denied"


@pytest.mark.parametrize("column", of(FAMILY))
async def test_a_swapped_family_gives_nothing(stage: Stage, portal: Party, column: str) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    first = (await stage.redeem(portal, code, VERIFIER)).json()
    assert claims_of(first["access_token"])["sub"] == stage.person("idva")
    await swap(stage, FAMILY, **{column: SWAPS[column]})
    answer = await refreshed(stage, portal, first["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert stage.sent.entries[-1].operation == "denied"


async def test_a_code_made_in_the_database_is_none(
    stage: Stage, portal: Party, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.code(portal, VERIFIER, stage.person("idva"))
    kept = select(CODE)
    row = await stage.store.database.read(lambda found: found.execute(kept).mappings().one())
    made = {**row, "digest": digest("known"), "subject": stage.person("auditor")}
    await stage.store.database.write(lambda unit: unit.connection.execute(insert(CODE), made))
    answer = await stage.redeem(portal, "known", VERIFIER)
    assert answer.json()["error"] == "invalid_grant"
    assert "row-altered" in {getattr(record, "alarm", "") for record in caplog.records}


async def test_a_family_does_not_outlive_its_shift(stage: Stage, portal: Party) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    first = (await stage.redeem(portal, code, VERIFIER)).json()
    later = stage.clock.now().replace(year=2099)
    await swap(stage, FAMILY, expires_at=later)
    answer = await refreshed(stage, portal, first["refresh_token"])
    assert answer.json()["error"] == "invalid_grant"


async def test_a_row_from_before_the_seals_counts_no_more(stage: Stage, portal: Party) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    first = (await stage.redeem(portal, code, VERIFIER)).json()
    await swap(stage, FAMILY, row_seal=None)
    answer = await refreshed(stage, portal, first["refresh_token"])
    assert answer.json()["error"] == "invalid_grant"
