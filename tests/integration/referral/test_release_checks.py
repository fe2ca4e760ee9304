"""What referral answers at sharing's last look: the case as it stands at that moment, with every
veto in force on it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from hubformats.ids import opaque, uuid7
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/v1/referrals"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


async def sent(hub: InnerHub, form: dict[str, Any], **changes: Any) -> tuple[str, str]:
    """A new referral's id and its case's."""
    answer = await hub.submit({**form, "externalReference": f"T-{opaque(9)}", **changes})
    assert answer.status_code == 201, answer.text
    referral = answer.json()["referralId"]
    return referral, str(
        UUID(
            hub.rows("referral", "SELECT case_id FROM referral WHERE id = ?", UUID(referral).hex)[
                0
            ][0]
        )
    )


async def looked(hub: InnerHub, case: str) -> dict[str, Any]:
    """The answer to sharing's own question about the case."""
    asked = {"caseId": case, "snapshotVersion": 1, "subjectIds": []}
    answer = await hub.call(
        "svc-sharing", "POST", "referral", "/v1/release-checks", scope="case.read", json=asked
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def vetoed(hub: InnerHub, referral: str, **scope: str) -> dict[str, Any]:
    """A must-not-disclose set by the sender."""
    answer = await hub.call(
        POLICE,
        "POST",
        "referral",
        f"{PATH}/{referral}/must-not-disclose",
        json={**scope, "reason": "Not safe."},
    )
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_veto_is_in_the_next_answer_with_its_whole_scope(hub: InnerHub) -> None:
    referral, case = await sent(hub, URGENT)
    before = await looked(hub, case)
    assert (before["caseId"], before["snapshotVersion"]) == (case, 1)
    assert "must_not_disclose" not in {veto["kind"] for veto in before["vetoes"]}
    await vetoed(hub, referral, agency="northmoor-housing")
    await vetoed(hub, referral, agency="*", category="victim_phone")
    after = await looked(hub, case)
    assert after["snapshotVersion"] == 3
    added = [veto for veto in after["vetoes"] if veto not in before["vetoes"]]
    assert [(veto["kind"], veto["agency"], veto["category"]) for veto in added] == [
        ("must_not_disclose", "northmoor-housing", "*"),
        ("must_not_disclose", "*", "victim_phone"),
    ]


async def test_a_veto_is_still_in_the_answer_after_the_form_was_completed(hub: InnerHub) -> None:
    referral, case = await sent(hub, URGENT)
    await vetoed(hub, referral, agency="northmoor-housing")
    _, same = await sent(hub, FULL, completes=referral)
    assert same == case
    answer = await looked(hub, case)
    assert answer["snapshotVersion"] == 3
    assert ("must_not_disclose", "northmoor-housing") in {
        (veto["kind"], veto["agency"]) for veto in answer["vetoes"]
    }


async def test_anothers_veto_is_not_in_the_answer_and_no_case_is_not_found(hub: InnerHub) -> None:
    referral, _ = await sent(hub, URGENT)
    await vetoed(hub, referral, agency="northmoor-housing")
    _, other = await sent(hub, URGENT)
    assert "must_not_disclose" not in {
        veto["kind"] for veto in (await looked(hub, other))["vetoes"]
    }
    asked = {"caseId": str(uuid7()), "snapshotVersion": 1, "subjectIds": []}
    assert (
        await hub.call(
            "svc-sharing", "POST", "referral", "/v1/release-checks", scope="case.read", json=asked
        )
    ).status_code == 404


async def test_a_batch_answers_for_all_its_cases_and_leaves_out_what_is_unknown(
    hub: InnerHub,
) -> None:
    referral, case = await sent(hub, URGENT)
    _, other = await sent(hub, URGENT)
    await vetoed(hub, referral, agency="northmoor-housing")
    answer = await hub.call(
        "svc-sharing",
        "POST",
        "referral",
        "/v1/release-check-batches",
        scope="case.read",
        json={"caseIds": [case, other, str(uuid7())]},
    )
    assert answer.status_code == 200, answer.text
    found = {one["caseId"]: one for one in answer.json()["cases"]}
    assert found == {one: await looked(hub, one) for one in (case, other)}
