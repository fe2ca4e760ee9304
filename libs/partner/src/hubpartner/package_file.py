"""A saved package: one private file with the exact envelope, from which everything can be checked
again without a network."""

import json
import os
from pathlib import Path
from typing import Final

from hubformats.canonical import b64u, unb64u
from hubformats.ids import opaque

_FORMAT: Final = "hub-package/1"


class PackageFileRefused(Exception):
    """The file is not a saved package, or not one of this delivery."""


def write_package(path: Path, envelope: bytes) -> None:
    """Write the envelope durably, readable by the owner only.

    Returns after fsync: only then may a receipt be signed for it. Written beside and linked into
    place, so that a crash leaves the whole file or none.

    Raises FileExistsError: an existing file is never overwritten.
    """
    text = json.dumps({"format": _FORMAT, "envelope": b64u(envelope)}, indent=1) + "\n"
    beside = path.with_name(f".{path.name}.{opaque(6)}.new")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    _sync(path.resolve().parent)


def keep_package(path: Path, envelope: bytes) -> None:
    """Write the envelope, or find it in an earlier file.

    A crash may have left a file of exactly this envelope unsigned for.

    Raises PackageFileRefused, in words for a person, when the file holds anything else or cannot be
    written. Then nothing may be signed.
    """
    try:
        write_package(path, envelope)
    except FileExistsError:
        if not _holds(path, envelope):
            raise PackageFileRefused(
                "a file of this name exists and holds something else; nothing was signed; choose "
                "another with --to FILE"
            ) from None
        _sync(path)
        _sync(path.resolve().parent)
    except OSError:
        raise PackageFileRefused("the file cannot be written there; nothing was signed") from None


def _holds(path: Path, envelope: bytes) -> bool:
    try:
        return read_package(path) == envelope
    except PackageFileRefused:
        return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_package(path: Path) -> bytes:
    """Read the exact envelope bytes of a saved package. Raises PackageFileRefused."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        if raw["format"] != _FORMAT:
            raise PackageFileRefused("this is not a saved package of a version this program knows")
        return unb64u(raw["envelope"])
    except FileNotFoundError:
        raise PackageFileRefused(f"there is no file {path}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise PackageFileRefused(
            "this file is not a saved package; save one with: hubctl inbox save ID"
        ) from None
