"""`make run`: starts the hub standalone with demo data, shows what it is doing, then says where to sign in."""

import asyncio
import os
import sys
import time
from pathlib import Path

import uvicorn

from common.settings import Settings, SettingsError
from common.telemetry import set_up
from standalone.hub import Hub, Place, assemble, settings_for
from standalone.welcome import welcome


def main() -> None:
    """Read PORT and HUB_DIR, start, serve until interrupted. Exit code 2 for a bad setting, 1 when the hub cannot start."""
    try:
        asyncio.run(_run())
    except SettingsError as error:
        sys.exit(f"The hub did not start: {error}.")
    except KeyboardInterrupt:
        pass


async def _run() -> None:
    began = time.monotonic()
    port, folder = _port(), Path(os.environ.get("HUB_DIR") or ".run").resolve()
    place = Place(folder, f"http://127.0.0.1:{port}")
    base = Settings.from_env({**os.environ, **_defaults(place)}).with_(port=port)
    set_up("standalone", base)

    def progress(step: str) -> None:
        print(f"  [{time.monotonic() - began:4.1f} s] {step}", flush=True)

    print("Safeguarding Hub, standalone. Everything in it is invented.", flush=True)
    hub = await assemble(place, base=base, progress=progress)
    config = uvicorn.Config(
        hub.app or (), host=base.host, port=port, log_level="warning", access_log=False, lifespan="on", server_header=False, date_header=True,
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    await asyncio.gather(server.serve(), _greet(server, hub, began))


async def _greet(server: uvicorn.Server, hub: Hub, began: float) -> None:
    while not server.started and not server.should_exit:
        await asyncio.sleep(0.02)
    if server.started:
        print(welcome(hub, time.monotonic() - began), flush=True)


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingsError("PORT", "a number from 1 to 65535")
    return int(text)


def _defaults(place: Place) -> dict[str, str]:
    """The HUB_* variables that standalone decides itself, so that the rest may still be set from outside."""
    made = settings_for("portal", place)
    return {
        "HUB_SERVICE_URL": made.service_url,
        "HUB_ISSUER": made.issuer,
        "HUB_DATABASE_URL": made.database_url,
        "HUB_KEYRING_DIR": str(made.keyring_dir),
        "HUB_BOOTSTRAP_FILE": str(made.bootstrap_file),
        "HUB_DATA_DIR": str(made.data_dir),
        "HUB_BUS": "embedded",
        "HUB_DEMO": "1",
    }


if __name__ == "__main__":
    main()
