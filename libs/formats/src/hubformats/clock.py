"""The one place time comes from, so that tests and replays can choose it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Source of time. Obligation: `now` is timezone-aware UTC; `monotonic` never goes back."""

    def now(self) -> datetime:
        """The present moment, UTC, timezone-aware."""
        ...

    def micros(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, UTC, timezone-aware."""
        return datetime.now(UTC)

    def micros(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds on the process's monotonic clock."""
        return time.monotonic()
