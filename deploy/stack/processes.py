"""Small things every started process needs: a free port, a pid file, a bounded wait, an end that is
certain."""

import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

KILL = signal.SIGKILL
_SINGLE_PORTS: Final = range(10_000, 12_000)


class NotReady(RuntimeError):
    """Something that was started did not answer in time.

    The message ends with the tail of its log.
    """


def free_port() -> int:
    """Find a TCP port on 127.0.0.1 that nobody had a moment ago.

    It lies below those that the system gives to outgoing connections. Any connection could take one
    of theirs before a server starts on it, or while it is restarted.
    """
    for port in random.sample(_SINGLE_PORTS, len(_SINGLE_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise NotReady("no free port")


def port_is_taken(port: int) -> bool:
    """Tell whether something already listens on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def spawn(
    command: Sequence[str], folder: Path, name: str, env: Mapping[str, str] | None = None
) -> int:
    """Start a detached process; its output goes to `<name>.log`, its id to `<name>.pid` in
    `folder`. Returns the process id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which(command[0])
    if program is None:
        raise NotReady(f"no program {command[0]} to start {name} with")
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        program,
        list(command),
        dict(os.environ if env is None else env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / f"{name}.log"), log, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    (folder / f"{name}.pid").write_text(str(pid))
    return pid


def running(folder: Path, name: str) -> int | None:
    """Return the process id in `<name>.pid` if that process is alive, else None."""
    try:
        pid = int((folder / f"{name}.pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if alive(pid) else None


def alive(pid: int) -> bool:
    """Tell whether the process still runs, any thread of it.

    A dying JVM is a zombie whose other threads still hold its port.
    """
    with suppress(ChildProcessError):  # not ours: init, or whoever started it, reaps it
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    fields = _told(Path(f"/proc/{pid}/stat"))
    if not fields:
        return _signal(pid, 0) if not Path("/proc/self").exists() else False
    state, threads = fields[0], int(fields[17])
    return state != "Z" or threads > 1


def end(
    folder: Path, name: str, how: signal.Signals = signal.SIGTERM, patience: float = 20.0
) -> None:
    """Stop the process of `<name>.pid` and its group; after `patience` seconds without effect it is
    killed. Idempotent.
    """
    pid = running(folder, name)
    if pid is not None:
        _signal_group(pid, how)
        deadline = time.monotonic() + patience
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        if alive(pid):
            _signal_group(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid), 10, f"end of {name}")
    (folder / f"{name}.pid").unlink(missing_ok=True)


def send(folder: Path, name: str, what: signal.Signals) -> None:
    """Send one signal to the process group of `<name>.pid`, for example SIGSTOP and SIGCONT."""
    pid = running(folder, name)
    if pid is not None:
        _signal_group(pid, what)


def stands_still(folder: Path, name: str) -> bool:
    """Tell whether no thread of the process of `<name>.pid` runs.

    SIGSTOP reaches those on other cores a moment after it was sent.
    """
    threads = Path(f"/proc/{running(folder, name)}/task").glob(
        "*/stat"
    )  # without /proc there are none to wait for
    return all(_told(thread)[:1] in ([], ["T"]) for thread in threads)


def wait_until(
    true: Callable[[], bool], seconds: float, what: str, log: Path | None = None
) -> None:
    """Poll until `true()`; raise NotReady naming `what`, with the end of `log`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            tail = (
                log.read_text(errors="replace")[-3000:] if log is not None and log.exists() else ""
            )
            raise NotReady(f"{what}: not within {seconds:.0f} s\n{tail}")
        time.sleep(0.05)


def _told(stat: Path) -> list[str]:
    """Read what the kernel tells of a process or thread after its name; nothing when it is gone."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # the second when it is reaped as we read
        return []


def _signal(pid: int, what: int) -> bool:
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return False
    return True


def _signal_group(pid: int, what: signal.Signals) -> None:
    try:
        os.killpg(pid, what)
    except ProcessLookupError:
        _signal(pid, what)
