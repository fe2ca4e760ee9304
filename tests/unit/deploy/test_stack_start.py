"""A second `make stack` in the folder of a running one: refused before anything is written, and
nothing it did not start is stopped."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stack import __main__ as program
from deploy.stack import processes, setup, topology
from deploy.stack.services import BASE, Stack

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
HERE, ELSEWHERE = 41_000, 42_000


@pytest.fixture
def half(tmp_path: Path) -> Iterator[Stack]:
    """A stack of which one service runs."""
    stack = Stack(tmp_path / "stack", HERE)
    processes.spawn(SLEEP, stack.folder / "processes", "referral")
    (stack.folder / BASE).write_text(f"{HERE}\n")
    yield stack
    processes.end(stack.folder / "processes", "referral")


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_start_on_other_ports_is_refused_and_leaves_the_running_one_alone(half: Stack) -> None:
    before = files(half.folder)
    with pytest.raises(
        processes.NotReady, match=rf"already runs on STACK_PORT={HERE}.*make stack-stop"
    ):
        Stack(half.folder, ELSEWHERE).start()
    assert half.running() == {"referral"}
    assert files(half.folder) == before


def test_a_port_in_use_is_said_before_anything_is_written(tmp_path: Path) -> None:
    for part, offset in (("portal", 0), ("kafka", 93)):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(processes.NotReady, match=f"port {port} for {part} is in use"):
                Stack(tmp_path / "stack", port - offset).start()
    assert not (tmp_path / "stack").exists()


def test_a_start_that_fails_stops_only_what_it_started(
    half: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Stack) -> None:
        processes.spawn(SLEEP, self.folder / "processes", "sharing")
        raise processes.NotReady("no")

    monkeypatch.setattr(Stack, "start_servers", fail)
    monkeypatch.setattr(processes, "port_is_taken", lambda _port: False)
    with pytest.raises(processes.NotReady, match="no"):
        half.start()
    assert half.running() == {"referral"}


def test_git_is_told_to_leave_a_stack_alone_before_it_has_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(folder: Path, *_: object, **__: object) -> None:
        assert (folder / ".gitignore").read_text() == "*\n"
        raise processes.NotReady("seen")

    monkeypatch.setattr(setup, "prepare", prepare)
    with pytest.raises(processes.NotReady, match="seen"):
        Stack(tmp_path / "stack", HERE).start_servers()


def test_every_port_of_the_topology_is_looked_at() -> None:
    assert {part for part, _ in topology.listens()} == {*topology.SERVICES, "kafka", "postgres"}


def test_a_stop_says_what_it_did(
    half: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stack", "stop"])
    monkeypatch.setenv("HUB_DIR", str(half.folder.parent))
    for said in ("The stack is stopped; its data stay.", f"No stack runs in {half.folder}."):
        assert program.main() == 0
        assert said in capsys.readouterr().out
