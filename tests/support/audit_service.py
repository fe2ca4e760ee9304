"""Audit as it runs: its own wiring on the embedded bus and SQLite, with one real producer and an
issuer of test tokens."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from audit.log.ports import PublicLog
from audit.log.worker.sequencer import Sequencer
from audit.wiring import build
from common import topics
from common.audit_trail import Receipt
from common.bus import Outgoing
from common.database import new_metadata
from common.events.identity import DirectoryHeartbeat
from common.keyring import FileKeyring
from common.web.frame import Frame, Host, frame_tables
from common.web.service import Service
from hubformats import jws
from hubformats.audit_record import Actor, AuditEntry
from hubformats.bootstrap import SERVICE_KEY, Bootstrap, read_bootstrap
from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.envelope import Message, seal
from hubformats.ids import opaque, uuid7
from hubformats.keys import generate_signing
from identity.bootstrap.model.northmoor import AGENCIES
from identity.bootstrap.use_cases.create import create
from standalone.bus import EmbeddedBus
from tests.support.identity_service import settings_for
from tests.support.members import until

ISSUER = "http://identity.hub.example.org"
AUDIT = "http://audit.hub.example.org"
POLICE, IDVA = "northmoor-police", "northmoor-idva"

_METADATA = new_metadata()
_TABLES = frame_tables(_METADATA)


class AuditHarness:
    """A folder with a bootstrapped hub, of which audit and one producer (sharing) run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self.issuer_key, self.client_key = (
            generate_signing("svc:identity"),
            generate_signing("client"),
        )
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._issuer))
        create(
            folder,
            {
                name: f"http://{name}.hub.example.org"
                for name in ("referral", "sharing", "audit", "identity", "portal")
            },
        )
        self.bootstrap: Bootstrap = read_bootstrap(folder)
        self.bus = EmbeddedBus(folder / "bus.db", topics.topics(tuple(AGENCIES)), clock=self.clock)
        self.receipts: list[Receipt] = []
        self.service: Service
        self.producer: Frame

    @property
    def sequencer(self) -> Sequencer:
        """The sequencer of the running service."""
        log = self.service.app.provisions.get(PublicLog)
        assert isinstance(log, Sequencer)
        return log

    def keyring(self, service: str) -> FileKeyring:
        """The keyring of one service."""
        return FileKeyring(self.folder / "keyring" / service, passphrase=None, open_allowed=True)

    async def start(self) -> None:
        """Start audit, then the producer, and let the directory beat once."""
        settings = settings_for("audit", self.folder, ISSUER)
        self.service = await build(
            settings,
            bus=self.bus.door("audit"),
            clock=self.clock,
            keyring=self.keyring("audit"),
            http=self.http,
        )
        await self.service.start()
        own, door = settings_for("sharing", self.folder, ISSUER), self.bus.door("sharing")
        host = Host(own, door, self.clock, self.keyring("sharing"), self.http)
        self.producer = Frame("sharing", host, _TABLES, follows_directory=False)
        self.producer.trail.on_receipt(lambda _unit, receipt: self.receipts.append(receipt))
        await self.producer.start()
        await self.beat()

    async def stop(self) -> None:
        """Stop both."""
        await self.producer.stop()
        await self.service.stop()

    async def beat(self) -> None:
        """A heartbeat of identity, as identity would send it."""
        event = DirectoryHeartbeat(at=self.clock.now(), state_epoch=1, suspended=())
        recipients = [
            key
            for name in ("audit",)
            if (key := self.producer.keys.recipient(f"svc:{name}")) is not None
        ]
        value = seal(
            Message(
                type=event.TYPE,
                version=event.VERSION,
                data=event.data(),
                stream="heartbeat",
                seq=1,
                id=uuid7(),
                issued_at=self.clock.now(),
            ),
            sender=self.keyring("identity").signing_key(SERVICE_KEY),
            recipients=recipients,
        )
        await self.bus.door("identity").publish([Outgoing(topics.IDENTITY, b"heartbeat", value)])
        async with asyncio.timeout(20):
            # Readiness is asked for, it has no event
            while (await self.raw("GET", "/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def record(self, count: int = 1, **fields: Any) -> None:
        """Let the producer write entries, one transaction for all."""
        given: dict[str, Any] = {
            "operation": "disclosure",
            "outcome": "permit",
            "actor": Actor(f"{ISSUER}|per-officer", POLICE, "police_officer"),
            **fields,
        }
        entry = AuditEntry(**given)
        await self.producer.database.write(
            lambda unit: [self.producer.trail.record(unit, entry) for _ in range(count)]
        )

    async def receipted(self, count: int) -> None:
        """Wait for that many receipts in all, the producer's own heartbeat included."""
        await until(lambda: len(self.receipts) >= count)

    def token(self, **changes: Any) -> str:
        """A token of the mandated auditor, unless told otherwise."""
        now = int(self.clock.now().timestamp())
        auditor = next(
            person for person in self.bootstrap.people.values() if person.mandate is not None
        )
        claims = {
            "iss": ISSUER,
            "sub": auditor.id,
            "aud": AUDIT,
            "client_id": "portal",
            "agency": self.bootstrap.area.id,
            "roles": ["auditor"],
            "scope": "audit.read audit.verify",
            "cnf": {"jkt": self.client_key.kid},
            "jti": opaque(),
            "iat": now,
            "exp": now + 300,
            "acr": "urn:hub:test",
            "auth_time": now,
            "name_ref": "ref",
            **changes,
        }
        return jws.sign(claims, self.issuer_key, typ="at+jwt")

    async def call(
        self, method: str, path: str, *, token: str | None = None, **more: Any
    ) -> httpx2.Response:
        """One request to audit by an authenticated caller."""
        token = token or self.token()
        url = AUDIT + path.split("?", maxsplit=1)[0]
        headers = {
            "Authorization": f"DPoP {token}",
            "DPoP": make_proof(self.client_key, method, url, at=self.clock.now(), token=token),
        }
        if method == "POST":
            headers["Idempotency-Key"] = opaque()
        return await self.raw(method, path, headers=headers, **more)

    async def raw(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request to audit as given."""
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.service.app), base_url=AUDIT
        ) as client:
            return await client.request(method, path, **more)

    async def ask(self, wanted: Mapping[str, Any], *, token: str | None = None) -> str:
        """Ask a question; the path of its answers."""
        body = {
            "purpose": "verify_lawfulness",
            "justification": "Dip sample, week 47.",
            "filter": dict(wanted),
        }
        answer = await self.call("POST", "/v1/queries", token=token, json=body)
        assert answer.status_code == 201, answer.text
        return f"{answer.headers['location']}/entries"

    async def found(
        self, wanted: Mapping[str, Any], *, token: str | None = None
    ) -> list[dict[str, Any]]:
        """What a question finds on its first page."""
        answer = await self.call("GET", await self.ask(wanted, token=token), token=token)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def _issuer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/.well-known/oauth-authorization-server":
            return httpx2.Response(
                200,
                json={
                    "issuer": ISSUER,
                    "jwks_uri": f"{ISSUER}/jwks",
                    "token_endpoint": f"{ISSUER}/token",
                },
            )
        if request.url.path == "/jwks":
            return httpx2.Response(200, json={"keys": [self.issuer_key.jwk()]})
        return httpx2.Response(404)


@asynccontextmanager
async def running_audit(folder: Path) -> AsyncIterator[AuditHarness]:
    """Audit and a producer, started; both stopped at the end."""
    harness = AuditHarness(folder)
    await harness.bus.start()
    try:
        await harness.start()
        yield harness
    finally:
        await harness.stop()
        await harness.bus.stop()
        await harness.http.aclose()
