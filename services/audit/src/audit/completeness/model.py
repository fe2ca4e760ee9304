"""The producers' sequences: which numbers never arrived, and who has gone silent."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

SILENT_AFTER: Final = timedelta(minutes=3)
"""A producer beats every minute."""

Verdict = Literal["complete", "gaps", "halted"]


@dataclass(frozen=True, slots=True)
class Producer:
    """One producer epoch. `heard` is the log's time in microseconds; gaps include both ends."""

    service: str
    src: str
    epoch: int
    highest: int
    heard: int
    gaps: tuple[tuple[int, int], ...]

    def silent(self, now: int) -> bool:
        """Say whether it has not been heard for too long at `now`, in microseconds."""
        return now - self.heard > SILENT_AFTER.total_seconds() * 1_000_000


@dataclass(frozen=True, slots=True)
class Board:
    """Every producer, and how far the log goes."""

    producers: tuple[Producer, ...]
    log_size: int

    def verdict(self, halted: str | None) -> Verdict:
        """Judge the whole; `halted` says why the log stopped, None while it works."""
        if halted is not None:
            return "halted"
        return "gaps" if any(one.gaps for one in self.producers) else "complete"
