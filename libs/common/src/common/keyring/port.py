"""The keyring as a port: what it promises, and how it refuses."""

from collections.abc import Mapping
from typing import Final, Protocol

from hubformats.keys import OpeningKey, SigningKey

USED: Final = "database-birth"
"""The secret that a keyring has once it was used with a database: `common.audit_trail.birth`."""


class KeyringRefused(ValueError):
    """A wrapped key did not open: wrong context, changed bytes, or its key is no more."""


class KeyAbsent(KeyError):
    """The keyring holds no key of that name."""


class Keyring(Protocol):
    """Keys of one service.

    Obligations: what `wrap`, `secret` and `put_*` answered survives a crash the moment they return.
    Two processes on one keyring that ask for the same new secret get the same one. Nothing of a key
    appears in an error, a log or a repr. What `destroy_*` removed cannot be had back from the
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
        """Unwrap a data key. Raises KeyringRefused."""
        ...

    def rotate_kek(self) -> str:
        """Make a new key-encryption key and answer its id; older ones unwrap until destroyed."""
        ...

    def destroy_kek(self, kek_id: str) -> None:
        """Destroy an old key-encryption key and with it everything still wrapped under it.

        Raises ValueError for the current one, KeyAbsent for an unknown one.
        """
        ...

    def secret(self, name: str) -> bytes:
        """Return the 32-byte secret of that name, made at random on first use."""
        ...

    def known(self, name: str) -> bytes | None:
        """Return the secret of that name; None if it was never made."""
        ...

    def put_secret(self, name: str, value: bytes) -> None:
        """Keep a secret of 32 bytes. Raises ValueError when another one of that name exists."""
        ...

    def signing_key(self, name: str) -> SigningKey:
        """Return the private signing key of that name. Raises KeyAbsent."""
        ...

    def put_signing_key(self, name: str, key: SigningKey) -> None:
        """Keep a signing key, replacing an earlier one of that name."""
        ...

    def opening_keys(self, name: str) -> Mapping[str, OpeningKey]:
        """Return every opening key of that name by key id, retired ones included."""
        ...

    def put_opening_key(self, name: str, key: OpeningKey) -> None:
        """Add an opening key; earlier ones stay, so that what is under way still opens."""
        ...

    def destroy_opening_key(self, name: str, kid: str) -> None:
        """Destroy an opening key.

        What was sealed only to it is unreadable from now on.

        Raises KeyAbsent.
        """
        ...
