"""What is answered without being stored is used all the same: repeats under one key and dry runs
are in the log before they answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hubformats.ids import opaque
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


def fresh(form: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The form under a reference of its own."""
    return {**form, "externalReference": f"T-{opaque(9)}", **changes}


def written(hub: InnerHub, reason: str) -> list[dict[str, Any]]:
    """Referral's audit records of this reason, as they stand in its own database before any answer
    leaves.
    """
    found = [
        json.loads(row[0])
        for row in hub.rows("referral", "SELECT record FROM audit_pending ORDER BY epoch, seq")
    ]
    return [record for record in found if record.get("why") == reason]


async def test_each_repeat_of_an_answer_is_recorded(hub: InnerHub) -> None:
    key, body = opaque(), fresh(URGENT)
    first = await hub.submit(body, key=key)
    assert written(hub, "repeated-answer") == []
    for count in (1, 2):
        again = await hub.submit(body, key=key)
        assert (again.status_code, again.content) == (201, first.content)
        records = written(hub, "repeated-answer")
        assert len(records) == count
    assert {(r["op"], r["out"], r["rt"], r["org"]) for r in records} == {
        ("consultation", "done", "referral", POLICE)
    }
    assert all(r["case"] for r in records)


async def test_a_repeat_of_a_veto_is_recorded(hub: InnerHub) -> None:
    sent = (await hub.submit(fresh(URGENT))).json()
    path, key = f"/v1/referrals/{sent['referralId']}/must-not-disclose", opaque()
    body = {"agency": "*", "category": "*", "reason": "Not safe."}
    before = len(written(hub, "repeated-answer"))
    answers = [
        await hub.call(POLICE, "POST", "referral", path, key=key, json=body) for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert [r["op"] for r in written(hub, "repeated-answer")[before:]] == ["consultation"]


async def test_a_dry_run_is_recorded_as_a_use_and_not_as_a_collection(hub: InnerHub) -> None:
    answer = await hub.submit(fresh(FULL), path="/v1/referrals?dryRun=true")
    assert answer.status_code == 200
    (record,) = written(hub, "dry-run")
    assert (record["op"], record["out"], record["fs"], record["n"], record["org"]) == (
        "consultation",
        "done",
        "referral.full",
        len(FULL["people"]),
        POLICE,
    )
    assert not {"res", "case", "rv"} & record.keys(), "there is no case it could be about"


async def test_a_dry_run_that_would_complete_a_case_is_recorded_on_that_case(hub: InnerHub) -> None:
    sent = (await hub.submit(fresh(URGENT))).json()
    before = len(written(hub, "dry-run"))
    answer = await hub.submit(
        fresh(FULL, completes=sent["referralId"]), path="/v1/referrals?dryRun=true"
    )
    assert answer.status_code == 200
    (record,) = written(hub, "dry-run")[before:]
    assert record.get("case")
