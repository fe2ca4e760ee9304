"""The hub's four services as they run, in one process, in either mode, with partners who call
them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx2

import audit.wiring
import identity.wiring
import portal.wiring
import referral.wiring
import sharing.wiring
from common.keyring import FileKeyring
from common.settings import Settings
from common.web.service import Service
from hubformats.bootstrap import SERVICES
from hubformats.clock import SystemClock
from hubformats.keys import StaticKeys
from hubpartner.client import HubClient
from hubpartner.delivery import Delivery, open_delivery
from hubpartner.profile import read_profile
from identity.bootstrap.use_cases.create import create
from standalone.prefixes import Prefixes
from tests.support.modes import STANDALONE, HubBus, Mode

T = TypeVar("T")
BASE = "http://hub.example.org"
EXAMPLES = Path(__file__).parents[2] / "examples"
BUILD = {
    "audit": audit.wiring.build,
    "identity": identity.wiring.build,
    "referral": referral.wiring.build,
    "sharing": sharing.wiring.build,
    "portal": portal.wiring.build,
}


def example(name: str, **changes: Any) -> dict[str, Any]:
    """One of the example payloads, with some fields replaced."""
    made: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
    return {**made, **changes}


@dataclass(slots=True)
class Road:
    """A running hub."""

    folder: Path
    bus: HubBus
    http: httpx2.AsyncClient
    services: dict[str, Service]
    _partners: dict[str, HubClient] = field(default_factory=dict)

    def partner(self, name: str) -> HubClient:
        """An agency's own system, or the operator's or auditor's tool."""
        if name not in self._partners:
            self._partners[name] = HubClient(
                read_profile(self.folder / "demo" / f"{name}.toml"), self.http
            )
        return self._partners[name]

    def open(self, agency: str, envelope: bytes) -> Delivery:
        """Open and verify offline, as that agency."""
        mine = self.partner(agency).profile
        return open_delivery(
            envelope, me=agency, opening=mine.opening, keys=StaticKeys(mine.hub), log=mine.log
        )

    async def refer(
        self, form: Mapping[str, Any], agency: str = "northmoor-police"
    ) -> dict[str, Any]:
        """Send a referral."""
        return await self.partner(agency).submit_referral(form)

    async def received(self, agency: str, *, wait: int = 10) -> list[Delivery]:
        """What the agency's inbox holds, after waiting for something to be there."""
        page = await self.partner(agency).inbox(wait=wait)
        return [self.open(agency, item.envelope) for item in page.items]

    def sharing(self, kind: type[T]) -> T:
        """A part that sharing's routes are provided with."""
        return self.services["sharing"].app.provisions.get(kind)


@asynccontextmanager
async def road(
    folder: Path,
    *,
    without: tuple[str, ...] = (),
    spread_ms: int = 0,
    database: Callable[[str], str] | None = None,
    portal: bool = False,
    mode: Mode = STANDALONE,
) -> AsyncIterator[Road]:
    """The hub in `folder`; a second call on the same folder is a restart.

    `without`: services that are down; `database`: the URL of a service's, SQLite in `folder` when
    nothing is said; `portal`: with people's pages, too.
    """
    create(folder, _urls())
    clock = SystemClock()
    bus = mode.bus(folder / "bus.db", clock)
    transport = httpx2.ASGITransport(app=_nobody, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport) as http:
        services: dict[str, Service] = {}
        down = without if portal else (*without, "portal")
        for name in [each for each in BUILD if each not in down]:
            keyring = FileKeyring(folder / "keyring" / name, passphrase=None, open_allowed=True)
            settings = mode.settings(settings_for(name, folder, spread_ms), name)
            if database is not None:
                settings = settings.with_(database_url=database(name))
            settings.data_dir.mkdir(exist_ok=True)
            services[name] = await BUILD[name](
                settings, bus=bus.door(name), clock=clock, keyring=keyring, http=http
            )
        mounted = cast(Any, {f"/{name}": service.app for name, service in services.items()})
        transport.app = cast(Any, Prefixes(mounted, cast(Any, _nobody), _nothing, _nothing))
        await bus.start()
        started: list[Service] = []
        try:
            for service in services.values():
                started.append(service)
                await service.start()
            for name in services:
                await until(lambda name=name: _ready(http, name), seconds=60)  # type: ignore[misc]
            yield Road(folder, bus, http, services)
        finally:
            for service in reversed(started):
                await service.stop()
            await bus.stop()


def settings_for(name: str, folder: Path, spread_ms: int) -> Settings:
    """Settings of one service of this hub."""
    urls = _urls()
    return Settings(
        service_url=urls[name],
        issuer=urls["identity"],
        database_url=f"sqlite:///{folder / name / name}.db",
        keyring_dir=folder / "keyring" / name,
        bootstrap_file=folder,
        data_dir=folder / name,
        demo=True,
        referral_url=urls["referral"],
        sharing_url=urls["sharing"],
        audit_url=urls["audit"],
        identity_url=urls["identity"],
        portal_url=BASE,
        delivery_spread_ms=spread_ms,
    )


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    """Wait for something that happens by itself. Fails the test when it does not.

    Asks less and less often: a signed request costs as much as what it waits for.
    """
    pause = 0.02
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(pause)
            pause = longer(pause)


def longer(pause: float) -> float:
    """The pause before the next look, in seconds: at most a tenth."""
    return min(pause * 1.3, 0.1)


async def _ready(http: httpx2.AsyncClient, name: str) -> bool:
    """Ready means, among the rest, that the first heartbeat of the directory has come."""
    return (await http.get(f"{BASE}/{name}/readyz")).status_code == 200


def _urls() -> dict[str, str]:
    return {name: f"{BASE}/{name}" for name in SERVICES} | {"portal": BASE}


async def _nobody(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 502, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _nothing() -> None:
    return
