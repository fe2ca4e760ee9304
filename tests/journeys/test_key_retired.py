"""`hubctl key retire`, in both modes: the agency goes on with a new key at once, and what somebody
else signs with the old one counts nowhere, also after a restart."""

from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest

from hubformats.clock import SystemClock
from hubpartner.answers import ProblemAnswer, TokenRefused
from hubpartner.client import HubClient
from hubpartner.delivery import Delivery
from hubpartner.profile import Profile, read_profile
from tests.support.cases import CARE, TOLD, submitted, until_outcomes
from tests.support.fresh_hub import MODES, fresh_hub
from tests.support.hubs import RunningHub, hubctl, wait_for, whole_inbox

pytestmark = [pytest.mark.xdist_group("hubs"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=MODES)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """One hub per mode for the whole module."""
    with fresh_hub(request.param, tmp_path_factory.mktemp(f"retired-{request.param}")) as made:
        yield made


async def receipt(signer: Profile, caller: Profile, delivery: Delivery) -> str:
    """What the hub says to a receipt that one key signs and another brings."""
    async with httpx2.AsyncClient(timeout=30.0) as http:
        client = HubClient(caller, http)
        brought = client.profile
        client.profile = signer
        try:
            await client.send_receipt(delivery, "case-system")
        except ProblemAnswer as refused:
            return refused.code
        except TokenRefused as refused:
            return refused.code
        finally:
            client.profile = brought
    return "taken"


async def test_an_agency_goes_on_and_its_thief_does_not(hub: RunningHub) -> None:
    sent = await submitted(hub)
    await until_outcomes(hub, sent, lambda found: found == dict.fromkeys(TOLD, "released"))
    place = hub.profiles / f"{CARE}.toml"
    stolen = read_profile(place)
    async with httpx2.AsyncClient(timeout=30.0) as http:
        client = HubClient(stolen, http)
        delivery = client.open((await whole_inbox(client))[0])
    since = (SystemClock().now() - timedelta(minutes=1)).isoformat()
    root = hub.profiles / "keys" / f"{CARE}.json"
    wrong = hub.profiles / "keys" / "northmoor-police.json"
    words = ("key", "retire", "--compromised-since", since, "--root")
    refused = hubctl(hub, CARE, *words, str(wrong))
    assert (refused.status, "Nothing was changed" in refused.err) == (1, True), refused.err
    done = hubctl(hub, CARE, *words, str(root))
    assert done.status == 0, done.err
    assert f"The key {stolen.signing.kid} is retired." in done.out
    mine = read_profile(place)
    assert mine.signing.kid != stolen.signing.kid
    assert not list(hub.profiles.glob("*.next-key"))

    assert await receipt(stolen, stolen, delivery) == "invalid_client"

    async def refused_by_all() -> str:
        return await receipt(stolen, mine, delivery)

    await wait_for(refused_by_all, lambda code: code == "receipt-refused")
    hub.kill("sharing")
    hub.restart("sharing")
    assert await wait_for(refused_by_all, lambda code: code.startswith("receipt")) == (
        "receipt-refused"
    )
    assert await receipt(mine, mine, delivery) == "taken"
    again = hubctl(hub, CARE, *words, str(root), "--key", stolen.signing.kid)
    assert again.status == 1, "it is retired, and a later moment takes nothing back"
