"""A saved package: one private file with the exact envelope, from which everything can be checked again without a network."""

import json
import os
from pathlib import Path
from typing import Final

from common.canonical import b64u, unb64u

_FORMAT: Final = "hub-package/1"


class PackageFileRefused(Exception):
    """The file is not a saved package."""


def write_package(path: Path, envelope: bytes) -> None:
    """Write the envelope durably and readable by the owner only; an existing file is never overwritten (FileExistsError).

    Returns after fsync: only then may a receipt be signed for it.
    """
    text = json.dumps({"format": _FORMAT, "envelope": b64u(envelope)}, indent=1) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_package(path: Path) -> bytes:
    """The exact envelope bytes of a saved package. Raises PackageFileRefused."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        if raw["format"] != _FORMAT:
            raise PackageFileRefused("this is not a saved package of a version this program knows")
        return unb64u(raw["envelope"])
    except (OSError, ValueError, KeyError, TypeError):
        raise PackageFileRefused("this file is not a saved package; save one with: hubctl inbox save ID") from None
