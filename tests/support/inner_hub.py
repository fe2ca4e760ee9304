"""A whole hub inside the test's own process: every real service, called without a socket, in either
mode."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import sharing.wiring
from common.keyring import FileKeyring
from common.settings import Settings
from common.telemetry import JsonLines, ScrubbingExporter
from common.web import correlation
from common.web.client import TokenSource
from common.web.frame import Frame
from common.web.service import Service
from hubformats import jws
from hubformats.bootstrap import SERVICE_KEY, SERVICES
from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.ids import opaque
from hubformats.keys import SigningKey, generate_signing
from hubpartner.client import HubClient
from hubpartner.profile import read_profile
from identity.bootstrap.use_cases.create import create
from identity.oauth.use_cases.authority import Authority
from standalone.hub import ORDER, Hub, Place, assemble, settings_for
from standalone.prefixes import Prefixes
from tests.support.modes import STANDALONE, Mode
from tests.support.road import BUILD, longer

ROOT: Final = Path(__file__).parents[2]
BASE: Final = "http://127.0.0.1:8000"
FULL: Final[dict[str, Any]] = json.loads((ROOT / "examples/referral-full.json").read_text("utf-8"))
URGENT: Final[dict[str, Any]] = json.loads(
    (ROOT / "examples/referral-urgent.json").read_text("utf-8")
)
POLICE: Final = "northmoor-police"
CLOCK: Final = SystemClock()


@dataclass(slots=True)
class Caller:
    """A client of the hub with its own keys; its tokens come from the real token endpoint."""

    name: str
    client_id: str
    tokens: TokenSource


@dataclass(slots=True)
class InnerHub:
    """The running hub, its callers, and everything it said to logs and spans."""

    hub: Hub
    http: httpx2.AsyncClient
    folder: Path
    log: io.StringIO
    spans: InMemorySpanExporter
    mode: Mode = STANDALONE
    callers: dict[str, Caller] = field(default_factory=dict)

    def url(self, service: str) -> str:
        """Base URL of a service, which is the audience of its tokens."""
        return self.hub.place.url(service)

    def service(self, name: str) -> Service:
        """One of the services."""
        return self.hub.services[name]

    def frame(self, name: str) -> Frame:
        """What a service stands on: its inbox, keys, database."""
        frames = [part for part in self.service(name)._parts if isinstance(part, Frame)]
        return frames[0]

    def caller(self, name: str) -> Caller:
        """An agency's system, `operator`, `auditor`, or a service as `svc-<name>`."""
        if name not in self.callers:
            if name.startswith("svc-"):
                ring = FileKeyring(
                    self.folder / "keyring" / name.removeprefix("svc-"),
                    passphrase=None,
                    open_allowed=True,
                )
                client_id, signing, dpop = (
                    name,
                    ring.signing_key(SERVICE_KEY),
                    generate_signing(name),
                )
            else:
                profile = read_profile(self.folder / "demo" / f"{name}.toml")
                client_id, signing, dpop = profile.client_id, profile.signing, profile.dpop
            tokens = TokenSource(
                self.url("identity"),
                client_id,
                signing=signing,
                dpop_key=dpop,
                http=self.http,
                clock=CLOCK,
            )
            self.callers[name] = Caller(name, client_id, tokens)
        return self.callers[name]

    def client(self, name: str) -> HubClient:
        """The partner library's client of an agency."""
        return HubClient(read_profile(self.folder / "demo" / f"{name}.toml"), self.http)

    async def call(
        self,
        who: str,
        method: str,
        service: str,
        path: str,
        *,
        scope: str = "referral.write",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        """One request by a caller with a token of its own, or with `token`.

        `key` is the Idempotency-Key, made up for a POST; empty for none.
        """
        caller, token, key = self.caller(who), more.pop("token", None), more.pop("key", None)
        token = await caller.tokens.token(self.url(service), scope) if token is None else token
        given = {
            **self.proven(caller.tokens.dpop_key, method, service, path, token),
            **(headers or {}),
        }
        if method == "POST" and key != "":
            given.setdefault("Idempotency-Key", key or opaque())
        return await self.raw(
            method, service, path, headers={n: v for n, v in given.items() if v}, **more
        )

    def proven(
        self, dpop: SigningKey, method: str, service: str, path: str, token: str
    ) -> dict[str, str]:
        """Authorization and a fresh proof."""
        proof = make_proof(
            dpop,
            method,
            self.url(service) + path.split("?", maxsplit=1)[0],
            at=CLOCK.now(),
            token=token,
        )
        return {"Authorization": f"DPoP {token}", "DPoP": proof}

    async def raw(self, method: str, service: str, path: str, **more: Any) -> httpx2.Response:
        """One request as given."""
        return await self.http.request(method, self.url(service) + path, **more)

    async def submit(self, body: Any, who: str = POLICE, **more: Any) -> httpx2.Response:
        """POST a referral."""
        return await self.call(
            who, "POST", "referral", more.pop("path", "/v1/referrals"), json=body, **more
        )

    def minted(
        self, who: str = POLICE, service: str = "referral", *, life: int = 300, **changes: Any
    ) -> str:
        """A token signed by identity's own key with claims it would never give; a change to None
        removes the claim.
        """
        caller, now = self.caller(who), int(CLOCK.now().timestamp())
        key: SigningKey = self.service("identity").app.provisions.get(Authority).token_key
        good = {
            "iss": self.url("identity"),
            "sub": caller.client_id,
            "aud": self.url(service),
            "client_id": caller.client_id,
            "agency": who,
            "roles": ["system"],
            "scope": "referral.write referral.read",
            "cnf": {"jkt": caller.tokens.dpop_key.kid},
            "jti": opaque(),
            "iat": now,
            "exp": now + life,
        }
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return jws.sign(claims, key, typ="at+jwt")

    async def outcomes(
        self, referral_id: str, who: str = POLICE, *, until: str = "released", seconds: float = 60.0
    ) -> set[str]:
        """The states of a referral's outcomes, once there are some and all are `until`, or when
        time is up.
        """
        end, pause = CLOCK.monotonic() + seconds, 0.03
        while True:
            read = await self.call(
                who, "GET", "referral", f"/v1/referrals/{referral_id}", scope="referral.read"
            )
            states = {str(outcome["state"]) for outcome in read.json()["outcomes"]}
            if states == {until} or CLOCK.monotonic() > end:
                return states
            await asyncio.sleep(pause)
            pause = longer(pause)

    def file(self, service: str) -> Path:
        """The name of a service's database: where it is in standalone."""
        return self.folder / service / f"{service}.db"

    def rows(self, service: str, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds in a service's database."""
        return self.mode.rows(self.file(service), query, *values)

    def counts(self, service: str, tables: Sequence[str]) -> dict[str, int]:
        """Rows of each table."""
        return {
            table: self.rows(service, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - ours
            for table in tables
        }

    def said(self) -> str:
        """Every log line and every span since this was last asked, as they would leave the
        process.
        """
        words = self.log.getvalue() + "".join(
            span.to_json() for span in self.spans.get_finished_spans()
        )
        self.log.seek(0)
        self.log.truncate()
        self.spans.clear()
        return words


@asynccontextmanager
async def inner_hub(folder: Path, mode: Mode = STANDALONE) -> AsyncIterator[InnerHub]:
    """A hub started in `folder` and stopped at the end; its deliveries are not spread in time.

    Use it on one event loop: the services' tasks live on it.
    """
    log, spans = io.StringIO(), InMemorySpanExporter()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonLines("inner", correlation.current))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    processor = SimpleSpanProcessor(ScrubbingExporter(spans))
    _provider().add_span_processor(processor)
    place = Place(folder, BASE)
    base = settings_for("portal", place).with_(delivery_spread_ms=0)
    hub = await assembled(mode, place, base)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(hub.app), base_url=BASE, timeout=30.0)
    try:
        await hub.start()
        yield InnerHub(hub, http, folder, log, spans, mode)
        await http.aclose()
        await hub.stop()
    finally:
        processor.shutdown()
        root.removeHandler(handler)
        root.setLevel(level)


async def assembled(mode: Mode, place: Place, base: Settings | None = None) -> Hub:
    """The hub that `assemble` builds, on the servers of the mode; each service by its wiring."""
    if mode is STANDALONE:
        return await assemble(place, base=base)
    bootstrap = create(place.folder, {name: place.url(name) for name in SERVICES})
    sharing.wiring.sign_agreement(place.folder, bootstrap.area.id)
    bus = mode.bus(place.folder / "bus.db", CLOCK)
    hub = Hub(place, bus=bus, bootstrap=bootstrap, progress=lambda _: None)
    transport = httpx2.ASGITransport(app=hub.app, raise_app_exceptions=False)
    hub.http = httpx2.AsyncClient(transport=transport, base_url=place.base_url)
    for name in ORDER:
        settings = mode.settings(settings_for(name, place, base), name)
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        keyring = FileKeyring(settings.keyring_dir, passphrase=None, open_allowed=True)
        hub.services[name] = await BUILD[name](
            settings, bus=bus.door(name), clock=CLOCK, keyring=keyring, http=hub.http
        )
    mounted = {f"/{name}": hub.services[name].app for name in ORDER if name != "portal"}
    hub.app = Prefixes(mounted, hub.services["portal"].app, hub.start, hub.stop)
    transport.app = hub.app
    return hub


def _provider() -> TracerProvider:
    """The process's provider; every span is taken, because a leak in an unsampled one is a leak."""
    found = trace.get_tracer_provider()
    if not isinstance(found, TracerProvider):
        found = TracerProvider()
        trace.set_tracer_provider(found)
    return found
