"""Moves the clocks of every process of a test, forward only: by a length of time, or to a London
wall-clock time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from hubformats.clock import VARIABLE, ClockOffset

LONDON: Final = ZoneInfo("Europe/London")


class MovingClock:
    """One offset file, its only writer, and what processes need to follow it."""

    def __init__(self, folder: Path) -> None:
        """The file is made in `folder`, or found there as an earlier run left it."""
        self._path = folder / "clock"
        self._offset = ClockOffset.create(self._path)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for every process that is to follow this clock."""
        return {"HUB_TEST_BUILD": "1", VARIABLE: str(self._path)}

    def follow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process follow it: each SystemClock made from now on."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def now(self) -> datetime:
        """What those processes take the present to be."""
        return datetime.now(UTC) + timedelta(microseconds=self._offset.nanos // 1000)

    def advance(self, by: timedelta) -> None:
        """Move forward by elapsed time. Raises ClockRefused for a move backwards."""
        self._offset.advance(by)

    def to_london(self, wall: datetime) -> None:
        """Move forward to a London wall-clock time, given without a zone.

        `fold=1` means the second of two equal ones in October. Raises ValueError for a time that
        the night in March leaves out, ClockRefused for one that is past.
        """
        if wall.tzinfo is not None:
            raise ValueError("a wall-clock time has no zone of its own")
        moment = wall.replace(tzinfo=LONDON).astimezone(UTC)
        if moment.astimezone(LONDON).replace(tzinfo=None) != wall.replace(fold=0):
            raise ValueError("London's clocks never show this time")
        self.advance(moment - self.now())

    def london(self) -> datetime:
        """The present on London's clocks."""
        return self.now().astimezone(LONDON)
