"""Clocks that a test can set; nothing here is used by a running service."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that stands still until told to move."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the set moment, UTC."""
        return self._now

    def micros(self) -> int:
        """Return the set moment in microseconds since the epoch."""
        return int(self._now.timestamp() * 1_000_000)

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._monotonic

    def advance(self, by: timedelta | float) -> None:
        """Move forward by a duration, or by seconds."""
        step = by if isinstance(by, timedelta) else timedelta(seconds=by)
        self._now += step
        self._monotonic += step.total_seconds()
