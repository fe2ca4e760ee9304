"""`make run`: start the hub with demo data, show what it does, then say where to sign in."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn
import uvloop

from common import telemetry
from common.settings import Settings, SettingsError, StartRefused
from common.web import correlation
from common.web.connections import Limits, limited
from common.web.service import settle_memory
from hubformats.bootstrap import SERVICES
from hubformats.clock import ClockRefused
from standalone.claim import Taken, claim_folder, claim_port
from standalone.hub import Place, assemble, settings_for
from standalone.welcome import welcome


def main() -> None:
    """Read PORT and HUB_DIR, start, serve until interrupted.

    A refusal is one sentence, with its status of docs/starting.md. Only this program says 1, for a
    port or a folder in use.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run())
    except Taken as error:
        _refuse(error, 1)
    except (SettingsError, ClockRefused) as error:
        _refuse(error, 2)
    except StartRefused as error:
        _refuse(error, error.status)
    except KeyboardInterrupt:
        print(
            f"\nThe hub is stopped. Its data stay in {_folder()}; make demo-reset deletes them.",
            flush=True,
        )


def _refuse(error: Exception, status: int) -> NoReturn:
    sys.stderr.write(f"The hub did not start: {error}.\n")
    sys.exit(status)


async def _run() -> None:
    began = time.monotonic()
    port = _port()
    place = Place(_folder(), f"http://127.0.0.1:{port}")
    base = Settings.from_env({**os.environ, **_defaults(place)}).with_(port=port)
    telemetry.start_logging("standalone", correlation=correlation.current)
    telemetry.start_telemetry("standalone", base)

    def progress(step: str) -> None:
        print(f"  [{time.monotonic() - began:4.1f} s] {step}", flush=True)

    # Both are ours before anything is written: profiles of another port would break the hub that
    # runs in this folder.
    with claim_port(base.host, port) as bound, claim_folder(place.folder):
        print("Safeguarding Hub, standalone. Everything in it is invented.", flush=True)
        hub = await assemble(place, base=base, progress=progress)
        config = uvicorn.Config(
            hub.app,
            host=base.host,
            port=port,
            http=limited(Limits(base.connections, base.connections_per_peer)),
            log_level="warning",
            access_log=False,
            lifespan="on",
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=5,
        )
        # The server leaves by itself after a failed start, and does not say why it failed.
        with suppress(SystemExit):
            await _Server(
                config, lambda: print(welcome(hub, time.monotonic() - began), flush=True)
            ).serve([bound])
        if hub.failure is not None:
            raise hub.failure


class _Server(uvicorn.Server):
    """Greets once the socket listens, not before: the first click must find somebody home."""

    def __init__(self, config: uvicorn.Config, greet: Callable[[], None]) -> None:
        super().__init__(config)
        self._greet = greet

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then greet."""
        await super().startup(sockets)
        if self.started:
            settle_memory()
            self._greet()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop once. A second Ctrl-C would break the services off while they stop, in seconds."""
        if not self.should_exit:
            super().handle_exit(sig, frame)


def _folder() -> Path:
    return Path(os.environ.get("HUB_DIR") or ".run").resolve()


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 65536:
        raise SettingsError("PORT", "a number from 1 to 65535")
    return int(text)


def _defaults(place: Place) -> dict[str, str]:
    """List the HUB_* variables that standalone decides itself.

    The rest may still be set from outside.
    """
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
        **{f"HUB_{name.upper()}_URL": place.url(name) for name in SERVICES},
    }


if __name__ == "__main__":
    main()
