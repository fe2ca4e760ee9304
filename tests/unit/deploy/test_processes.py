"""Processes that are started are found again, end when told, and say why they did not come up."""

import signal
import sys
from pathlib import Path

import pytest

from deploy.stack import processes

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "
        "time.sleep(60)"
    ),
]


def started(folder: Path, command: list[str]) -> int:
    pid = processes.spawn(command, folder, "it")
    processes.wait_until(
        lambda: "up" in (folder / "it.log").read_text(), 20, "start", folder / "it.log"
    )
    return pid


def test_a_started_process_is_found_and_ends(tmp_path: Path) -> None:
    pid = started(tmp_path, SLEEP)
    assert processes.running(tmp_path, "it") == pid
    processes.end(tmp_path, "it")
    assert processes.running(tmp_path, "it") is None
    assert not processes.alive(pid)
    processes.end(tmp_path, "it")


@pytest.mark.parametrize("gone", [FileNotFoundError, ProcessLookupError])
def test_one_that_is_reaped_as_we_look_is_not_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: type[OSError]
) -> None:
    """The second comes from a file that could still be opened and no longer be read."""

    def read(_: Path) -> str:
        raise gone

    pid = started(tmp_path, SLEEP)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", read)
        assert not processes.alive(pid)
    processes.end(tmp_path, "it")
    assert not processes.alive(pid)


def test_what_does_not_listen_is_killed_when_patience_ends(tmp_path: Path) -> None:
    pid = started(tmp_path, STUBBORN)
    processes.end(tmp_path, "it", patience=0.2)
    assert not processes.alive(pid)


def test_a_stopped_process_is_still_alive_and_can_be_killed(tmp_path: Path) -> None:
    pid = started(tmp_path, SLEEP)
    assert not processes.stands_still(tmp_path, "it")
    processes.send(tmp_path, "it", signal.SIGSTOP)
    processes.wait_until(lambda: processes.stands_still(tmp_path, "it"), 10, "its last thread")
    assert processes.alive(pid)
    processes.end(tmp_path, "it", how=processes.KILL)
    assert not processes.alive(pid)


def test_an_old_pid_file_is_not_believed(tmp_path: Path) -> None:
    pid = started(tmp_path, SLEEP)
    processes.end(tmp_path, "it", how=processes.KILL)
    (tmp_path / "it.pid").write_text(str(pid))
    assert processes.running(tmp_path, "it") is None
    (tmp_path / "it.pid").write_text("")
    assert processes.running(tmp_path, "it") is None


def test_a_wait_that_fails_shows_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "it.log").write_text("first\nthe reason\n")
    with pytest.raises(processes.NotReady, match=r"the thing: not within 0 s[\s\S]*the reason"):
        processes.wait_until(lambda: False, 0, "the thing", tmp_path / "it.log")


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(processes.NotReady, match="no program nowhere-to-be-found"):
        processes.spawn(["nowhere-to-be-found"], tmp_path, "it")
