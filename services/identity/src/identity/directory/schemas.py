"""Shapes of the key directory."""

from common.models import ApiModel


class ServiceKeysOut(ApiModel):
    """A service's public keys, vouched for by the operator's signature on the bootstrap file."""

    name: str
    owner: str
    keys: list[dict[str, str]]


class KeyDirectoryOut(ApiModel):
    """Public keys.

    Each key set is a JWS under the agency's root; check it against the root you pinned, not the one
    here.
    """

    key_sets: dict[str, str]
    roots: dict[str, dict[str, str]]
    services: list[ServiceKeysOut]
