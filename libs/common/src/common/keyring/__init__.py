"""Key-encryption keys, named secrets and private keys of one service."""

from common.keyring.files import FileKeyring
from common.keyring.port import KeyAbsent, Keyring, KeyringRefused
from hubformats.keyring_folder import KeyringLocked

__all__ = ["FileKeyring", "KeyAbsent", "Keyring", "KeyringLocked", "KeyringRefused"]
