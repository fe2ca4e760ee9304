"""Key-encryption keys, named secrets and private keys of one service."""

from common.keyring.files import FileKeyring
from common.keyring.port import USED, KeyAbsent, Keyring, KeyringRefused
from hubformats.keyring_folder import KeyringLocked

__all__ = ["USED", "FileKeyring", "KeyAbsent", "Keyring", "KeyringLocked", "KeyringRefused"]
