"""A named person signs in at a running hub, as the portal does it (PAR, page, code exchange)."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
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
        self.hub, self.http = hub, http
        self.issuer, self.clock = hub.url("identity"), SystemClock()
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


@dataclass(slots=True)
class SignIn:
    """A person who has signed in: the code that brought it about, and what it was exchanged for."""

    portal: Portal
    code: str
    verifier: str
    resource: str
    given: dict[str, Any] = field(default_factory=dict)

    async def redeem(self) -> httpx2.Response:
        """Present the code."""
        return await self.portal.post(
            "/token",
            grant_type="authorization_code",
            code=self.code,
            redirect_uri=_callback(self.portal.hub),
            code_verifier=self.verifier,
            resource=self.resource,
        )


async def signed_in(
    hub: RunningHub, name: str, scope: str, service: str, http: httpx2.AsyncClient
) -> SignIn:
    """Sign the demo person called `name` in; the first token is for `service`."""
    person = next(person.id for person in PEOPLE if person.name == name)
    portal, verifier = Portal(hub, http), secrets.token_urlsafe(48)
    challenge = b64u(hashlib.sha256(verifier.encode()).digest())
    pushed = await portal.post(
        "/par",
        response_type="code",
        redirect_uri=_callback(hub),
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
    made = SignIn(portal, code, verifier, hub.url(service))
    answer = await made.redeem()
    assert answer.status_code == 200, answer.text
    made.given = answer.json()
    assert scope in made.given["scope"].split()
    return made


async def as_person(
    hub: RunningHub, name: str, service: str, scope: str, http: httpx2.AsyncClient
) -> ServiceClient:
    """Sign the demo person called `name` in and return their client of `service`."""
    made = await signed_in(hub, name, scope, service, http)
    return ServiceClient(
        hub.url(service),
        PersonToken(made.portal.dpop, made.given["access_token"]),
        http=http,
        clock=made.portal.clock,
        timeout=20.0,
    )


def _callback(hub: RunningHub) -> str:
    return f"{hub.url('portal')}/sign-in/callback"
