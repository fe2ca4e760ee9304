"""One sender's load never delays another's danger by more than its share.

One mode is enough: whose turn it is stands in `tests/contract/test_undecided_ports.py` on both
storages, and what is decided by whom does not depend on the bus.
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from common.web.edge import MAX_BODY
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENDER = "northmoor-housing"
"""The one in danger comes from another sender than the flood."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """A whole hub in this process."""
    async with inner_hub(tmp_path_factory.mktemp("load"), mode) as made:
        yield made


def hostile(number: int) -> bytes:
    """A full form of 256 KiB with a shielded address, each of its texts made to be slow."""
    form: dict[str, Any] = copy.deepcopy(FULL)
    form["externalReference"] = f"LOAD-{number}"
    form["reason"] = f"{number} a b c road"
    for place, answer in enumerate(form["risk"]["answers"][:14]):
        answer["note"] = f"{place} {number} " + "Tlo5IDRRWA== " * 600
    said = json.dumps(form).encode()
    return said + b" " * (MAX_BODY - len(said))


async def test_danger_beside_three_hostile_forms_leaves_before_the_second(hub: InnerHub) -> None:
    sharing = hub.service("sharing")
    await sharing.pause()
    for number in range(3):
        sent = await hub.call(
            POLICE,
            "POST",
            "referral",
            "/v1/referrals",
            content=hostile(number),
            headers={"Content-Type": "application/json"},
        )
        assert sent.status_code == 201, sent.text
    danger = (await hub.submit({**URGENT, "externalReference": "ONE"}, SENDER)).json()
    await sharing.resume()
    assert await hub.outcomes(danger["referralId"], SENDER) == {"released"}
    while len(found := hub.rows("sharing", DECIDED)) < 4:  # noqa: ASYNC110 - other services
        await asyncio.sleep(0.05)
    order = [referrer for (referrer,) in found]
    assert order.count(POLICE) == 3
    assert order.index(SENDER) <= 1
    assert hub.rows("sharing", "SELECT count(*) FROM undecided") == [(0,)]


DECIDED = """SELECT referrer FROM decision JOIN case_file USING (case_id) ORDER BY decision.id"""
