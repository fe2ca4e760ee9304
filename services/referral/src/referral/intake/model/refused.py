"""Refused intakes: alarms of a sender's desk, without what was sent."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class IntakeMarks:
    """By what a refused intake is known again when it is corrected."""

    key_mark: bytes | None
    """A keyed hash of caller and Idempotency-Key."""
    external_reference: str | None = field(repr=False)
    """The sender's own reference; kept as a keyed hash only."""


@dataclass(frozen=True, slots=True)
class RefusedIntake:
    """An open alarm: when it was first refused (UTC), and the newest problem code."""

    id: UUID
    at: datetime
    code: str


RefusedPlace = tuple[datetime, UUID]
"""Where a page of open alarms ended: time and id of its last."""


@dataclass(frozen=True, slots=True)
class RefusedPage:
    """Some of a desk's open alarms, whether others stand behind them, and how many in all."""

    items: tuple[RefusedIntake, ...]
    more: bool
    total: int
