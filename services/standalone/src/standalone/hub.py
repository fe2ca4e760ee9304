"""The whole hub in one process: every service by its own wiring, on one embedded bus."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

import audit.wiring
import identity.wiring
import portal.wiring
import referral.wiring
import sharing.wiring
from common import topics
from common.bus import Bus
from common.keyring import USED, FileKeyring
from common.settings import Settings, SettingsError, StartRefused
from common.web.service import Service
from common.web.starting import refusal
from hubformats.bootstrap import SERVICES, Bootstrap
from hubformats.clock import Clock, ClockRefused, SystemClock
from identity.bootstrap.use_cases.create import create
from standalone.bus import EmbeddedBus
from standalone.prefixes import Prefixes

# Audit is first, so that it stops last and everything the others still write on the way down finds
# it.
ORDER: Final = ("audit", "identity", "referral", "sharing", "portal")
_BUILD: Final = {
    "audit": audit.wiring.build,
    "identity": identity.wiring.build,
    "referral": referral.wiring.build,
    "sharing": sharing.wiring.build,
    "portal": portal.wiring.build,
}

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a standalone hub lives: its data folder and the base URL it is reached at."""

    folder: Path
    base_url: str

    def url(self, service: str) -> str:
        """Return the base URL of one service. The portal is at the root."""
        return self.base_url if service == "portal" else f"{self.base_url}/{service}"

    @property
    def bus_file(self) -> Path:
        """Return the file of the embedded bus."""
        return self.folder / "bus" / "bus.db"


def settings_for(service: str, place: Place, base: Settings | None = None) -> Settings:
    """Make one service's settings: its own database file and folder, the shared bootstrap."""
    data = place.folder / service
    common = {
        "service_url": place.url(service),
        "issuer": place.url("identity"),
        "database_url": f"sqlite:///{data / service}.db",
        "keyring_dir": place.folder / "keyring" / service,
        "bootstrap_file": place.folder,
        "data_dir": data,
        "demo": True,
        **{f"{name}_url": place.url(name) for name in SERVICES},
    }
    if base is not None:
        return base.with_(**common)
    return Settings(**common)  # type: ignore[arg-type]


class Hub:
    """All services together. `app` serves them on one port and calls `start` and `stop`."""

    def __init__(self, place: Place, *, bus: Bus, bootstrap: Bootstrap, progress: Progress) -> None:
        self.place = place
        self.bus = bus
        self.bootstrap = bootstrap
        self.services: dict[str, Service] = {}
        self._progress = progress
        self._started: list[Service] = []
        self.failure: BaseException | None = None
        """Why it did not start; the server that called `start` says only that it did not."""
        self.app = Prefixes({}, _nobody, self.start, self.stop)
        self.http: httpx2.AsyncClient | None = None

    async def start(self) -> None:
        """Start the bus, then every service in order.

        A failure stops what had begun and is raised.
        """
        name = "bus"
        try:
            await self.bus.start()
            for name in ORDER:
                self._progress(f"starting {name}")
                self._started.append(self.services[name])
                await self.services[name].start()
        except BaseException as failure:
            self.failure = _said(failure, settings_for(name, self.place))
            with suppress(Exception):
                await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the services in reverse order, then the bus.

        What they write while stopping is durable before it closes.
        """
        while self._started:
            await self._started.pop().stop()
        if self.http is not None:
            await self.http.aclose()
        await self.bus.stop()


async def assemble(
    place: Place,
    *,
    clock: Clock | None = None,
    base: Settings | None = None,
    progress: Progress = lambda _: None,
) -> Hub:
    """Build the hub in `place`; nothing runs yet.

    The first start makes keys, the bootstrap file and the demo profiles.
    """
    clock = clock or SystemClock()
    progress("keys and the operator-signed bootstrap file")
    everywhere = settings_for("", place)
    try:
        bootstrap = create(place.folder, {name: place.url(name) for name in SERVICES})
        sharing.wiring.sign_agreement(place.folder, bootstrap.area.id)
        _demand_same_bus(place)
        (place.folder / "bus").mkdir(mode=0o700, exist_ok=True)
    except Exception as failure:  # noqa: BLE001 - said with the place it is about
        raise _said(failure, everywhere) from None
    bus = EmbeddedBus(place.bus_file, topics.topics(tuple(bootstrap.agencies)), clock=clock)
    hub = Hub(place, bus=bus, bootstrap=bootstrap, progress=progress)
    transport = _InProcess(lambda: hub.app)
    hub.http = httpx2.AsyncClient(transport=transport, base_url=place.base_url)
    for name in ORDER:
        settings = settings_for(name, place, base)
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            keyring = FileKeyring(settings.keyring_dir, passphrase=None, open_allowed=True)
            hub.services[name] = await _BUILD[name](
                settings, bus=bus.door(name), clock=clock, keyring=keyring, http=hub.http
            )
        except Exception as failure:  # noqa: BLE001 - said with the place it is about
            raise _said(failure, settings) from None
    mounted: Mapping[str, ASGIApp] = {
        f"/{name}": hub.services[name].app for name in ORDER if name != "portal"
    }
    hub.app = Prefixes(mounted, hub.services["portal"].app, hub.start, hub.stop)
    return hub


def _demand_same_bus(place: Place) -> None:
    """Raise StartRefused for a bus that is gone beside keyrings that were used.

    What one service had sent and another had not taken in would be lost without a word.
    """
    file = place.bus_file
    if file.exists() and file.stat().st_size > 0:
        return
    for name in ORDER:
        folder = settings_for(name, place).keyring_dir
        if FileKeyring(folder, passphrase=None, open_allowed=True).known(USED) is not None:
            raise StartRefused(
                f"the bus {file} is lost or empty, and the hub has been used: restore its newest "
                "backup; nothing begins anew beside what was used"
            )


def _said(failure: BaseException, settings: Settings) -> BaseException:
    """Choose what is told of a failure; a setting has its own sentence."""
    own = (SettingsError, ClockRefused)
    if isinstance(failure, own) or not isinstance(failure, Exception):
        return failure
    return refusal(failure, settings)


async def _nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("the hub is still being assembled")


class _InProcess(httpx2.AsyncBaseTransport):
    """Calls between services without a socket, through the same guards as from outside."""

    def __init__(self, app: Callable[[], ASGIApp]) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer from the mounted apps."""
        return await httpx2.ASGITransport(
            app=self._app(), raise_app_exceptions=False
        ).handle_async_request(request)
