"""Repeated requests: the same key, another body, the same reference, and runs that store nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hubformats.ids import opaque
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.refusals import MARKER, STORED, denials, denied_in_the_log, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUSING = "northmoor-housing"
PATH = "/v1/referrals"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def fresh(form: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The form under a reference of its own."""
    return {**form, "externalReference": f"T-{opaque(9)}", **changes}


async def alarms(hub: InnerHub, who: str = POLICE) -> list[str]:
    """The codes of the sender's open alarms."""
    answer = await hub.call(who, "GET", "referral", "/v1/refused-intakes", scope="referral.read")
    assert answer.status_code == 200
    return [entry["code"] for entry in answer.json()["refused"]]


async def test_the_same_key_and_body_give_the_same_answer_and_nothing_twice(hub: InnerHub) -> None:
    key, body = opaque(), fresh(FULL)
    first = await hub.submit(body, key=key)
    before = hub.counts("referral", STORED)
    again = await hub.submit(body, key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert (again.headers["location"], again.headers["etag"]) == (
        first.headers["location"],
        first.headers["etag"],
    )
    assert again.headers["idempotency-replayed"] == "true"
    assert hub.counts("referral", STORED) == {
        **before,
        "snapshot_sent": hub.counts("referral", STORED)["snapshot_sent"],
    }
    assert await hub.outcomes(first.json()["referralId"]) == {"released"}


async def test_the_same_key_at_once_stores_one(hub: InnerHub) -> None:
    key, body = opaque(), fresh(URGENT)
    before = hub.counts("referral", ["referral"])["referral"]
    answers = await asyncio.gather(*(hub.submit(body, key=key) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert (
        len({answer.json()["referralId"] for answer in answers if answer.status_code == 201}) == 1
    )
    assert hub.counts("referral", ["referral"])["referral"] == before + 1


async def test_a_key_used_for_another_body_is_refused_and_audited(hub: InnerHub) -> None:
    key = opaque()
    first = await hub.submit(fresh(URGENT), key=key)
    assert first.status_code == 201
    await hub.outcomes(
        first.json()["referralId"]
    )  # so that nothing of the first is still on its way when we count
    before, known = hub.counts("referral", STORED), len(denials(hub, POLICE))
    refused(
        hub, await hub.submit(fresh(URGENT, name=MARKER), key=key), 422, "idempotency-key-reused"
    )
    after = hub.counts("referral", STORED)
    assert {name: after[name] for name in after if name != "snapshot_sent"} == {
        n: before[n] for n in before if n != "snapshot_sent"
    }
    await denied_in_the_log(hub, POLICE, known, "idempotency-key-reused")


async def test_a_key_is_the_callers_own(hub: InnerHub) -> None:
    """Two agencies that happen to choose one key do not meet: neither an answer nor a refusal
    crosses.
    """
    key, body = opaque(), fresh(URGENT)
    first, other = await hub.submit(body, key=key), await hub.submit(body, who=HOUSING, key=key)
    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["referralId"] != other.json()["referralId"]


@pytest.mark.parametrize(
    "key",
    ["", "short", MARKER * 20, f"{MARKER} with space"],
    ids=["none", "short", "long", "space"],
)
async def test_a_missing_or_strange_key_is_refused(hub: InnerHub, key: str) -> None:
    before = hub.counts("referral", STORED)
    headers = {"Idempotency-Key": key} if key else {}
    refused(
        hub,
        await hub.submit(fresh(URGENT), key="", headers=headers),
        400,
        "idempotency-key-missing",
    )
    assert hub.counts("referral", STORED)["referral"] == before["referral"]


async def test_a_full_forms_external_reference_counts_once_also_for_a_dry_run(
    hub: InnerHub,
) -> None:
    body = fresh(FULL, externalReference=f"{MARKER}-{opaque(6)}")
    assert (await hub.submit(body)).status_code == 201
    refused(hub, await hub.submit(body), 409, "external-reference-exists")
    refused(
        hub, await hub.submit(body, path=f"{PATH}?dryRun=true"), 409, "external-reference-exists"
    )
    assert (await hub.submit(body, who=HOUSING)).status_code == 201


async def test_a_dry_run_stores_nothing_sends_nothing_and_alarms_nobody(hub: InnerHub) -> None:
    sent = await hub.submit(fresh(URGENT))
    await hub.outcomes(sent.json()["referralId"])
    open_before = await alarms(hub)
    await asyncio.sleep(0.5)
    before = hub.counts("referral", STORED)
    path = f"{PATH}?dryRun=true"
    answer = await hub.submit(fresh(FULL), path=path)
    assert (answer.status_code, answer.json()["risk"]["level"]) == (200, "high")
    refused(
        hub,
        await hub.submit(fresh(FULL, kind=MARKER), path=path),
        422,
        "validation-failed",
        "/kind",
    )
    unreadable = await hub.call(
        POLICE, "POST", "referral", path, content=b"{", headers={"Content-Type": "application/json"}
    )
    refused(hub, unreadable, 400, "malformed-json")
    refused(
        hub,
        await hub.submit(fresh(FULL), path=path, scope="directory.read"),
        403,
        "insufficient-scope",
    )
    assert hub.counts("referral", STORED) == before
    assert await alarms(hub) == open_before
