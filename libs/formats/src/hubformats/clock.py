"""The one place time comes from, so that tests and replays can choose it."""

import asyncio
import mmap
import os
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

VARIABLE: Final = "HUB_CLOCK_FILE"
"""Names the file that holds how far the clock was moved; for test builds only."""

_TEST_BUILD: Final = "HUB_TEST_BUILD"
_BYTES: Final = 8
_STEP_SECONDS: Final = 0.1
"""A sleep is looked at so often where the clock may jump."""


class Clock(Protocol):
    """Source of time. Obligation: `now` is timezone-aware UTC; `monotonic` never goes back."""

    def now(self) -> datetime:
        """Return the present moment, UTC, timezone-aware."""
        ...

    def micros(self) -> int:
        """Return microseconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back; only differences mean anything."""
        ...


class ClockRefused(Exception):
    """The clock cannot be moved: outside a test build, backwards, or without a usable file."""


class ClockOffset:
    """How far a test moved the clocks of all processes: nanoseconds in a file of 8 bytes.

    Every process maps the file, so a jump is seen by all at once. It is written in place, because a
    file renamed over it would leave every open map with the old offset. One writer only.
    """

    def __init__(self, path: Path) -> None:
        """Open an existing file. Raises ClockRefused."""
        try:
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), _BYTES)
        except (OSError, ValueError):
            raise ClockRefused(f"{VARIABLE} must name a file of {_BYTES} bytes") from None
        # One aligned read or write of 8 bytes: no reader sees half of a jump.
        self._words = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, path: Path) -> "ClockOffset":
        """Make the file of a clock not moved yet, or open the one that is there."""
        if not path.exists():
            path.write_bytes(bytes(_BYTES))
        return cls(path)

    @property
    def nanos(self) -> int:
        """Nanoseconds, never less than before."""
        return self._words[0]

    def advance(self, by: timedelta) -> None:
        """Move every clock forward. Raises ClockRefused for a move backwards."""
        if by < timedelta():
            raise ClockRefused("the clock moves forward only")
        self._words[0] += by // timedelta(microseconds=1) * 1000


class SystemClock:
    """The machine's own clock, moved by HUB_CLOCK_FILE in a test build.

    Raises ClockRefused when the variable is set in any other build.
    """

    def __init__(self) -> None:
        self._offset = _offset_of(os.environ.get(VARIABLE), os.environ.get(_TEST_BUILD))

    @property
    def jumps(self) -> bool:
        """Whether a test may move it."""
        return self._offset is not None

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of the machine's."""
        return timedelta(microseconds=0 if self._offset is None else self._offset.nanos // 1000)

    def now(self) -> datetime:
        """Return the present moment, UTC, timezone-aware."""
        if self._offset is None:
            return datetime.now(UTC)
        return datetime.now(UTC) + timedelta(microseconds=self._offset.nanos // 1000)

    def micros(self) -> int:
        """Return microseconds since the Unix epoch, UTC."""
        if self._offset is None:
            return time.time_ns() // 1000
        return (time.time_ns() + self._offset.nanos) // 1000

    def monotonic(self) -> float:
        """Return seconds on the process's monotonic clock, and what the clock was moved by."""
        if self._offset is None:
            return time.monotonic()
        return time.monotonic() + self._offset.nanos / 1e9


async def rest(clock: Clock, seconds: float) -> None:
    """Sleep for `seconds` of `clock`: where a test may move it, a jump past the end is seen.

    asyncio's own timers follow the machine, so one long sleep would sleep on.
    """
    if not (isinstance(clock, SystemClock) and clock.jumps):
        await asyncio.sleep(seconds)
        return
    until = clock.monotonic() + seconds
    while (left := until - clock.monotonic()) > 0:  # noqa: ASYNC110 - nobody signals a jump
        await asyncio.sleep(min(left, _STEP_SECONDS))


def longest(clock: Clock, seconds: float) -> float:
    """Return `seconds`, or less where a test may move `clock`: for a wait that may end early."""
    jumps = isinstance(clock, SystemClock) and clock.jumps
    return min(seconds, _STEP_SECONDS) if jumps else seconds


@lru_cache(maxsize=8)
def _offset_of(named: str | None, test_build: str | None) -> ClockOffset | None:
    if not named:
        return None
    if test_build != "1":
        raise ClockRefused(f"{VARIABLE} must be unset: it is for test builds only")
    return ClockOffset(Path(named))
