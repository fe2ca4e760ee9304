"""A keyring in sealed files, for one service."""

import logging
import re
import secrets
import struct
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.keyring.port import KeyAbsent, KeyringRefused
from hubformats.canonical import canonical, parse
from hubformats.keyring_folder import Folder, KeyringLocked, root_key
from hubformats.keys import OpeningKey, SigningKey, opening_from_jwk, signing_from_jwk

_LOG: Final = logging.getLogger("common.keyring")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9:_-]{0,63}")
_BLOB: Final = struct.Struct(">BH")  # format, version of the key-encryption key
_BLOB_FORMAT: Final = 1
_SETTLED_NS: Final = 50_000_000


class FileKeyring:
    """A folder of 0600 files, each sealed (AES-256-GCM) under a root key, with its name.

    The root key is sealed by a passphrase (Argon2id, RFC 9106 second recommended option: 64 MiB, 3
    passes, 4 lanes). Without one the root key lies open beside the files: for demonstrations, only
    when `open_allowed`, and `warnings` says so. An open folder never becomes a locked one, because
    its root key was already on the disk.
    """

    def __init__(
        self, directory: Path, *, passphrase: str | None, open_allowed: bool = False
    ) -> None:
        """Open or create the folder.

        Takes about 0.1 s of one CPU and 64 MiB.

        Raises KeyringLocked.
        """
        if passphrase is None and not open_allowed:
            raise KeyringLocked(
                "this keyring needs a passphrase; only a demonstration may run without one"
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = Folder(directory, root_key(directory, passphrase))
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
        """Name the class alone: a path or a key does not belong in a traceback."""
        return "FileKeyring()"

    @property
    def kek_id(self) -> str:
        """See Keyring.kek_id."""
        return _kek_id(max(self._current()))

    def wrap(self, dek: bytes, context: bytes) -> bytes:
        """See Keyring.wrap."""
        keks = self._current()
        version = max(keks)
        head = _BLOB.pack(_BLOB_FORMAT, version)
        nonce = secrets.token_bytes(12)
        return head + nonce + AESGCM(keks[version]).encrypt(nonce, dek, head + context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """See Keyring.unwrap."""
        if len(blob) < _BLOB.size + 12 + 16 or blob[0] != _BLOB_FORMAT:
            raise KeyringRefused("not a wrapped key")
        kek = self._current().get(_BLOB.unpack_from(blob)[1])
        if kek is None:
            raise KeyringRefused("the key-encryption key no longer exists")
        start = _BLOB.size + 12
        head, nonce, sealed = blob[: _BLOB.size], blob[_BLOB.size : start], blob[start:]
        try:
            return AESGCM(kek).decrypt(nonce, sealed, head + context)
        except InvalidTag:
            raise KeyringRefused("the wrapped key does not open in this context") from None

    def rotate_kek(self) -> str:
        """See Keyring.rotate_kek."""
        with self._lock:
            version = max(self._current(), default=0) + 1
            # When two processes rotate at once, both get the one key that was written first.
            self._folder.create(f"kek.{version}", secrets.token_bytes(32))
            return _kek_id(version)

    def destroy_kek(self, kek_id: str) -> None:
        """See Keyring.destroy_kek."""
        with self._lock:
            known = [_kek_id(version) for version in self._current()]
            if kek_id not in known:
                raise KeyAbsent(kek_id)
            if kek_id == known[-1]:
                raise ValueError("the current key-encryption key cannot be destroyed; rotate first")
            self._folder.destroy(kek_id.replace("-", "."))

    def secret(self, name: str) -> bytes:
        """See Keyring.secret."""
        with self._lock:
            if name not in self._secrets:
                file = f"secret.{_file_name(name)}"
                # If we crash between the two, the next call finds the file and answers the same
                # secret.
                self._secrets[name] = self._folder.read(file) or self._folder.create(
                    file, secrets.token_bytes(32)
                )
            return self._secrets[name]

    def known(self, name: str) -> bytes | None:
        """See Keyring.known."""
        return self._folder.read(f"secret.{_file_name(name)}")

    def put_secret(self, name: str, value: bytes) -> None:
        """See Keyring.put_secret."""
        if len(value) != 32:
            raise ValueError("a secret is 32 bytes")
        if self._folder.create(f"secret.{_file_name(name)}", value) != value:
            raise ValueError("there is another secret of that name")

    def signing_key(self, name: str) -> SigningKey:
        """See Keyring.signing_key."""
        found = self._folder.read(f"signing.{_file_name(name)}")
        if found is None:
            raise KeyAbsent(name)
        kept = parse(found)
        return signing_from_jwk(kept["jwk"], kept["owner"])

    def put_signing_key(self, name: str, key: SigningKey) -> None:
        """See Keyring.put_signing_key."""
        self._folder.replace(
            f"signing.{_file_name(name)}",
            canonical({"owner": key.owner, "jwk": key.jwk(private=True)}),
        )

    def opening_keys(self, name: str) -> Mapping[str, OpeningKey]:
        """See Keyring.opening_keys."""
        with self._lock:
            self._look()
            if name not in self._opening:
                files = self._folder.names(f"opening.{_file_name(name)}.")
                kept = [parse(found) for file in files if (found := self._folder.read(file))]
                keys = [opening_from_jwk(entry["jwk"], entry["owner"]) for entry in kept]
                self._opening[name] = MappingProxyType({key.kid: key for key in keys})
            return self._opening[name]

    def put_opening_key(self, name: str, key: OpeningKey) -> None:
        """See Keyring.put_opening_key."""
        kept = canonical({"owner": key.owner, "jwk": key.jwk(private=True)})
        self._folder.replace(f"opening.{_file_name(name)}.{key.kid}", kept)

    def destroy_opening_key(self, name: str, kid: str) -> None:
        """See Keyring.destroy_opening_key."""
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


@cache
def _warn_once(warning: str) -> None:
    """Log a warning once: a demonstration opens a keyring per service in one process."""
    _LOG.warning(warning)


def _kek_id(version: int) -> str:
    return f"kek-{version}"


def _file_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a key's name is lower-case letters, digits, colon, hyphen and underscore, at most 64"
        )
    return name.replace(":", "=")
