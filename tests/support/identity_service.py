"""Identity as it runs: its own wiring on the embedded bus and SQLite, served over HTTP on a free
port."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import uvicorn

from common.keyring import FileKeyring
from common.settings import Settings
from common.topics import topics
from common.web.service import Service
from hubformats.bootstrap import SERVICES, Bootstrap, read_bootstrap
from hubformats.clock import SystemClock
from identity.bootstrap.model.northmoor import AGENCIES
from identity.bootstrap.use_cases.create import create
from identity.wiring import build
from standalone.bus import EmbeddedBus


@dataclass(slots=True)
class Running:
    """A running identity service."""

    url: str
    folder: Path
    bus: EmbeddedBus
    service: Service
    http: httpx2.AsyncClient
    bootstrap: Bootstrap


def settings_for(
    service: str, folder: Path, identity_url: str, *, database_url: str = ""
) -> Settings:
    """Settings of one service of a hub in `folder` whose identity is at `identity_url`."""
    urls = {
        name: identity_url if name == "identity" else f"http://{name}.hub.example.org"
        for name in SERVICES
    }
    return Settings(
        service_url=urls[service],
        issuer=identity_url,
        database_url=database_url or f"sqlite:///{folder}/{service}.db",
        keyring_dir=folder / "keyring" / service,
        bootstrap_file=folder,
        data_dir=folder,
        demo=True,
        referral_url=urls["referral"],
        sharing_url=urls["sharing"],
        audit_url=urls["audit"],
        identity_url=identity_url,
        portal_url=urls["portal"],
    )


@asynccontextmanager
async def running_identity(
    folder: Path, *, bus: EmbeddedBus | None = None
) -> AsyncIterator[Running]:
    """Identity of a hub in `folder`; a second call on the same folder is a restart."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        urls = {name: f"http://{name}.hub.example.org" for name in SERVICES} | {"identity": url}
        create(folder, urls)
        clock = SystemClock()
        own = bus or EmbeddedBus(folder / "bus.db", topics(tuple(AGENCIES)), clock=clock)
        keyring = FileKeyring(folder / "keyring" / "identity", passphrase=None, open_allowed=True)
        async with httpx2.AsyncClient() as http:
            service = await build(
                settings_for("identity", folder, url),
                bus=own.door("identity"),
                clock=clock,
                keyring=keyring,
                http=http,
            )
            if bus is None:
                await own.start()
            await service.start()
            config = uvicorn.Config(
                service.app, lifespan="off", access_log=False, log_config=None, ws="none"
            )
            server = uvicorn.Server(config)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
                await asyncio.sleep(0.01)
            try:
                yield Running(url, folder, own, service, http, read_bootstrap(folder))
            finally:
                server.should_exit = True
                await task
                await service.stop()
                if bus is None:
                    await own.stop()
