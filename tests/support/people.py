"""A named person signs in at a running hub, as the portal does it (PAR, page, code exchange)."""

import hashlib
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2

from common.keyring import FileKeyring
from common.web.client import ServiceClient, TokenSource
from hubformats.bootstrap import SERVICE_KEY
from hubformats.canonical import b64u
from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.keys import SigningKey, generate_signing
from identity.bootstrap.model.northmoor import PEOPLE
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


class Portal:
    """The portal's client at identity: its key, and a proof of possession with each request."""

    def __init__(self, hub: RunningHub, http: httpx2.AsyncClient) -> None:
        home = hub.stack.folder if isinstance(hub, StackHub) else hub.folder / "hub"
        ring = FileKeyring(home / "keyring" / "portal", passphrase=None, open_allowed=True)
        self.issuer, self.clock, self.http = hub.url("identity"), SystemClock(), http
        self.dpop = generate_signing("portal")
        self._source = TokenSource(
            self.issuer,
            "portal",
            signing=ring.signing_key(SERVICE_KEY),
            dpop_key=self.dpop,
            http=http,
            clock=self.clock,
        )

    async def post(self, path: str, **form: str) -> httpx2.Response:
        """POST a form as the portal."""
        proof = make_proof(self.dpop, "POST", self.issuer + path, at=self.clock.now())
        own = {
            "client_id": "portal",
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._source.assertion(),
        }
        return await self.http.post(
            self.issuer + path, data={**form, **own}, headers={"DPoP": proof}
        )


async def as_person(
    hub: RunningHub, name: str, service: str, scope: str, http: httpx2.AsyncClient
) -> ServiceClient:
    """Sign the demo person called `name` in and return their client of `service`."""
    person = next(person.id for person in PEOPLE if person.name == name)
    portal, verifier = Portal(hub, http), secrets.token_urlsafe(48)
    callback = f"{hub.url('portal')}/sign-in/callback"
    challenge = b64u(hashlib.sha256(verifier.encode()).digest())
    pushed = await portal.post(
        "/par",
        response_type="code",
        redirect_uri=callback,
        scope=scope,
        state="st",
        code_challenge=challenge,
        code_challenge_method="S256",
        dpop_jkt=portal.dpop.kid,
    )
    assert pushed.status_code == 201, pushed.text
    asked = {"client_id": "portal", "request_uri": pushed.json()["request_uri"], "person": person}
    clicked = await http.post(
        f"{portal.issuer}/authorize", data=asked, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert clicked.status_code == 303, clicked.text
    code = parse_qs(urlsplit(clicked.headers["location"]).query)["code"][0]
    given = await portal.post(
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
        PersonToken(portal.dpop, given.json()["access_token"]),
        http=http,
        clock=portal.clock,
        timeout=20.0,
    )
