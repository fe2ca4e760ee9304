"""An agency, as sharing sees it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency as deciding sees it."""

    id: str
    type: str
    area: str
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Compromise:
    """A signing key of an agency that somebody else may have, and since when (UTC)."""

    agency: str
    key_id: str
    since: datetime
