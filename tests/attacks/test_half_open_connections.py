"""1,100 connections that say nothing neither halt the log nor delay danger, in a process that may
have 1,024 files open."""

import asyncio
import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from audit.log.model.entries import LogHalted
from audit.log.repository.tiles import TileFolder
from deploy.stack import processes
from hubformats.ids import opaque
from hubformats.tlog.tiles import Tile
from hubpartner.client import HubClient
from hubpartner.profile import read_profile
from tests.support import half_open
from tests.support.hubs import StandaloneHub, wait_for, whole_inbox
from tests.support.senders import FORMS, POLICE

MANY = 1_100
FILES = 1_024
IDVA = "northmoor-idva"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneHub]:
    """A standalone hub started as after `ulimit -n 1024`; its deliveries are not spread."""
    folder = tmp_path_factory.mktemp("hub")
    made = StandaloneHub(folder, processes.free_port(), extra={"HUB_DELIVERY_SPREAD_MS": "0"})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * MANY:
        pytest.fail(f"raise the hard limit of open files: ulimit -Hn {2 * MANY} or more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    try:
        made.start()  # the child keeps what was set when it began
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MANY), hard))
    try:
        yield made
    finally:
        made.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_half_open_connections_neither_halt_the_log_nor_delay_danger(
    hub: StandaloneHub,
) -> None:
    assert _limit(hub) == FILES
    async with httpx2.AsyncClient(timeout=30.0) as http:
        police, idva = (
            HubClient(read_profile(hub.profiles / f"{name}.toml"), http) for name in (POLICE, IDVA)
        )
        usual = [await _seconds_to_arrive(police, idva) for _ in range(4)]
        with _half_open(hub.port):
            beset = [await _seconds_to_arrive(police, idva) for _ in range(4)]
            assert _open_files(hub) < FILES - 100, "the reserve was touched"
        assert sorted(beset)[1] < 2 * max(usual) + 0.5, (usual, beset)
        ready = await http.get(f"{hub.url('audit')}/readyz")
        assert (ready.status_code, "halted" in _log(hub)) == (200, False)
        assert "Too many open files" not in _log(hub)


async def test_a_head_that_never_ends_is_cut_off(hub: StandaloneHub) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    began = time.monotonic()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    drip = asyncio.create_task(_drip(writer))
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 20) == b""
    drip.cancel()
    writer.close()
    assert 8 < time.monotonic() - began < 15


@pytest.mark.parametrize("files", range(6))
def test_a_process_without_free_files_is_no_failed_disk(
    files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file cannot be opened, nothing is written by halves and the next try succeeds."""
    tiles, tile, left = TileFolder(tmp_path / "log"), Tile(0, 0), files
    opened = os.open

    def scarce(*arguments: Any, **named: Any) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opened(*arguments, **named)

    monkeypatch.setattr(os, "open", scarce)
    with suppress(OSError):  # LogHalted is none
        tiles.write(tile, b"leaf")
    monkeypatch.setattr(os, "open", opened)
    tiles.write(tile, b"leaf")
    assert tiles.read(tile) == b"leaf"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["000"]


def test_a_failed_disk_still_halts_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(LogHalted, match="disk-failed"):
        TileFolder(tmp_path / "log").write(Tile(0, 0), b"leaf")


async def _drip(writer: asyncio.StreamWriter) -> None:
    """One header line a second, for ever."""
    with suppress(ConnectionError):
        while True:
            writer.write(b"X: y\r\n")
            await asyncio.sleep(1)


async def _seconds_to_arrive(police: HubClient, idva: HubClient) -> float:
    """From the form to the list of whoever must go there."""
    before = len(await whole_inbox(idva))
    began = time.monotonic()
    form = {**FORMS["urgent"], "externalReference": f"NP-{opaque()[:12]}"}
    await police.submit_referral(form, idempotency_key=opaque())
    await wait_for(lambda: whole_inbox(idva), lambda items: len(items) > before)
    return time.monotonic() - began


@contextmanager
def _half_open(port: int) -> Iterator[None]:
    """Hold 1,100 connections with half a head each; whichever is closed is opened again."""
    command = [sys.executable, half_open.__file__, str(port), str(MANY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            assert attacker.stdout is not None
            assert attacker.stdout.readline() == "open\n"
            yield
            assert attacker.poll() is None, "the attack ended before what it is to disturb"
        finally:
            attacker.kill()


def _process(hub: StandaloneHub) -> Path:
    found = processes.running(hub.folder / "processes", "standalone")
    return Path(f"/proc/{found}")


def _limit(hub: StandaloneHub) -> int:
    lines = (_process(hub) / "limits").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Max open files")).split()[3])


def _open_files(hub: StandaloneHub) -> int:
    return len(list((_process(hub) / "fd").iterdir()))


def _log(hub: StandaloneHub) -> str:
    return (hub.folder / "processes" / "standalone.log").read_text(errors="replace")
