"""What one hub must have for itself before it makes anything: its port and its data folder."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from common.database import file_lock

LOCK: Final = "hub.lock"
"""Held by the running hub, in its data folder; the kernel lets it go with the process, however that
ends.
"""

GIT_IGNORES: Final = ".gitignore"
"""Written into the data folder, which may lie inside somebody's clone."""

BUS_LOCK: Final = Path("bus", "bus.db.lock")
"""Held by the bus: a hub that knows no `hub.lock`, or a single service on this folder, is seen by
it.
"""


class Taken(Exception):
    """Somebody else has it. The text says what, and what to do."""


def claim_port(host: str, port: int) -> socket.socket:
    """Bind a socket to `port`, not listening yet: nobody is answered before the hub can.

    Raises Taken.
    """
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((host, port))
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            raise Taken(
                f"port {port} is in use; choose another: make run "
                f"PORT={port + 1 if port < 65535 else port - 1}"
            ) from None
        raise Taken(
            f"port {port} cannot be used ({os.strerror(error.errno or 0)}); choose another: make "
            "run PORT=8000"
        ) from None
    return held


def claim_folder(folder: Path) -> FileLock:
    """Make `folder` if need be, and lock it until the lock is released or the process ends.

    It holds private keys, so git is told to leave it alone, wherever it lies.

    Keep what is returned: a lock that nobody refers to is released.

    Raises Taken, with nothing else touched.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from None
    held = _locked(folder / LOCK, folder)
    if (folder / BUS_LOCK).exists():
        try:
            _locked(folder / BUS_LOCK, folder).release()
        except Taken:
            held.release()
            raise
    _keep_out_of_git(folder)
    return held


def _keep_out_of_git(folder: Path) -> None:
    """Write a .gitignore that covers everything; one that says something stays as it is.

    A disk that fails here is not our word to say: whatever is written next says it.
    """
    place = folder / GIT_IGNORES
    with suppress(OSError):
        if not place.exists() or not place.stat().st_size:
            place.write_text("*\n")


def _unusable(folder: Path, error: OSError) -> Taken:
    return Taken(
        f"the folder {folder} cannot be used ({os.strerror(error.errno or 0)}); choose another "
        "HUB_DIR="
    )


def _locked(path: Path, folder: Path) -> FileLock:
    lock = file_lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Taken(
            f"a hub is already running in {folder} (or its bus is locked); stop it or choose "
            "another HUB_DIR="
        ) from None
    except OSError as error:
        raise _unusable(folder, error) from None
    return lock
