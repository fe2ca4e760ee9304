"""An agency, as sharing sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency as deciding sees it."""

    id: str
    type: str
    area: str
    suspended: bool = False
