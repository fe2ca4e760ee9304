"""A process that has imported the whole hub and becomes, by fork, what a test asks for.

`python -m tests.support.fork_server SOCKET`. Importing takes seconds of CPU; a copy has done it.
"""

import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common import faults

SERVICES: Final = ("audit", "identity", "portal", "referral", "sharing")
IMPORTED: Final = (
    *(f"{service}.wiring" for service in SERVICES),
    "common.web.run",
    "standalone.hub",
    "standalone.welcome",
    "standalone.claim",
    "hubpartner.cli",
)
"""What the programs import first, not their own `__main__`: a module runs as that once."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A process to become: its command without the interpreter, and all that it gets.

    `err` is the file of its errors; empty, they go where `out` goes.
    """

    command: list[str]
    env: dict[str, str]
    cwd: str
    out: str
    err: str = ""

    def settle(self) -> None:
        """Leave everything of the server's that a new process would not have."""
        os.setsid()
        os.chdir(self.cwd)
        os.environ.clear()
        os.environ.update(self.env)
        time.tzset()
        # It was imported before anything was armed.
        faults._ARMED, faults._LEFT = faults._asked()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(_appending(self.out), 1)
        os.dup2(_appending(self.err) if self.err else 1, 2)

    def run(self) -> None:
        """Run it as the interpreter would; how it ends is how this process ends."""
        if self.command[0] == "-m":
            sys.argv = self.command[1:]
            runpy.run_module(self.command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = self.command
            runpy.run_path(self.command[0], run_name="__main__")


def _appending(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


class Server:
    """Answers each request with the new process's id and, when that ends, its exit code."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)

    def serve(self) -> Asked:
        """Fork for whoever asks. Returns in a new process only, with what that is to become."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._ended(key.fd, *key.data)
                elif (asked := self._accept()) is not None:
                    return asked

    def _accept(self) -> Asked | None:
        connection, _ = self._listener.accept()
        with connection.makefile("rb") as request:
            line = request.readline()
        if not line:  # somebody looked whether this server answers
            connection.close()
            return None
        asked = Asked(**json.loads(line))
        # Only the new process holds the end to write to: the other one closes when it has ended.
        lives, life = os.pipe()
        pid = os.fork()
        if pid:
            os.close(life)
            self._selector.register(lives, selectors.EVENT_READ, (pid, connection))
            return None
        self._leave(lives)
        asked.settle()
        connection.sendall(b"pid %d\n" % os.getpid())
        connection.close()
        return asked

    def _leave(self, lives: int) -> None:
        """Close what belongs to the server and to its other processes."""
        os.close(lives)
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                os.close(key.fd)
                key.data[1].close()
        self._selector.close()
        self._listener.close()

    def _ended(self, lives: int, pid: int, connection: socket.socket) -> None:
        self._selector.unregister(lives)
        os.close(lives)
        _, status = os.waitpid(pid, 0)
        with connection, suppress(OSError):  # who asked may not wait for the end
            connection.sendall(b"ended %d\n" % os.waitstatus_to_exitcode(status))


def main() -> None:
    """Import, then serve; a new process runs what it was asked to be and ends with it."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection would copy the pages of everything that it looks at
    Server(Path(sys.argv[1])).serve().run()


if __name__ == "__main__":
    main()
