"""What was stolen opens nothing: a token that was ended is refused by every service within sixty
seconds, and what a thief signs with a retired key counts nowhere. In the stack alone, where each
service is a process and hears of it over Kafka; in one process each has an inbox and a directory of
its own all the same, so nothing else would be shown."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import httpx2
import pytest

from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.keys import SigningKey, generate_signing
from hubpartner.answers import ProblemAnswer, TokenRefused
from hubpartner.client import HubClient
from hubpartner.delivery import Delivery
from hubpartner.profile import Profile, read_profile
from hubpartner.tokens import TokenSource
from tests.support.cases import CARE, TOLD, submitted, until_outcomes
from tests.support.fresh_hub import fresh_hub
from tests.support.hubs import SERVICES, RunningHub, as_agency, hubctl, wait_for, whole_inbox
from tests.support.moving_clock import MovingClock
from tests.support.people import SignIn, signed_in

pytestmark = [
    pytest.mark.stack,
    pytest.mark.xdist_group("hubs-over-time"),
    pytest.mark.timeout(600),
]
HOUSING = "northmoor-housing"
WORKER, COLLEAGUE = "Amina Yusuf", "Ruth Okafor"
BEAT, LIMIT = timedelta(seconds=15), timedelta(seconds=60)
"""Identity says what ended with its next beat; what is older than the limit denies."""


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MovingClock]:
    """Begins now. Nobody waits for a beat: the clock is moved to it."""
    with pytest.MonkeyPatch.context() as patch:
        made = MovingClock(tmp_path_factory.mktemp("clock"))
        made.follow(patch)
        yield made


@pytest.fixture(scope="module")
def hub(moving: MovingClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """One stack for the whole module."""
    folder = tmp_path_factory.mktemp("stolen")
    with fresh_hub("stack", folder, moving.environment) as made:
        yield made


@dataclass
class Held:
    """An access token for each service, and the key that all are bound to."""

    hub: RunningHub
    http: httpx2.AsyncClient
    dpop: SigningKey
    tokens: Mapping[str, str]

    async def living(self) -> set[str]:
        """The services that know the caller. No token here has the scope: 403 means known."""
        return {service for service in SERVICES if await self._status(service) == 403}

    async def ended(self) -> bool:
        """Whether each service refuses the token itself."""
        return {await self._status(service) for service in SERVICES} == {401}

    async def _status(self, service: str) -> int:
        url, token = f"{self.hub.url(service)}/v1/operator/quarantine", self.tokens[service]
        proof = make_proof(self.dpop, "GET", url, at=SystemClock().now(), token=token)
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        return (await self.http.get(url, headers=headers)).status_code


async def of_person(sign_in: SignIn) -> Held:
    """What the portal gets for a person who has signed in: a token for each service."""
    portal = sign_in.portal
    tokens = {}
    for service in SERVICES:
        answer = await portal.post(
            "/token",
            grant_type="refresh_token",
            refresh_token=sign_in.given["refresh_token"],
            resource=portal.hub.url(service),
            scope="directory.read",
        )
        assert answer.status_code == 200, answer.text
        tokens[service] = answer.json()["access_token"]
    return Held(portal.hub, portal.http, portal.dpop, tokens)


async def sign_out(sign_in: SignIn) -> None:
    """End the visit."""
    answer = await sign_in.portal.post("/revoke", token=sign_in.given["refresh_token"])
    assert answer.status_code == 200


async def code_replay(sign_in: SignIn) -> None:
    """Present the code again: one of two holders has stolen it."""
    answer = await sign_in.redeem()
    assert answer.json()["error"] == "invalid_grant"


async def refresh_token_reuse(sign_in: SignIn) -> None:
    """Present the refresh token with another key than its own."""
    portal = sign_in.portal
    portal.dpop = generate_signing("portal")
    answer = await portal.post(
        "/token",
        grant_type="refresh_token",
        refresh_token=sign_in.given["refresh_token"],
        resource=portal.hub.url("sharing"),
        scope="directory.read",
    )
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("end", [sign_out, code_replay, refresh_token_reuse])
async def test_a_persons_tokens_end_at_every_service(
    hub: RunningHub, moving: MovingClock, end: Callable[[SignIn], Awaitable[None]]
) -> None:
    async with httpx2.AsyncClient(timeout=20.0) as http:
        mine = await signed_in(hub, WORKER, "directory.read", "identity", http)
        hers = await signed_in(hub, COLLEAGUE, "directory.read", "identity", http)
        held, other = await of_person(mine), await of_person(hers)
        assert await held.living() == await other.living() == set(SERVICES)
        began = moving.now()
        await end(mine)
        moving.advance(BEAT)
        await wait_for(held.ended, bool)
        assert moving.now() - began < LIMIT
        assert await other.living() == set(SERVICES), "nobody else is signed out by it"


async def test_a_suspension_that_was_lifted_revives_no_token(
    hub: RunningHub, moving: MovingClock
) -> None:
    async with httpx2.AsyncClient(timeout=20.0) as http:
        profile = read_profile(hub.profiles / f"{HOUSING}.toml")
        source = TokenSource(profile, http, SystemClock())
        tokens = {name: await source.token(hub.url(name), "directory.read") for name in SERVICES}
        held = Held(hub, http, profile.dpop, tokens)
        assert await held.living() == set(SERVICES)
        began = moving.now()
        await as_agency(hub, "operator", lambda client: client.suspend(HOUSING, "exercise"))
        await as_agency(hub, "operator", lambda client: client.restore(HOUSING))
        moving.advance(BEAT)
        await wait_for(held.ended, bool)
        assert moving.now() - began < LIMIT
        fresh = TokenSource(profile, http, SystemClock())
        again = {name: await fresh.token(hub.url(name), "directory.read") for name in SERVICES}
        assert await Held(hub, http, profile.dpop, again).living() == set(SERVICES)


async def test_one_access_token_ends_alone(hub: RunningHub, moving: MovingClock) -> None:
    async with httpx2.AsyncClient(timeout=20.0) as http:
        mine = await signed_in(hub, WORKER, "directory.read", "identity", http)
        held = await of_person(mine)
        await mine.portal.post("/revoke", token=held.tokens["sharing"])
        moving.advance(BEAT)
        await wait_for(held.living, lambda found: "sharing" not in found)
        assert await held.living() == set(SERVICES) - {"sharing"}


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


async def told_what_was_used(hub: RunningHub, stolen: Profile, delivery: Delivery) -> None:
    """Agency and operator read, once and in words, which receipt of the thief had been used."""

    async def ask() -> str:
        return hubctl(hub, CARE, "inbox", "notices").out

    out = await wait_for(ask, lambda said: "had already been used" in said)
    kid, reference = stolen.signing.kid, delivery.verdict.content["caseReference"]
    assert out.count("1 message of yours that your key") == out.count(kid) == 1, out
    named = f"saved receipt, delivery {delivery.delivery_id}, case {reference}"
    assert named in out
    assert "referral list --changed-since" in out
    listed = hubctl(hub, "operator", "service", "key-uses", "--agency", CARE)
    assert listed.out.startswith(f"sharing had used 1 message that the key {kid} of {CARE}")
    assert named in listed.out
    (one,) = json.loads(hubctl(hub, "operator", "service", "key-uses", "--json").out)["sharing"]
    assert (one["certain"], one["deliveryId"]) == (True, delivery.delivery_id)


async def test_an_agency_goes_on_and_its_thief_does_not(hub: RunningHub) -> None:
    sent = await submitted(hub)
    await until_outcomes(hub, sent, lambda found: found == dict.fromkeys(TOLD, "released"))
    place = hub.profiles / f"{CARE}.toml"
    stolen = read_profile(place)
    async with httpx2.AsyncClient(timeout=30.0) as http:
        client = HubClient(stolen, http)
        delivery = client.open((await whole_inbox(client))[0])
    since = (SystemClock().now() - timedelta(minutes=1)).isoformat()
    assert await receipt(stolen, stolen, delivery) == "taken", "nobody knows of the thief yet"
    root = hub.profiles / "keys" / f"{CARE}.json"
    wrong = hub.profiles / "keys" / "northmoor-police.json"
    words = ("key", "retire", "--compromised-since", since, "--root")
    refused = hubctl(hub, CARE, *words, str(wrong))
    assert (refused.status, "Nothing was changed" in refused.err) == (1, True), refused.err
    assert not list(hub.profiles.glob("*.next-key")), "nothing was changed, and nothing written"
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
    await told_what_was_used(hub, stolen, delivery)
    hub.kill("sharing")
    hub.restart("sharing")
    assert await wait_for(refused_by_all, lambda code: code.startswith("receipt")) == (
        "receipt-refused"
    )
    assert await receipt(mine, mine, delivery) == "taken"
    await told_what_was_used(hub, stolen, delivery)
    again = hubctl(hub, CARE, *words, str(root), "--key", stolen.signing.kid)
    assert again.status == 1, "it is retired, and a later moment takes nothing back"
