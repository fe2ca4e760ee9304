"""The keyring's folder: sealed files that appear whole or not at all, and vanish for good."""

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from hubformats.canonical import CanonicalError, b64u, canonical, parse, unb64u

_ROOT: Final = "root.json"
_MIN_PASSPHRASE: Final = 12  # shorter ones fall to guessing whatever the derivation costs


class KeyringLocked(RuntimeError):
    """No, a wrong or a too short passphrase, or files that others may read."""


class Folder:
    """Sealed files that appear whole or not at all, and vanish for good."""

    def __init__(self, path: Path, root: bytes) -> None:
        self._path = path
        self._cipher = AESGCM(root)
        # A crash in the middle of `destroy` left its renamed file: finish what was begun.
        for begun in path.glob(".destroyed-*"):
            with contextlib.suppress(FileNotFoundError):  # another process is finishing it too
                _shred(begun)

    def names(self, prefix: str) -> list[str]:
        """List the files whose names begin so, in order."""
        names = os.listdir(self._path)  # noqa: PTH208
        return sorted(name for name in names if name.startswith(prefix))

    def changed_at(self) -> int:
        """Return when a file last came or went, in nanoseconds."""
        return self._path.stat().st_mtime_ns

    def read(self, name: str) -> bytes | None:
        """Read what a file holds, None when there is none. Raises KeyringLocked."""
        try:
            sealed = _read_private(self._path / name)
        except FileNotFoundError:
            return None
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], _bound_to(name))
        except (InvalidTag, ValueError):
            raise KeyringLocked(
                "a file of the keyring was changed or belongs to another keyring"
            ) from None

    def create(self, name: str, content: bytes) -> bytes:
        """Write a new file; when another process was first, answer what it wrote."""
        if _create(self._path / name, self._sealed(name, content)):
            return content
        found = self.read(name)
        if found is None:
            raise KeyringLocked("a file of the keyring vanished while it was read")
        return found

    def replace(self, name: str, content: bytes) -> None:
        """Write a file in place of an earlier one."""
        part = _written(self._path, self._sealed(name, content))
        part.replace(self._path / name)
        _sync(self._path)

    def destroy(self, name: str) -> None:
        """Overwrite a file and remove it."""
        # Renamed first, so that a crash half-way leaves a marked file for the next start and never
        # a spoilt key.
        marked = self._path / f".destroyed-{secrets.token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            # Another process destroyed it at the same moment
            (self._path / name).rename(marked)
            _sync(self._path)
            _shred(marked)

    def _sealed(self, name: str, content: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, content, _bound_to(name))


def root_key(directory: Path, passphrase: str | None) -> bytes:
    """Read the key of all files, made when there is none. Raises KeyringLocked."""
    file = directory / _ROOT
    if not file.exists():
        _create(file, canonical(_new_root(passphrase)))
    # Read back in every case: another process may have been first.
    try:
        root = parse(_read_private(file))
        if root["mode"] == "open":
            if passphrase is not None:
                raise KeyringLocked(
                    "this keyring was made open for a demonstration; make a new one for real use"
                )
            return unb64u(root["key"])
        salt, nonce, sealed = unb64u(root["salt"]), unb64u(root["nonce"]), unb64u(root["sealed"])
    except (CanonicalError, KeyError, TypeError):
        raise KeyringLocked("the keyring's root file is damaged") from None
    if passphrase is None:
        raise KeyringLocked("this keyring is locked by a passphrase and none was given")
    try:
        return AESGCM(_derive(passphrase, salt)).decrypt(nonce, sealed, _bound_to(_ROOT))
    except InvalidTag:
        raise KeyringLocked("the passphrase does not open this keyring") from None


def _new_root(passphrase: str | None) -> dict[str, Any]:
    key = secrets.token_bytes(32)
    if passphrase is None:
        return {"v": 1, "mode": "open", "key": b64u(key)}
    if len(passphrase) < _MIN_PASSPHRASE:
        raise KeyringLocked("the passphrase is shorter than 12 characters")
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = AESGCM(_derive(passphrase, salt)).encrypt(nonce, key, _bound_to(_ROOT))
    return {
        "v": 1,
        "mode": "argon2id",
        "salt": b64u(salt),
        "nonce": b64u(nonce),
        "sealed": b64u(sealed),
    }


def _derive(passphrase: str, salt: bytes) -> bytes:
    return Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=64 * 1024).derive(
        passphrase.encode()
    )


def _bound_to(name: str) -> bytes:
    return b"hub-keyring-v1\x00" + name.encode()


def _read_private(file: Path) -> bytes:
    with file.open("rb") as handle:
        if stat.S_IMODE(os.fstat(handle.fileno()).st_mode) & 0o077:
            raise KeyringLocked(
                "a file of the keyring can be read by others; its mode must be 0600"
            )
        return handle.read()


def _create(file: Path, content: bytes) -> bool:
    """Make `file` whole and durable, or answer False when it exists.

    A link, unlike a rename, never replaces.
    """
    part = _written(file.parent, content)
    try:
        file.hardlink_to(part)
    except FileExistsError:
        return False
    finally:
        part.unlink()
    _sync(file.parent)
    return True


def _written(directory: Path, content: bytes) -> Path:
    part = directory / f".part-{secrets.token_hex(8)}"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    return part


def _shred(file: Path) -> None:
    # In place, because a crash inside _create can have left a second link to the same bytes. A disk
    # that writes
    # elsewhere keeps its old blocks; the content is sealed there too, under the root key.
    with file.open("r+b") as handle:
        handle.write(bytes(file.stat().st_size))
        handle.flush()
        os.fsync(handle.fileno())
    file.unlink()
    _sync(file.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
