"""What happens to the files of a hub that is not running: lost, emptied, cut, overwritten, flipped."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final


def lost(file: Path) -> None:
    """The file, and what SQLite keeps beside it."""
    for each in (file, *file.parent.glob(f"{file.name}-*")):
        each.unlink(missing_ok=True)


def emptied(file: Path) -> None:
    """Nothing is left in it."""
    lost(file)
    file.write_bytes(b"")


def cut(file: Path) -> None:
    """The second half is missing."""
    good = file.read_bytes()
    lost(file)
    file.write_bytes(good[: len(good) // 2])


def overwritten(file: Path) -> None:
    """It holds something else."""
    lost(file)
    file.write_bytes(os.urandom(9_000))


def flipped(file: Path) -> None:
    """A stretch of it in the middle has every bit turned."""
    good, start = file.read_bytes(), file.stat().st_size // 2 // 4096 * 4096
    lost(file)
    turned = bytes(each ^ 0xFF for each in good[start : start + 512])
    file.write_bytes(good[:start] + turned + good[start + 512 :])


DAMAGES: Final[Mapping[str, Callable[[Path], None]]] = {
    each.__name__: each for each in (lost, emptied, cut, overwritten, flipped)
}
