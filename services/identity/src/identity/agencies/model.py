"""An agency as the hub knows it today."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


class NoSuchAgency(LookupError):
    """There is no agency of this id."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Access tokens that were ended before their time and that somebody could still show.

    `until`: every token issued until then (Unix seconds) counts as ended, because there are more
    than `tokens` can name.
    """

    tokens: tuple[str, ...] = ()
    until: int = 0


@dataclass(frozen=True, slots=True)
class AgencyState:
    """An agency as the hub knows it today.

    `suspended_at` set means: no token, no sign-in, no access.
    """

    id: str
    name: str
    type: str
    area: str
    root: Mapping[str, str]
    key_set: str
    custodial: bool
    suspended_at: datetime | None = None
    reason_code: str = ""
