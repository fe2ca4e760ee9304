"""A keyring in memory, held to the suite of the file keyring (tests/contract/test_keyring.py)."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.keyring import KeyAbsent, KeyringRefused
from hubformats.keys import OpeningKey, SigningKey

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9:_-]{0,63}")


@dataclass(repr=False)
class Kept:
    """What every `MemoryKeyring` on it shares, as processes share a folder."""

    keks: dict[str, bytes] = field(default_factory=lambda: {"kek-1": secrets.token_bytes(32)})
    made: int = 1
    secrets: dict[str, bytes] = field(default_factory=dict)
    signing: dict[str, SigningKey] = field(default_factory=dict)
    opening: dict[str, dict[str, OpeningKey]] = field(default_factory=dict)


class MemoryKeyring:
    """Fulfils `Keyring`. What it keeps lives as long as its `Kept`."""

    def __init__(self, kept: Kept | None = None) -> None:
        self._kept = kept or Kept()

    @property
    def kek_id(self) -> str:
        return f"kek-{self._kept.made}"

    def wrap(self, dek: bytes, context: bytes) -> bytes:
        head, nonce = self.kek_id.encode().ljust(12), secrets.token_bytes(12)
        return head + nonce + AESGCM(self._kept.keks[self.kek_id]).encrypt(nonce, dek, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        kek = self._kept.keks.get(blob[:12].rstrip().decode("latin-1"))
        if kek is None or len(blob) < 40:
            raise KeyringRefused("not a wrapped key, or its key is no more")
        try:
            return AESGCM(kek).decrypt(blob[12:24], blob[24:], context)
        except InvalidTag:
            raise KeyringRefused("the wrapped key does not open in this context") from None

    def rotate_kek(self) -> str:
        self._kept.made += 1
        self._kept.keks[self.kek_id] = secrets.token_bytes(32)
        return self.kek_id

    def destroy_kek(self, kek_id: str) -> None:
        if kek_id == self.kek_id:
            raise ValueError("the current one cannot be destroyed")
        if self._kept.keks.pop(kek_id, None) is None:
            raise KeyAbsent(kek_id)

    def secret(self, name: str) -> bytes:
        return self._kept.secrets.setdefault(_checked(name), secrets.token_bytes(32))

    def known(self, name: str) -> bytes | None:
        return self._kept.secrets.get(_checked(name))

    def put_secret(self, name: str, value: bytes) -> None:
        if len(value) != 32 or self._kept.secrets.setdefault(_checked(name), value) != value:
            raise ValueError("a secret is 32 bytes, and one of a name")

    def signing_key(self, name: str) -> SigningKey:
        found = self._kept.signing.get(_checked(name))
        if found is None:
            raise KeyAbsent(name)
        return found

    def put_signing_key(self, name: str, key: SigningKey) -> None:
        self._kept.signing[_checked(name)] = key

    def opening_keys(self, name: str) -> Mapping[str, OpeningKey]:
        return MappingProxyType(dict(self._kept.opening.get(_checked(name), {})))

    def put_opening_key(self, name: str, key: OpeningKey) -> None:
        self._kept.opening.setdefault(_checked(name), {})[key.kid] = key

    def destroy_opening_key(self, name: str, kid: str) -> None:
        if self._kept.opening.get(_checked(name), {}).pop(kid, None) is None:
            raise KeyAbsent(name)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("not a name of a key")
    return name
