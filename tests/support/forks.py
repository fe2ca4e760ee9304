"""Services and `hubctl` as forks of one process that has imported them: a test that starts them
does not pay for the imports again. `anew` starts them as a newcomer does."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock

from deploy.stack import processes
from tests.support.fork_server import SERVICES, Asked

FOLDER: Final = "forks"
"""The server's folder in that of the run; one server for all workers."""

SERVER: Final = "server"
MODULES: Final = frozenset({*SERVICES, "standalone"})
SCRIPT: Final = Path(sys.executable).parent / "hubctl"
READ_BEFORE: Final = ("PYTHON", "OTEL_", "LD_", "LC_", "LANG", "MALLOC_")
"""Variables that count when an interpreter starts or imports: changed, they need a new process."""

FILES_BEFORE: Final = resource.getrlimit(resource.RLIMIT_NOFILE)
"""How many files the server may open, and so what it becomes."""

_PATIENCE_S: Final = 300.0
_spawn: Final = processes.spawn


@contextmanager
def forking(run: Path) -> Iterator[None]:
    """Fork inside the block; the server starts in the run's folder when first needed."""
    forks = Forks(run / FOLDER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "spawn", forks.spawn)
        patch.setattr(f"{__name__}.run", forks.run)
        yield


@contextmanager
def anew() -> Iterator[None]:
    """Start real new processes inside the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "spawn", _spawn)
        patch.setattr(f"{__name__}.run", _run)
        yield


def end(run: Path) -> None:
    """End the run's server; what it became lives on."""
    processes.end(run / FOLDER, SERVER)


def run(command: Sequence[str], cwd: Path, seconds: float) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end and keep what it prints. Raises TimeoutExpired."""
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False
    )


_run: Final = run


class Forks:
    """Asks the server in `folder`, started by whoever needs it first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "socket"

    def spawn(
        self,
        command: Sequence[str],
        folder: Path,
        name: str,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """See processes.spawn. What is no part of the hub is started as there."""
        given = dict(os.environ if env is None else env)
        if not _is_service(command) or not _as_imported(given):
            return _spawn(command, folder, name, env)
        folder.mkdir(parents=True, exist_ok=True)
        asked = Asked(list(command[1:]), given, str(Path.cwd()), str(folder / f"{name}.log"))
        with self._ask(asked) as answers:
            pid = _told(answers, "pid")
        (folder / f"{name}.pid").write_text(str(pid))
        return pid

    def run(
        self, command: Sequence[str], cwd: Path, seconds: float
    ) -> "subprocess.CompletedProcess[str]":
        """See `run`. Anything but `hubctl` is started as there."""
        if command[0] != str(SCRIPT) or not _as_imported(os.environ):
            return _run(command, cwd, seconds)
        with tempfile.TemporaryDirectory() as kept:
            out, err = Path(kept, "out"), Path(kept, "err")
            asked = Asked(list(command), dict(os.environ), str(cwd), str(out), str(err))
            with self._ask(asked) as answers:
                pid = _told(answers, "pid")
                answers.settimeout(seconds)
                try:
                    status = _told(answers, "ended")
                except TimeoutError:
                    with suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(command, seconds) from None
            said = (path.read_text("utf-8") for path in (out, err))
            return subprocess.CompletedProcess(command, status, *said)

    def _ask(self, asked: Asked) -> socket.socket:
        connection = self._connected() or self._started()
        connection.settimeout(_PATIENCE_S)
        connection.sendall(json.dumps(asdict(asked)).encode() + b"\n")
        return connection

    def _started(self) -> socket.socket:
        self._folder.mkdir(exist_ok=True)
        with FileLock(self._folder / "start.lock"):
            if processes.running(self._folder, SERVER) is None:
                self._path.unlink(missing_ok=True)
                module = "tests.support.fork_server"
                server = [sys.executable, "-m", module, str(self._path)]
                _spawn(server, self._folder, SERVER)
            log = self._folder / f"{SERVER}.log"
            processes.wait_until(self._answers, _PATIENCE_S, "the server of forks", log)
        connection = self._connected()
        assert connection is not None, log.read_text()
        return connection

    def _answers(self) -> bool:
        connection = self._connected()
        if connection is not None:
            connection.close()
        return connection is not None

    def _connected(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return None
        return connection


def _is_service(command: Sequence[str]) -> bool:
    return list(command[:-1]) == [sys.executable, "-m"] and command[-1] in MODULES


def _as_imported(env: Mapping[str, str]) -> bool:
    """Tell whether the server, started by a process of this run, imported under the same ones."""
    same = all(
        env.get(name) == os.environ.get(name)
        for name in {*env, *os.environ}
        if name.startswith(READ_BEFORE)
    )
    return same and resource.getrlimit(resource.RLIMIT_NOFILE) == FILES_BEFORE


def _told(answers: socket.socket, what: str) -> int:
    """Read one line. Raises NotReady when it says something else: its cause is in the log."""
    line = b""
    while not line.endswith(b"\n"):
        more = answers.recv(1)
        if not more:
            raise processes.NotReady("the server of forks is gone")
        line += more
    said, number = line.split()
    if said != what.encode():
        raise processes.NotReady(f"a fork did not get so far; the server said {line!r}")
    return int(number)
