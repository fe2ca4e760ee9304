"""Identity's real app over a real SQLite file, with a clock that a test sets; only the outbox and
audit trail are lists."""

import json
import urllib.parse
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2

from common.database import Database, Unit, ensure_schema
from common.directory import DirectoryState
from common.events import Event
from common.keyring import FileKeyring
from common.settings import Settings
from common.testing import ManualClock
from common.topics import IDENTITY
from common.web.app import HubApp
from common.web.paging import Cursors
from common.web.runtime import Runtime
from common.web.verifier import access_for
from hubformats.audit_record import AuditEntry
from hubformats.bootstrap import SERVICES, Bootstrap, read_bootstrap
from hubformats.canonical import b64u, canonical, parse, unb64u
from hubformats.clock import SystemClock
from hubformats.dpop import MemoryReplayGuard, make_proof
from hubformats.ids import opaque
from hubformats.keys import SigningKey, generate_signing, signing_from_jwk
from identity.agencies.worker import Pulse
from identity.bootstrap.use_cases.create import create
from identity.oauth.repository import SignInSeals
from identity.tables import METADATA
from identity.wiring import Parts, SqlStore, build_app, build_authority, build_pulse

HOST = "http://hub.example.org"
URLS = {name: f"{HOST}/{name}" for name in SERVICES} | {"portal": HOST}
ISSUER = URLS["identity"]
CALLBACK = f"{HOST}/sign-in/callback"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"


def compact(header: Mapping[str, Any], claims: Mapping[str, Any], key: SigningKey) -> str:
    """A compact JWS of anything, for honest and dishonest tokens alike."""
    signed = f"{b64u(canonical(dict(header)))}.{b64u(json.dumps(claims).encode())}"
    return f"{signed}.{b64u(key.sign(signed.encode()))}"


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    found: dict[str, Any] = parse(unb64u(token.split(".")[1]))
    return found


def assertion(client: str, key: SigningKey, issuer: str) -> str:
    """A client assertion made now."""
    now = int(SystemClock().now().timestamp())
    claims = {
        "iss": client,
        "sub": client,
        "aud": issuer,
        "jti": opaque(),
        "iat": now,
        "exp": now + 60,
    }
    return compact({"alg": "ES256", "kid": key.kid}, claims, key)


@dataclass(slots=True)
class Party:
    """One OAuth client with its keys."""

    id: str
    key: SigningKey
    clock: ManualClock
    dpop: SigningKey = field(default_factory=lambda: generate_signing("test"))

    def assertion(
        self,
        changed: Mapping[str, Any] | None = None,
        *,
        header: Mapping[str, Any] | None = None,
        without: tuple[str, ...] = (),
    ) -> str:
        """A client assertion; `changed` replaces claims."""
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.id,
            "sub": self.id,
            "aud": ISSUER,
            "jti": opaque(),
            "iat": now,
            "exp": now + 60,
            **(changed or {}),
        }
        kept = {name: value for name, value in claims.items() if name not in without}
        return compact(
            {"alg": "ES256", "kid": self.key.kid, "typ": "JWT", **(header or {})}, kept, self.key
        )

    def form(self, **parameters: str) -> dict[str, str]:
        """A form with a fresh assertion; an empty value leaves a parameter out."""
        base = {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
            "client_id": self.id,
        }
        return {name: value for name, value in {**base, **parameters}.items() if value}

    def proof(self, url: str, method: str = "POST", token: str | None = None) -> str:
        """A fresh DPoP proof."""
        return make_proof(self.dpop, method, url, at=self.clock.now(), token=token)


@dataclass(slots=True)
class Sent:
    """Stands in for the outbox and the audit trail."""

    events: list[Event] = field(default_factory=list)
    recipients: list[tuple[str, ...]] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)

    def send(self, unit: Unit, *, topic: str, key: str, event: Event, to: tuple[str, ...]) -> None:
        """Keep the event once the unit is durable."""
        assert (topic, key) == (IDENTITY, "directory")
        unit.after_commit(lambda: self.events.append(event))
        unit.after_commit(lambda: self.recipients.append(to))

    def confirm(self, unit: Unit, ids: Sequence[Any]) -> None:
        """Nothing waits here."""

    def record(self, unit: Unit, entry: AuditEntry) -> None:
        """Keep the entry once the unit is durable."""
        unit.after_commit(lambda: self.entries.append(entry))


@dataclass(slots=True)
class Stage:
    """Identity on stage."""

    folder: Path
    bootstrap: Bootstrap
    clock: ManualClock
    app: HubApp
    http: httpx2.AsyncClient
    sent: Sent
    pulse: Pulse
    store: SqlStore
    directory: DirectoryState

    def system(self, agency: str) -> Party:
        """An agency's own system."""
        stored = parse((self.folder / "demo" / "keys" / f"{agency}.json").read_bytes())
        return Party(f"{agency}-system", signing_from_jwk(stored["signing"], agency), self.clock)

    def tool(self, name: str) -> Party:
        """The operator's or auditor's tool."""
        return Party(
            name,
            signing_from_jwk(
                parse((self.folder / "demo" / "keys" / f"{name}.json").read_bytes()), "northmoor"
            ),
            self.clock,
        )

    def service(self, name: str) -> Party:
        """A service of the hub."""
        ring = FileKeyring(self.folder / "keyring" / name, passphrase=None, open_allowed=True)
        return Party(f"svc-{name}", ring.signing_key("service"), self.clock)

    def portal(self) -> Party:
        """The portal as the client that signs people in."""
        found = self.service("portal")
        found.id = "portal"
        return found

    async def post(
        self, path: str, form: Mapping[str, str] | str, **headers: str
    ) -> httpx2.Response:
        """POST a form to identity."""
        body = form if isinstance(form, str) else urllib.parse.urlencode(dict(form))
        return await self.http.post(
            f"{ISSUER}{path}", content=body, headers={"Content-Type": FORM, **headers}
        )

    async def token(
        self, party: Party, *, dpop: str | None = None, **parameters: str
    ) -> httpx2.Response:
        """The token endpoint, by client_credentials unless told otherwise."""
        asked = {"grant_type": "client_credentials", "resource": URLS["referral"], **parameters}
        return await self.post(
            "/token", party.form(**asked), DPoP=dpop or party.proof(f"{ISSUER}/token")
        )

    async def push(
        self,
        party: Party,
        verifier: str,
        changed: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Push an authorization request."""
        asked = {
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "case.read disclosure.read",
            "state": "st-1",
            "code_challenge": b64u(sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **(changed or {}),
        }
        return await self.post("/par", party.form(**asked), **(headers or {}))

    async def click(
        self, request_uri: str, person: str, client: str = "portal", **headers: str
    ) -> httpx2.Response:
        """Click a persona."""
        chosen = {"cancel": "1"} if person == "cancel" else {"person": person}
        asked = {"client_id": client, "request_uri": request_uri, **chosen}
        return await self.post("/authorize", asked, **({"Sec-Fetch-Site": "same-origin"} | headers))

    async def code(self, party: Party, verifier: str, person: str, **parameters: str) -> str:
        """A fresh authorization code."""
        pushed = await self.push(party, verifier, parameters)
        answer = await self.click(pushed.json()["request_uri"], person)
        return location(answer)["code"]

    async def redeem(
        self, party: Party, code: str, verifier: str, *, dpop: str | None = None, **parameters: str
    ) -> httpx2.Response:
        """Exchange a code."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
            **parameters,
        }
        return await self.token(party, dpop=dpop, **asked)

    async def call(
        self, party: Party, token: str, method: str, path: str, *, scheme: str = "DPoP", **more: Any
    ) -> httpx2.Response:
        """Call identity's own API with a token."""
        url = f"{ISSUER}{path}"
        headers = {
            "Authorization": f"{scheme} {token}",
            "DPoP": party.proof(url.split("?", maxsplit=1)[0], method, token),
        }
        return await self.http.request(method, url, headers=headers, **more)

    def person(self, role: str) -> str:
        """The id of the first demo person with a role."""
        return next(person.id for person in self.bootstrap.people.values() if role in person.roles)


def location(answer: httpx2.Response) -> dict[str, str]:
    """The query parameters of a redirect."""
    assert answer.status_code == 303, answer.text
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["location"]).query))


@asynccontextmanager
async def identity_stage(
    folder: Path, database: Path | str, *, demo: bool = True
) -> AsyncIterator[Stage]:
    """Identity over the bootstrap in `folder`, with its tables in `database`: a SQLite file, or the
    URL of a PostgreSQL database.
    """
    create(folder, URLS)
    bootstrap, clock, sent = read_bootstrap(folder), ManualClock(), Sent()
    ring = FileKeyring(folder / "keyring" / "identity", passphrase=None, open_allowed=True)
    settings = Settings(
        service_url=ISSUER,
        issuer=ISSUER,
        database_url=database if isinstance(database, str) else f"sqlite:///{database}",
        keyring_dir=folder,
        bootstrap_file=folder,
        data_dir=folder,
        demo=demo,
        referral_url=URLS["referral"],
        sharing_url=URLS["sharing"],
        audit_url=URLS["audit"],
        identity_url=ISSUER,
        portal_url=HOST,
    )
    tables = Database(settings.database_url, clock=clock, name="identity")
    store = SqlStore(tables, clock, sent, sent, SignInSeals(bytes(32)))
    directory = DirectoryState(clock)
    authority = build_authority(settings, bootstrap, ring, clock)
    pulse = build_pulse(store, directory, bootstrap, authority)
    transport = httpx2.ASGITransport(app=_under_identity)
    async with httpx2.AsyncClient(transport=transport) as http:
        access = access_for(
            settings, http=http, clock=clock, directory=directory, replay=MemoryReplayGuard()
        )
        app = build_app(
            Runtime(settings, access, clock),
            Parts(store, authority, bootstrap, Cursors(bytes(32)), pulse),
        )
        transport.app = _mounted(app)
        await tables.start()
        try:
            await ensure_schema(tables, METADATA)
            await pulse.enrol()
            await pulse.beat()
            yield Stage(folder, bootstrap, clock, app, http, sent, pulse, store, directory)
        finally:
            await tables.stop()


async def _under_identity(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError("replaced before the first request")


def _mounted(app: HubApp) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path.startswith("/identity"):
            scope = {**scope, "root_path": "/identity"}
        await app(scope, receive, send)

    return serve
