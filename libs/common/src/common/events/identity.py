"""Published by identity on ``hub.identity.v1`` for every service: who may act, and with which
keys."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from hubformats.event import Event


class AgencySuspended(Event):
    """From this moment no token of the agency counts, however long it has left."""

    TYPE: ClassVar[str] = "hub.agency-suspended"
    VERSION: ClassVar[int] = 1

    agency: str
    reason_code: str
    state_epoch: int
    at: datetime


class AgencyRestored(Event):
    """The agency may act again."""

    TYPE: ClassVar[str] = "hub.agency-restored"
    VERSION: ClassVar[int] = 1

    agency: str
    state_epoch: int
    at: datetime


class KeyPublished(Event):
    """A new public key of an owner, valid from `not_before`. `signed_by_root` is the JWS of the
    owner's pinned root over the key.
    """

    TYPE: ClassVar[str] = "hub.key-published"
    VERSION: ClassVar[int] = 1

    owner: str
    use: Literal["sig", "enc"]
    jwk: dict[str, Any]
    not_before: datetime
    signed_by_root: str


class KeyRetired(Event):
    """A key no longer used for new work; verification of what it signed before `at` stays valid."""

    TYPE: ClassVar[str] = "hub.key-retired"
    VERSION: ClassVar[int] = 1

    owner: str
    kid: str
    at: datetime
    compromised: bool = False


class DirectoryHeartbeat(Event):
    """The whole of the state that denies, every fifteen seconds: a copy older than sixty seconds
    must deny.
    """

    TYPE: ClassVar[str] = "hub.directory-heartbeat"
    VERSION: ClassVar[int] = 1

    at: datetime
    state_epoch: int
    suspended: tuple[str, ...]


class DirectoryHeartbeatV2(DirectoryHeartbeat):
    """The same, and every access token that was ended before its time and could still be shown."""

    VERSION: ClassVar[int] = 2

    ended_tokens: tuple[str, ...]
    """Their `jti`."""
    ended_until: int
    """With more of them than these: every token issued until then (Unix seconds) counts as ended.
    """
