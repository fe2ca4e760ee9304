"""What a test gets as a fork behaves as a new process does, to its last word."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.stack import processes
from tests.support import forks

# All but the hub's: one that Python reads at its start would, if it were missing, forbid a fork.
OTHERS = {name: text for name, text in os.environ.items() if not name.startswith("HUB_")}
GIVEN = {**OTHERS, "HUB_BUS": "embedded", "HUB_SERVICE_URL": "http://127.0.0.1"}


def said_by(folder: Path, module: str, env: Mapping[str, str]) -> str:
    """What it wrote until it ended."""
    pid = processes.spawn([sys.executable, "-m", module], folder, module, env)
    assert (folder / f"{module}.pid").read_text() == str(pid)
    processes.wait_until(lambda: not processes.alive(pid), 60, f"end of {module}")
    assert processes.running(folder, module) is None
    return (folder / f"{module}.log").read_text()


def is_fork(pid: int) -> bool:
    """Whether a process is a copy of the server, whose command line it still bears."""
    return b"fork_server" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_service_says_what_a_new_process_says(tmp_path: Path) -> None:
    """Its settings are those that it is given, none of the test's own."""
    as_fork = said_by(tmp_path / "fork", "audit", GIVEN)
    with forks.anew():
        assert said_by(tmp_path / "new", "audit", GIVEN) == as_fork
    assert as_fork.startswith("audit: ")
    assert said_by(tmp_path / "fork", "audit", {**GIVEN, "HUB_NO_SUCH": "1"}) != 2 * as_fork


def test_hubctl_ends_as_the_console_script_does(tmp_path: Path) -> None:
    """Status, output and errors, in the folder it is called from."""
    for words in (["--version"], ["--profile", "none.toml", "inbox"]):
        command = [str(forks.SCRIPT), *words]
        as_fork = forks.run(command, tmp_path, 60)
        with forks.anew():
            new = forks.run(command, tmp_path, 60)
        assert (as_fork.returncode, as_fork.stdout, as_fork.stderr) == (
            new.returncode,
            new.stdout,
            new.stderr,
        )


def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """The time-out of subprocess.run, by name."""
    with pytest.raises(subprocess.TimeoutExpired):
        forks.run([str(forks.SCRIPT), "--version"], tmp_path, 0.0001)


def test_a_fork_is_a_session_of_its_own_and_ends_when_killed(tmp_path: Path) -> None:
    """A killed one leaves nothing behind, not even a zombie."""
    pid = processes.spawn([sys.executable, "-m", "standalone"], tmp_path, "hub", _hub(tmp_path))
    assert is_fork(pid)
    assert os.getsid(pid) == pid
    of_process = Path(f"/proc/{pid}")
    assert (of_process / "cwd").readlink() == Path.cwd()
    assert (of_process / "fd/0").readlink() == Path(os.devnull)
    assert (of_process / "fd/1").readlink() == (of_process / "fd/2").readlink()
    processes.end(tmp_path, "hub", how=processes.KILL)
    processes.wait_until(lambda: not of_process.exists(), 10, "its end")


def test_a_fork_dies_at_the_crash_point_it_is_given(tmp_path: Path) -> None:
    """The points are read at import, which was before anything was asked."""
    armed = {"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": "database.before-commit"}
    said = said_by(tmp_path, "standalone", {**_hub(tmp_path), **armed})
    assert said.endswith("crash point reached: database.before-commit\n")


def test_what_is_not_the_hub_or_needs_a_new_interpreter_is_none(tmp_path: Path) -> None:
    """Another module, or a variable that counts when Python starts or imports."""
    command = [sys.executable, "-m", "standalone"]
    tracing = {**_hub(tmp_path), "OTEL_PROPAGATORS": "none"}
    for name, said, env in (
        ("other", [sys.executable, "-m", "http.server", str(processes.free_port())], GIVEN),
        ("tracing", command, tracing),
    ):
        assert not is_fork(processes.spawn(said, tmp_path, name, env))
        processes.end(tmp_path, name, how=processes.KILL)
    with forks.anew():
        assert not is_fork(processes.spawn(command, tmp_path, "new", _hub(tmp_path)))
        processes.end(tmp_path, "new", how=processes.KILL)


def _hub(folder: Path) -> dict[str, str]:
    return {**OTHERS, "HUB_DIR": str(folder / "hub"), "PORT": str(processes.free_port())}
