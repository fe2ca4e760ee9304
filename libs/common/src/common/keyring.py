"""The keyring: key-encryption keys, named secrets and private keys of one service. FileKeyring
keeps them in sealed files."""

import contextlib
import logging
import os
import re
import secrets
import stat
import struct
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from hubformats.canonical import CanonicalError, b64u, canonical, parse, unb64u
from hubformats.keys import OpeningKey, SigningKey, opening_from_jwk, signing_from_jwk

_LOG: Final = logging.getLogger("common.keyring")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9:_-]{0,63}")
_BLOB: Final = struct.Struct(">BH")  # format, version of the key-encryption key
_BLOB_FORMAT: Final = 1
_SETTLED_NS: Final = 50_000_000
_ROOT: Final = "root.json"
_MIN_PASSPHRASE: Final = 12  # shorter ones fall to guessing whatever the derivation costs


class KeyringLocked(RuntimeError):
    """The keyring cannot be opened like this: no, a wrong or a too short passphrase, or files that
    others may read.
    """


class KeyringRefused(ValueError):
    """A wrapped key did not open: wrong context, changed bytes, or a key-encryption key that no
    longer exists.
    """


class KeyAbsent(KeyError):
    """The keyring holds no key of that name."""


class Keyring(Protocol):
    """Keys of one service.

    Obligations: what `wrap`, `secret` and `put_*` answered survives a crash the moment they return;
    two processes on one keyring that ask for the same new secret get the same one; nothing of a key
    appears in an error, a log or a repr; what `destroy_*` removed cannot be had back from the
    keyring. Calls may block for a disk or a network round trip.
    """

    @property
    def kek_id(self) -> str:
        """Id of the key-encryption key that `wrap` uses now."""
        ...

    def wrap(self, dek: bytes, context: bytes) -> bytes:
        """Encrypt a data key; only the same `context` opens it again."""
        ...

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """The data key. Raises KeyringRefused."""
        ...

    def rotate_kek(self) -> str:
        """Make a new key-encryption key current and answer its id; older ones still unwrap until
        destroyed.
        """
        ...

    def destroy_kek(self, kek_id: str) -> None:
        """Destroy an old key-encryption key and with it everything still wrapped under it.

        Raises ValueError for the current one, KeyAbsent for an unknown one.
        """
        ...

    def secret(self, name: str) -> bytes:
        """The 32-byte secret of that name, made at random on first use."""
        ...

    def signing_key(self, name: str) -> SigningKey:
        """The private signing key of that name. Raises KeyAbsent."""
        ...

    def put_signing_key(self, name: str, key: SigningKey) -> None:
        """Keep a signing key, replacing an earlier one of that name."""
        ...

    def opening_keys(self, name: str) -> Mapping[str, OpeningKey]:
        """Every opening key of that name by key id: the current one and retired ones not yet
        destroyed; empty when there are none.
        """
        ...

    def put_opening_key(self, name: str, key: OpeningKey) -> None:
        """Add an opening key; earlier ones of that name stay, so that what is under way still
        opens.
        """
        ...

    def destroy_opening_key(self, name: str, kid: str) -> None:
        """Destroy an opening key.

        What was sealed only to it is unreadable from now on. Raises KeyAbsent.
        """
        ...


class FileKeyring:
    """A keyring in a folder of 0600 files, each sealed (AES-256-GCM, bound to its name) under a
    root key.

    The root key is sealed by a passphrase (Argon2id, RFC 9106 second recommended option: 64 MiB, 3
    passes, 4 lanes). Without a passphrase the root key lies open beside the files: for
    demonstrations, only when `open_allowed`, and
    `warnings` says so. An open folder never becomes a locked one, because its root key was already
    on the disk.
    """

    def __init__(
        self, directory: Path, *, passphrase: str | None, open_allowed: bool = False
    ) -> None:
        """Open or create the folder.

        Takes about 0.1 s of one CPU and 64 MiB. Raises KeyringLocked.
        """
        if passphrase is None and not open_allowed:
            raise KeyringLocked(
                "this keyring needs a passphrase; only a demonstration may run without one"
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = _Folder(directory, _root_key(directory, passphrase))
        self._lock = threading.RLock()
        self._keks: dict[int, bytes] = {}
        self._opening: dict[str, Mapping[str, OpeningKey]] = {}
        self._seen = -1
        self._secrets: dict[str, bytes] = {}
        self.warnings: tuple[str, ...] = ()
        if passphrase is None:
            self.warnings = (
                "keyring-open: keys lie unprotected on this disk; for demonstrations only",
            )
            _warn_once(self.warnings[0])
        if not self._current():
            self.rotate_kek()

    def __repr__(self) -> str:
        """The class alone: a path or a key does not belong in a traceback."""
        return "FileKeyring()"

    @property
    def kek_id(self) -> str:
        """Id of the key-encryption key that `wrap` uses now."""
        return _kek_id(max(self._current()))

    def wrap(self, dek: bytes, context: bytes) -> bytes:
        """Encrypt a data key; only the same `context` opens it again."""
        keks = self._current()
        version = max(keks)
        head = _BLOB.pack(_BLOB_FORMAT, version)
        nonce = secrets.token_bytes(12)
        return head + nonce + AESGCM(keks[version]).encrypt(nonce, dek, head + context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """The data key. Raises KeyringRefused."""
        if len(blob) < _BLOB.size + 12 + 16 or blob[0] != _BLOB_FORMAT:
            raise KeyringRefused("not a wrapped key")
        kek = self._current().get(_BLOB.unpack_from(blob)[1])
        if kek is None:
            raise KeyringRefused("the key-encryption key no longer exists")
        head, nonce, sealed = (
            blob[: _BLOB.size],
            blob[_BLOB.size : _BLOB.size + 12],
            blob[_BLOB.size + 12 :],
        )
        try:
            return AESGCM(kek).decrypt(nonce, sealed, head + context)
        except InvalidTag:
            raise KeyringRefused("the wrapped key does not open in this context") from None

    def rotate_kek(self) -> str:
        """Make a new key-encryption key current and answer its id; older ones still unwrap until
        destroyed.
        """
        with self._lock:
            version = max(self._current(), default=0) + 1
            # When two processes rotate at once, both get the one key that was written first.
            self._folder.create(f"kek.{version}", secrets.token_bytes(32))
            return _kek_id(version)

    def destroy_kek(self, kek_id: str) -> None:
        """Destroy an old key-encryption key and with it everything still wrapped under it.

        Raises ValueError for the current one.
        """
        with self._lock:
            known = [_kek_id(version) for version in self._current()]
            if kek_id not in known:
                raise KeyAbsent(kek_id)
            if kek_id == known[-1]:
                raise ValueError("the current key-encryption key cannot be destroyed; rotate first")
            self._folder.destroy(kek_id.replace("-", "."))

    def secret(self, name: str) -> bytes:
        """The 32-byte secret of that name, made at random on first use."""
        with self._lock:
            if name not in self._secrets:
                file = f"secret.{_file_name(name)}"
                # If we crash between the two, the next call finds the file and answers the same
                # secret.
                self._secrets[name] = self._folder.read(file) or self._folder.create(
                    file, secrets.token_bytes(32)
                )
            return self._secrets[name]

    def put_secret(self, name: str, value: bytes) -> None:
        """Set a secret that several services must share (bootstrap only).

        Raises ValueError when another one exists.
        """
        if len(value) != 32:
            raise ValueError("a secret is 32 bytes")
        if self._folder.create(f"secret.{_file_name(name)}", value) != value:
            raise ValueError("there is another secret of that name")

    def signing_key(self, name: str) -> SigningKey:
        """The private signing key of that name. Raises KeyAbsent."""
        found = self._folder.read(f"signing.{_file_name(name)}")
        if found is None:
            raise KeyAbsent(name)
        kept = parse(found)
        return signing_from_jwk(kept["jwk"], kept["owner"])

    def put_signing_key(self, name: str, key: SigningKey) -> None:
        """Keep a signing key, replacing an earlier one of that name."""
        self._folder.replace(
            f"signing.{_file_name(name)}",
            canonical({"owner": key.owner, "jwk": key.jwk(private=True)}),
        )

    def opening_keys(self, name: str) -> Mapping[str, OpeningKey]:
        """Every opening key of that name by key id: the current one and retired ones not yet
        destroyed; empty when there are none.
        """
        with self._lock:
            self._look()
            if name not in self._opening:
                files = self._folder.names(f"opening.{_file_name(name)}.")
                kept = [parse(found) for file in files if (found := self._folder.read(file))]
                keys = [opening_from_jwk(entry["jwk"], entry["owner"]) for entry in kept]
                self._opening[name] = MappingProxyType({key.kid: key for key in keys})
            return self._opening[name]

    def put_opening_key(self, name: str, key: OpeningKey) -> None:
        """Add an opening key; earlier ones of that name stay, so that what is under way still
        opens.
        """
        kept = canonical({"owner": key.owner, "jwk": key.jwk(private=True)})
        self._folder.replace(f"opening.{_file_name(name)}.{key.kid}", kept)

    def destroy_opening_key(self, name: str, kid: str) -> None:
        """Destroy an opening key.

        What was sealed only to it is unreadable from now on. Raises KeyAbsent.
        """
        file = f"opening.{_file_name(name)}.{kid}"
        if file not in self._folder.names("opening."):
            raise KeyAbsent(name)
        self._folder.destroy(file)
        self._opening.clear()

    def _current(self) -> dict[int, bytes]:
        with self._lock:
            self._look()
            return self._keks

    def _look(self) -> None:
        # Another process may have rotated or destroyed: wrapping under a destroyed key would lose
        # data without a sign.
        changed = self._folder.changed_at()
        if changed == self._seen:
            return
        versions = sorted(int(file.removeprefix("kek.")) for file in self._folder.names("kek."))
        self._keks = {
            version: kek for version in versions if (kek := self._folder.read(f"kek.{version}"))
        }
        self._opening.clear()
        # File times are coarse: only a folder that has been still for a moment may be taken as
        # seen.
        self._seen = changed if time.time_ns() - changed > _SETTLED_NS else -1


class _Folder:
    """Sealed files that appear whole or not at all, and vanish for good."""

    def __init__(self, path: Path, root: bytes) -> None:
        self._path = path
        self._cipher = AESGCM(root)
        # A crash in the middle of `destroy` left its renamed file: finish what was begun.
        for begun in path.glob(".destroyed-*"):
            with contextlib.suppress(FileNotFoundError):  # another process is finishing it too
                _shred(begun)

    def names(self, prefix: str) -> list[str]:
        # Plain names are what is wanted
        return sorted(name for name in os.listdir(self._path) if name.startswith(prefix))  # noqa: PTH208

    def changed_at(self) -> int:
        return self._path.stat().st_mtime_ns

    def read(self, name: str) -> bytes | None:
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
        part = _written(self._path, self._sealed(name, content))
        part.replace(self._path / name)
        _sync(self._path)

    def destroy(self, name: str) -> None:
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


def _root_key(directory: Path, passphrase: str | None) -> bytes:
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


@cache
def _warn_once(warning: str) -> None:
    """A demonstration opens a keyring per service in one process; ten times the same line would
    hide it, not stress it.
    """
    _LOG.warning(warning)


def _kek_id(version: int) -> str:
    return f"kek-{version}"


def _file_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a key's name is lower-case letters, digits, colon, hyphen and underscore, at most 64"
        )
    return name.replace(":", "=")


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
