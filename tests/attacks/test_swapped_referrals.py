"""Whoever may write referral's database, and has the login of any agency, reads and changes no case
of another by it: the sealed outline says who sent what, and whose facts belong to it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from tests.support.inner_hub import FULL, POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]

THIEF = "northmoor-housing"
MARK = {"agency": "northmoor-health", "category": "*", "reason": "r"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def write(hub: InnerHub, statement: str, *values: str) -> None:
    """Write into referral's database behind its back."""
    assert hub.mode.change(hub.file("referral"), statement, *values) > 0


async def sent(hub: InnerHub, who: str, reference: str) -> tuple[str, str]:
    """Send a referral; its id and its case's, as the database spells them."""
    answer = await hub.submit({**FULL, "externalReference": reference}, who)
    assert answer.status_code == 201
    referral = UUID(answer.json()["referralId"]).hex
    [(case,)] = hub.rows("referral", "SELECT case_id FROM referral WHERE id = ?", referral)
    return referral, str(case)


async def read(hub: InnerHub, who: str, referral: str) -> Any:
    """Read a referral as an agency."""
    path = f"/v1/referrals/{UUID(hex=referral)}"
    return await hub.call(who, "GET", "referral", path, scope="referral.read")


async def listed(hub: InnerHub, who: str) -> list[str]:
    """Which referrals an agency's list shows."""
    answer = await hub.call(who, "GET", "referral", "/v1/referrals", scope="referral.read")
    assert answer.status_code == 200
    return [UUID(item["referralId"]).hex for item in answer.json()["items"]]


async def mark(hub: InnerHub, who: str, referral: str) -> int:
    """Mark a referral's case, which makes a new version of the whole of it."""
    path = f"/v1/referrals/{UUID(hex=referral)}/must-not-disclose"
    return (await hub.call(who, "POST", "referral", path, json=MARK)).status_code


def alarmed(hub: InnerHub, table: str) -> bool:
    """Whether an alarm names the table."""
    said = hub.said()
    return "row-altered" in said and f'"code":"{table}"' in said.replace(" ", "")


async def test_a_referral_with_another_agency_on_its_row_is_nobodys(hub: InnerHub) -> None:
    referral, _ = await sent(hub, POLICE, "POL-1")
    assert (await read(hub, THIEF, referral)).status_code == 404
    write(hub, "UPDATE referral SET agency = ? WHERE id = ?", THIEF, referral)
    hub.said()
    answer = await read(hub, THIEF, referral)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert alarmed(hub, "referral")
    assert referral not in await listed(hub, THIEF)
    assert alarmed(hub, "referral")
    assert await mark(hub, THIEF, referral) == 503
    write(hub, "UPDATE referral SET agency = ? WHERE id = ?", POLICE, referral)
    assert (await read(hub, POLICE, referral)).status_code == 200


async def test_ones_own_referral_put_on_anothers_case_opens_neither(hub: InnerHub) -> None:
    _, case = await sent(hub, POLICE, "POL-2")
    own, own_case = await sent(hub, THIEF, "HOU-2")
    write(hub, "UPDATE referral SET case_id = ? WHERE id = ?", case, own)
    assert (await read(hub, THIEF, own)).status_code == 503
    assert own not in await listed(hub, THIEF)
    assert await mark(hub, THIEF, own) == 503
    write(hub, "UPDATE referral SET case_id = ? WHERE id = ?", own_case, own)
    assert own in await listed(hub, THIEF)


async def test_facts_put_on_ones_own_case_are_not_published_with_it(hub: InnerHub) -> None:
    _, case = await sent(hub, POLICE, "POL-3")
    referral, own = await sent(hub, THIEF, "HOU-3")
    write(hub, "UPDATE fact_group SET case_id = ? WHERE case_id = ?", own, case)
    hub.said()
    assert await mark(hub, THIEF, referral) == 503
    assert alarmed(hub, "fact_group")
    [(version,)] = hub.rows("referral", "SELECT version FROM case_file WHERE id = ?", own)
    assert version == 1


async def test_a_bar_that_is_taken_out_of_the_table_lets_nobody_in(hub: InnerHub) -> None:
    """The outline says, sealed, who is barred; the table only finds it faster."""
    referral, case = await sent(hub, THIEF, "HOU-4")
    body = {"kind": "conflict", "agency": THIEF, "reasonCode": "declared", "reason": "r"}
    path = f"/v1/referrals/{UUID(hex=referral)}/vetoes"
    assert (await hub.call(THIEF, "POST", "referral", path, json=body)).status_code == 201
    assert (await read(hub, THIEF, referral)).status_code == 404
    write(hub, "DELETE FROM bar WHERE case_id = ?", case)
    hub.said()
    assert (await read(hub, THIEF, referral)).status_code == 503
    assert alarmed(hub, "bar")
    assert referral not in await listed(hub, THIEF)
    assert alarmed(hub, "bar")
    assert await mark(hub, THIEF, referral) == 503


async def test_a_key_that_was_taken_away_lets_nobody_in(hub: InnerHub) -> None:
    """Without the key nothing sealed says whose a referral is; only an erased case has none."""
    referral, case = await sent(hub, POLICE, "NP-6")
    write(hub, "UPDATE referral SET agency = ? WHERE id = ?", THIEF, referral)
    write(hub, "UPDATE subject_key SET wrapped = NULL WHERE subject_id = ?", case)
    hub.said()
    assert referral not in await listed(hub, THIEF)
    assert alarmed(hub, "referral")
    assert (await read(hub, THIEF, referral)).status_code == 503
    assert await mark(hub, THIEF, referral) == 503
