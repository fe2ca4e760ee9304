"""The operator's door to what is blocked, through the whole hub: one way to name it, counts alone
for an answer, once each out."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio

from hubformats.ids import opaque
from sharing.context import Store
from sharing.disclosures.model.disclosure import Hold
from sharing.wiring import SharingStore, SqlTx
from tests.support.bus_attacks import case_of
from tests.support.inner_hub import FULL, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]

AGAIN = "/v1/disclosures/decide-again"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


async def test_what_is_blocked_leaves_once_each_after_a_new_decision(hub: InnerHub) -> None:
    operator = hub.client("operator")
    await operator.switch("audit", "pause")
    referral = (await hub.submit({**FULL, "externalReference": f"T-{opaque(9)}"})).json()
    assert await hub.outcomes(referral["referralId"], until="decided") == {"decided"}
    case = case_of(hub, referral["referralId"])
    store = cast(SharingStore, hub.service("sharing").app.provisions.get(Store))

    def block(tx: SqlTx) -> None:
        for one in tx.disclosures.of_case(case):
            tx.disclosures.replace(one, one.block(Hold.AUDIT_REJECTED))

    await store.write(block)
    assert [
        (row["state"], row["reason"], row["count"]) for row in (await operator.stuck())["items"]
    ] == [("blocked", "audit-rejected", 3)]
    came_to = await operator.decide_again(reason="audit-rejected")
    assert came_to == {"cases": 1, "prepared": 3, "unchanged": 0, "failed": 0, "more": False}
    assert (await operator.decide_again(reason="audit-rejected"))["cases"] == 0
    await operator.switch("audit", "resume")
    assert await hub.outcomes(referral["referralId"]) == {"released"}
    counts = (
        "SELECT count(*), count(DISTINCT agency) FROM delivery d JOIN disclosure x ON x.id = "
        "d.delivery_id WHERE x.case_id = ?"
    )
    assert hub.rows("sharing", counts, case.hex) == [(3, 3)]
    whole = await operator.decide_again(
        agency="northmoor-police", case_reference=referral["caseReference"]
    )
    assert (whole["cases"], whole["prepared"]) == (1, 0)
    assert hub.rows("sharing", counts, case.hex) == [(3, 3)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "veto", "deliveryIds": ["01932000-0000-7000-8000-00000000ffff"]},
        {"agency": "northmoor-police"},
        {"caseReference": "NM-0000-0000-0000"},
        {"reason": "veto", "caseReference": "NM-0000-0000-0000"},
    ],
)
async def test_what_is_meant_is_named_in_exactly_one_way(
    hub: InnerHub, body: dict[str, Any]
) -> None:
    answer = await hub.call("operator", "POST", "sharing", AGAIN, scope="agency.manage", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


async def test_a_case_nobody_referred_under_that_name_is_not_there(hub: InnerHub) -> None:
    body = {"agency": "northmoor-idva", "caseReference": "NM-0000-0000-0000"}
    answer = await hub.call("operator", "POST", "sharing", AGAIN, scope="agency.manage", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
