"""The runner: settings errors in one line, and a stop that lets the service finish."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MARKER = "Zebedee-Quill"

_RUN = "from common.web.run import run_service; run_service('referral', None)"

_SERVE = """
import asyncio, gc, logging, sys
from pathlib import Path
from common.settings import Settings
from common.web.app import Api, create_app
from common.web.runtime import Runtime
from common.web.run import serve
from common.web.service import Service

class Part:
    async def start(self): print("started", flush=True)
    async def stop(self): print("stopped", flush=True)

async def main():
    here = Path(".")
    settings = Settings(service_url="http://127.0.0.1:1", issuer="http://127.0.0.1:1", database_url="sqlite:///x", keyring_dir=here,
                        bootstrap_file=here, data_dir=here, port=int(sys.argv[1]))
    service = Service("harness", create_app(Api("harness", "t", "d", []), Runtime(settings, None)), parts=[Part()])
    await service.start()
    try:
        await serve(service.app, settings)
    finally:
        await service.stop()
        print("set aside" if gc.get_freeze_count() > 10_000 else "", flush=True)

asyncio.run(main())
"""


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return {**kept, **more}


def test_a_missing_setting_ends_the_process_with_one_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _RUN],
        env=environment(HUB_PORT=MARKER),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == "referral: HUB_SERVICE_URL must be set\n"


def test_a_service_alone_needs_a_broker() -> None:
    url = "http://127.0.0.1:8101"
    names = ("SERVICE_URL", "ISSUER", "REFERRAL_URL", "SHARING_URL", "AUDIT_URL", "IDENTITY_URL")
    given = {f"HUB_{name}": url for name in names} | {
        f"HUB_{name}": MARKER for name in ("KEYRING_DIR", "BOOTSTRAP_FILE", "DATA_DIR")
    }
    given["HUB_DATABASE_URL"] = f"sqlite:///{MARKER}"
    ran = subprocess.run(
        [sys.executable, "-c", _RUN],
        env=environment(**given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("referral: HUB_BUS must be kafka")
    assert MARKER not in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_serving_and_then_stops_the_parts(number: signal.Signals) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        answer = wait_for(f"http://127.0.0.1:{port}/healthz", process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert answer == b'{"status":"ok"}'
    # What stood after the start is no longer looked through by the garbage collector.
    assert out.splitlines() == ["started", "stopped", "set aside"]
    assert (process.returncode, err) == (0, "")


def wait_for(url: str, process: subprocess.Popen[str]) -> bytes:
    """The first answer of a starting server."""
    for _ in range(300):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            # A fixed address of this machine
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
                assert "server" not in answer.headers
                content: bytes = answer.read()
                return content
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")
