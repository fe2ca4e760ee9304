"""Shapes of the key directory."""

from typing import Annotated

from pydantic import Field

from common.models import ApiModel, Timestamp


class ServiceKeysOut(ApiModel):
    """A service's first public keys, vouched for by the operator's signature on the bootstrap file.

    Its opening keys of now are in its own set.
    """

    name: str
    owner: str
    keys: list[dict[str, str]]


class KeyDirectoryOut(ApiModel):
    """Public keys.

    Each key set is a JWS under the agency's root, a service's under its own signing key. Check it
    against the root you pinned, not the one here.
    """

    key_sets: dict[str, str]
    roots: dict[str, dict[str, str]]
    services: list[ServiceKeysOut]


class KeySetIn(ApiModel):
    """A signed key set."""

    key_set: Annotated[str, Field(min_length=1, max_length=8192)]


class KeySetOut(ApiModel):
    """The key set that is served from now on."""

    key_set: str


class RetirementIn(ApiModel):
    """A signing key that its agency retires.

    The set holds every key as before, this one with `revoked`, and new ones. It is signed by the
    agency's root.
    """

    key_set: Annotated[str, Field(min_length=1, max_length=8192)]
    key_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    retired_at: Timestamp
    compromised_since: Timestamp | None = None
    """From when on somebody else may have signed with it; absent when nobody had it."""
