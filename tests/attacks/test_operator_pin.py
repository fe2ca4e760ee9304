"""A bootstrap file that another operator signed starts nothing, whatever lies beside it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.stack import processes, setup, topology
from deploy.stack.services import Stack
from hubformats.bootstrap import FILE_NAME
from hubformats.keys import generate_signing

OTHER = generate_signing("operator").kid
KID = "HUB_OPERATOR_KID"


_ALL = """
import importlib, json, os, sys
from common.web.run import run_service
for name, given in json.load(sys.stdin).items():
    os.environ.update(given)
    try:
        run_service(name, importlib.import_module(f"{name}.wiring").build)
    except SystemExit as ended:
        print(name, ended.code, flush=True)
    for each in given:
        del os.environ[each]
"""
"""Starts one service after the other, each with its own settings, and prints how each ended."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A hub of processes as `make stack` prepares it, its servers not started."""
    made = Stack(tmp_path_factory.mktemp("hub"))
    setup.prepare(made.folder, made.urls, made.servers)
    return made


def test_with_another_operators_file_no_service_starts(stack: Stack, tmp_path: Path) -> None:
    setup.prepare(tmp_path, _urls(), setup.Servers("127.0.0.1:1", "127.0.0.1", 1))
    strange = tmp_path / "public"  # the file and, beside it, the key that signed it
    _none_starts(
        {name: _given(stack, name, HUB_BOOTSTRAP_FILE=str(strange)) for name in topology.SERVICES},
        strange,
    )


def test_without_a_pin_no_service_starts_outside_demo_mode(tmp_path: Path) -> None:
    locked = Stack(tmp_path, passphrase="correct horse battery staple")
    setup.prepare(tmp_path, locked.urls, locked.servers, passphrase=locked.passphrase)
    given = {name: _given(locked, name) for name in topology.SERVICES}
    for each in given.values():
        del each[f"{KID}_FILE"]
    _none_starts(given, tmp_path / "public")


def test_with_a_wrong_pin_standalone_does_not_start(tmp_path: Path) -> None:
    given = {KID: OTHER, "HUB_DIR": str(tmp_path), "PORT": str(processes.free_port())}
    ran = _start(["-m", "standalone"], given)
    assert ran.returncode == 2
    [sentence] = ran.stderr.splitlines()
    assert KID in sentence
    assert str(tmp_path) in sentence
    assert not list(tmp_path.glob("*/*.db"))


def test_every_process_and_container_is_given_the_pin(stack: Stack) -> None:
    pins = {
        Path(stack.environment(service)[f"{KID}_FILE"]).read_text() for service in topology.SERVICES
    }
    assert len(pins) == 1
    assert OTHER not in pins


def test_set_up_refuses_another_operator_than_the_pinned_one(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(processes.NotReady, match=f"{KID} does not fit .*{FILE_NAME}"):
        setup.prepare(tmp_path, stack.urls, stack.servers, operator_kid=OTHER)
    assert not (tmp_path / "secrets").exists()


def test_the_first_pin_stays_when_set_up_is_repeated(tmp_path: Path) -> None:
    servers = setup.Servers("127.0.0.1:1", "127.0.0.1", 1)
    setup.prepare(tmp_path, _urls(), servers)
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / "keyring" / "operator" / "operator.json").unlink()
    with pytest.raises(processes.NotReady, match="operator-kid does not fit"):
        setup.prepare(tmp_path, _urls(), servers)


def _urls() -> dict[str, str]:
    return {name: f"http://127.0.0.1:{topology.port(name)}" for name in topology.SERVICES}


def _given(stack: Stack, service: str, **more: str) -> dict[str, str]:
    """What the topology tells the service, on a database that needs no server."""
    database = {"HUB_DATABASE_URL": f"sqlite:///{stack.folder}/data/{service}/x.db"}
    told = topology.environment(service, stack.place(service))
    told.pop("HUB_DATABASE_URL_FILE")
    return {**told, **database, **more}


def _none_starts(given: Mapping[str, Mapping[str, str]], file: Path) -> None:
    """Each service ends with status 2 and one sentence that names the setting and the file."""
    ran = _start(["-c", _ALL], {}, json.dumps(given))
    ended = [line for line in ran.stdout.splitlines() if not line.startswith("{")]
    assert ended == [f"{name} 2" for name in given], ran.stderr
    said = [line for line in ran.stderr.splitlines() if KID in line and str(file) in line]
    assert [line.partition(":")[0] for line in said] == list(given)
    assert "Traceback" not in ran.stderr


def _start(
    words: list[str], given: Mapping[str, str], said: str = ""
) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HUB_")}
    return subprocess.run(
        [sys.executable, *words],
        env={**kept, **given},
        input=said,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
