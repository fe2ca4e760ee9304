"""The folder of tiles: what any web server may serve.

A file appears whole and durable or not at all, and never changes.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import Timeout

from audit.log.model.entries import LogHalted
from common.database import file_lock
from common.faults import crash_point
from hubformats.tlog.tiles import Tile

_LOCK: Final = ".sequencer.lock"
_CHECKPOINT: Final = "checkpoint"
_PROMISED: Final = "signed-head"


class TileFolder:
    """Fulfils `TileFiles` in a folder.

    Any failure of the disk halts the log: after a failed fsync the page cache may lie. A process
    that may open no more files, or a disk without room, is no failed disk. Such an OSError is
    raised as it is, before anything got its name. The step is tried again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = file_lock(folder / _LOCK)

    def lock(self) -> bool:
        """Take the folder for this process; False while another has it.

        The kernel gives it back when the process dies.
        """
        if not self._lock.is_locked:
            self.folder.mkdir(parents=True, exist_ok=True)
            with suppress(Timeout):
                self._lock.acquire(blocking=False)
        return self._lock.is_locked

    def unlock(self) -> None:
        """Give the folder back."""
        self._lock.release()

    def write(self, tile: Tile, data: bytes) -> None:
        """Store a tile; a second write of the same bytes does nothing.

        Raises LogHalted for other bytes or a failing disk.
        """
        path = self.folder / tile.path()
        found = self.read(tile)
        if found is not None:
            if found != data:
                raise LogHalted("tile-would-change")
            return
        self._replace(path, data, 0o444)

    def read(self, tile: Tile) -> bytes | None:
        """Read a tile's bytes, or None."""
        try:
            return (self.folder / tile.path()).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _judged(error) from None

    def drop_partials(self, tile: Tile) -> None:
        """Remove the unfinished forms of a tile whose full form is published.

        A crash half-way leaves files nobody asks for.
        """
        shutil.rmtree(self.folder / f"{tile.path()}.p", ignore_errors=True)

    def publish(self, note: str) -> None:
        """Replace the checkpoint file."""
        self._replace(self.folder / _CHECKPOINT, note.encode(), 0o644)

    def published(self) -> str | None:
        """Read the checkpoint file; bytes that are no text are no checkpoint of ours either."""
        return self._note(_CHECKPOINT)

    def promise(self, note: str) -> None:
        """Replace the signed head beside the checkpoint."""
        self._replace(self.folder / _PROMISED, note.encode(), 0o644)

    def promised(self) -> str | None:
        """Read the signed head."""
        return self._note(_PROMISED)

    def _note(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _judged(error) from None

    def _replace(self, path: Path, data: bytes, mode: int) -> None:
        part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            self._make_folder(path.parent)
            with _opened(path.parent) as folder:  # first: no name may stay that was not synced
                try:
                    _write(part, data, mode)
                except OSError:
                    part.unlink(missing_ok=True)
                    raise
                crash_point("audit.file-not-named")
                part.replace(path)
                _sync_name(folder)
        except OSError as error:
            raise _judged(error) from None

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            with _opened(each.parent) as above:
                each.mkdir(exist_ok=True)
                os.fsync(above)


def _write(part: Path, data: bytes, mode: int) -> None:
    """Make a file whole and durable under a name that nobody reads."""
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_name(folder: int) -> None:
    """Make a new name durable; one that may not last is a failed disk, full or not."""
    try:
        os.fsync(folder)
    except OSError:
        raise LogHalted("disk-failed") from None


_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})
"""No free file descriptor, or no room: nothing was named, and the step is tried again."""


def _judged(error: OSError) -> OSError | LogHalted:
    """Tell what passes from a failed disk."""
    return error if error.errno in _PASSING else LogHalted("disk-failed")


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)
