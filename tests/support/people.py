"""A named person at a running hub: PAR, a click on identity's page, the code exchanged, as the
portal does it."""

import hashlib
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2

from common.bootstrap import SERVICE_KEY
from common.keyring import FileKeyring
from common.web.client import ServiceClient, TokenSource
from hubformats.canonical import b64u
from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.keys import SigningKey, generate_signing
from identity.bootstrap.northmoor import PEOPLE
from tests.support.hubs import RunningHub, StackHub

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True)
class PersonToken:
    """One person's access token for one service; fulfils `common.web.client.Tokens`."""

    dpop_key: SigningKey
    held: str

    async def token(self, audience: str, scope: str) -> str:
        """The one there is."""
        return self.held

    def forget(self, audience: str, scope: str) -> None:
        """Nothing else to offer."""


async def as_person(
    hub: RunningHub, name: str, service: str, scope: str, http: httpx2.AsyncClient
) -> ServiceClient:
    """A client of `service` that acts for the demo person called `name`."""
    person = next(person.id for person in PEOPLE if person.name == name)
    home = hub.stack.folder if isinstance(hub, StackHub) else hub.folder / "hub"
    ring = FileKeyring(home / "keyring" / "portal", passphrase=None, open_allowed=True)
    issuer, clock, dpop, verifier = (
        hub.url("identity"),
        SystemClock(),
        generate_signing("portal"),
        secrets.token_urlsafe(48),
    )
    source = TokenSource(
        issuer,
        "portal",
        signing=ring.signing_key(SERVICE_KEY),
        dpop_key=dpop,
        http=http,
        clock=clock,
    )
    callback = f"{hub.url('portal')}/sign-in/callback"

    async def post(path: str, **form: str) -> httpx2.Response:
        proof = make_proof(dpop, "POST", issuer + path, at=clock.now())
        own = {
            "client_id": "portal",
            "client_assertion_type": _ASSERTION,
            "client_assertion": source.assertion(),
        }
        return await http.post(issuer + path, data={**form, **own}, headers={"DPoP": proof})

    challenge = b64u(hashlib.sha256(verifier.encode()).digest())
    pushed = await post(
        "/par",
        response_type="code",
        redirect_uri=callback,
        scope=scope,
        state="st",
        code_challenge=challenge,
        code_challenge_method="S256",
        dpop_jkt=dpop.kid,
    )
    assert pushed.status_code == 201, pushed.text
    asked = {"client_id": "portal", "request_uri": pushed.json()["request_uri"], "person": person}
    clicked = await http.post(
        f"{issuer}/authorize", data=asked, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert clicked.status_code == 303, clicked.text
    code = parse_qs(urlsplit(clicked.headers["location"]).query)["code"][0]
    given = await post(
        "/token",
        grant_type="authorization_code",
        code=code,
        redirect_uri=callback,
        code_verifier=verifier,
        resource=hub.url(service),
    )
    assert given.status_code == 200, given.text
    assert scope in given.json()["scope"].split()
    return ServiceClient(
        hub.url(service),
        PersonToken(dpop, given.json()["access_token"]),
        http=http,
        clock=clock,
        timeout=20.0,
    )
