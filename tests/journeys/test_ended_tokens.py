"""An access token that was ended before its time opens nothing at any service within sixty seconds,
in both modes: after a sign-out, a replayed code, a refresh token in other hands, and a suspension
that was lifted since."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx2
import pytest

from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.keys import SigningKey, generate_signing
from hubpartner.profile import read_profile
from hubpartner.tokens import TokenSource
from tests.support.fresh_hub import MODES, fresh_hub
from tests.support.hubs import SERVICES, RunningHub, as_agency, wait_for
from tests.support.people import SignIn, signed_in

pytestmark = [pytest.mark.xdist_group("hubs"), pytest.mark.timeout(600)]
HOUSING = "northmoor-housing"
WORKER, COLLEAGUE = "Amina Yusuf", "Ruth Okafor"
LIMIT_S = 60.0
"""Design section 6: what is older than this denies."""


@pytest.fixture(scope="module", params=MODES)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """One hub per mode for the whole module."""
    with fresh_hub(request.param, tmp_path_factory.mktemp(f"ended-{request.param}")) as made:
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
    hub: RunningHub, end: Callable[[SignIn], Awaitable[None]]
) -> None:
    async with httpx2.AsyncClient(timeout=20.0) as http:
        mine = await signed_in(hub, WORKER, "directory.read", "identity", http)
        hers = await signed_in(hub, COLLEAGUE, "directory.read", "identity", http)
        held, other = await of_person(mine), await of_person(hers)
        assert await held.living() == await other.living() == set(SERVICES)
        began = time.monotonic()
        await end(mine)
        await wait_for(held.ended, bool)
        assert time.monotonic() - began < LIMIT_S
        assert await other.living() == set(SERVICES), "nobody else is signed out by it"


async def test_a_suspension_that_was_lifted_revives_no_token(hub: RunningHub) -> None:
    async with httpx2.AsyncClient(timeout=20.0) as http:
        profile = read_profile(hub.profiles / f"{HOUSING}.toml")
        source = TokenSource(profile, http, SystemClock())
        tokens = {name: await source.token(hub.url(name), "directory.read") for name in SERVICES}
        held = Held(hub, http, profile.dpop, tokens)
        assert await held.living() == set(SERVICES)
        began = time.monotonic()
        await as_agency(hub, "operator", lambda client: client.suspend(HOUSING, "exercise"))
        await as_agency(hub, "operator", lambda client: client.restore(HOUSING))
        await wait_for(held.ended, bool)
        assert time.monotonic() - began < LIMIT_S
        fresh = TokenSource(profile, http, SystemClock())
        again = {name: await fresh.token(hub.url(name), "directory.read") for name in SERVICES}
        assert await Held(hub, http, profile.dpop, again).living() == set(SERVICES)


async def test_one_access_token_ends_alone(hub: RunningHub) -> None:
    async with httpx2.AsyncClient(timeout=20.0) as http:
        mine = await signed_in(hub, WORKER, "directory.read", "identity", http)
        held = await of_person(mine)
        await mine.portal.post("/revoke", token=held.tokens["sharing"])
        await wait_for(held.living, lambda found: "sharing" not in found)
        assert await held.living() == set(SERVICES) - {"sharing"}
