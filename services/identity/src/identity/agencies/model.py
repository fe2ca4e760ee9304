"""An agency as the hub knows it today."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


class NoSuchAgency(LookupError):
    """There is no agency of this id."""


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
