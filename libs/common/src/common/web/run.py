"""Runs one service in its own process, until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Iterator
from typing import Final, Protocol

import httpx2
import uvicorn
import uvloop
from starlette.types import ASGIApp

from common import telemetry
from common.bus import Bus, BusUnavailable
from common.bus_kafka import KafkaBus
from common.keyring import FileKeyring, Keyring
from common.settings import Settings, SettingsError
from common.telemetry import describe
from common.web import correlation
from common.web.connections import Limits, limited
from common.web.service import Service, settle_memory
from common.web.starting import refusal
from hubformats.clock import Clock, ClockRefused, SystemClock

_log = logging.getLogger("hub.run")
_PATIENCE_S: Final = 60.0


class Build(Protocol):
    """A service's composition root (`wiring.build`)."""

    def __call__(
        self,
        settings: Settings,
        *,
        bus: Bus,
        clock: Clock,
        keyring: Keyring,
        http: httpx2.AsyncClient,
    ) -> Awaitable[Service]:
        """Make the service; nothing is started yet."""
        ...


def run_service(name: str, build: Build) -> None:
    """Run until SIGTERM or SIGINT. Exits with one line: docs/starting.md."""
    try:
        settings = Settings.from_env(os.environ)
        if settings.bus != "kafka":
            where = "the embedded bus lives in the standalone process"
            raise SettingsError("HUB_BUS", f"kafka when a service runs alone; {where}")
        bus = kafka_bus(settings)
        clock = SystemClock()
    except (SettingsError, ClockRefused) as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(2) from None
    telemetry.start_logging(name, correlation=correlation.current)
    telemetry.start_telemetry(name, settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, build, bus, clock))
    except SettingsError as error:  # found while building: the pin does not fit the file
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(2) from None
    except Exception as error:  # noqa: BLE001 - one sentence, whatever it is
        found = refusal(error, settings)
        sys.stderr.write(f"{name}: {found}\n")
        raise SystemExit(found.status) from None
    finally:
        telemetry.stop_telemetry()


async def _serve(settings: Settings, build: Build, bus: KafkaBus, clock: Clock) -> None:
    keyring = FileKeyring(
        settings.keyring_dir, passphrase=settings.keyring_passphrase, open_allowed=settings.demo
    )
    async with http_client() as http:
        service = await build(settings, bus=bus, clock=clock, keyring=keyring, http=http)
        await _reach(bus)
        try:
            await service.start()
            try:
                await serve(service.app, settings)
            finally:
                await service.stop()
        finally:
            await bus.stop()


def kafka_bus(settings: Settings) -> KafkaBus:
    """Make the bus of one service. Raises SettingsError as `kafka_tls` does."""
    user, password = settings.kafka_user, settings.kafka_password
    return KafkaBus(settings.kafka_bootstrap, user, password, tls=kafka_tls(settings))


def kafka_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the context that checks the broker's certificate and name, None without TLS.

    HUB_KAFKA_CA_FILE says who may vouch for it.

    Raises SettingsError if it holds no certificates.
    """
    if settings.kafka_ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.kafka_ca_file)
    except (OSError, ssl.SSLError):
        raise SettingsError("HUB_KAFKA_CA_FILE", "the path of a file of PEM certificates") from None


async def _reach(bus: Bus) -> None:
    """Start the bus, waiting for a broker that starts when we do.

    Raises BusUnavailable after `_PATIENCE_S`.
    """
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            await bus.start()
        except BusUnavailable as error:
            if time.monotonic() > end:
                raise
            _log.warning("waiting for the bus", extra={"error": describe(error)})
            await asyncio.sleep(1)
        else:
            return


def http_client() -> httpx2.AsyncClient:
    """Make the client for calls between services: bounded, no redirects, no proxy of the system."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(5.0, connect=2.0),
        limits=httpx2.Limits(max_connections=100, max_keepalive_connections=20),
        follow_redirects=False,
        trust_env=False,
    )


async def serve(app: ASGIApp, settings: Settings) -> None:
    """Serve on settings.host:port until SIGTERM or SIGINT; then the caller stops its parts."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="none",
        http=limited(Limits(settings.connections, settings.connections_per_peer)),
        ws="none",
        lifespan="off",
        access_log=False,  # it prints paths and queries
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
    )
    running = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.leave)
    settle_memory()
    try:
        await running.serve()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """Keeps signals from uvicorn, which raises them again before the service has stopped."""

    def leave(self) -> None:
        """Finish open requests, then return from `serve`."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve` above."""
        yield
