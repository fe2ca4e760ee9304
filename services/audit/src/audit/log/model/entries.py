"""Words and rules of the log: its state, its entries, its heads, and what time it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from common.events.audit import AuditReceipts, AuditRejected
from hubformats.audit_record import Leaf

SERVICE: Final = "audit"
OWN_EPOCH: Final = 0
SKEW_ALARM_MICROS: Final = 2_000_000
SKEW_STOP_MICROS: Final = 60_000_000
LATE_MICROS: Final = 15 * 60 * 1_000_000
"""A record older than this on arrival is flagged (design section 9)."""

Place = tuple[str, int, int]
"""A producer's place in the log: source code, epoch, sequence number."""


class TimeFlag(StrEnum):
    """How a producer's time differs from the log's."""

    FUTURE = "future"
    LATE = "late"


class LogHalted(RuntimeError):
    """The log must not go on until a person has looked. `code` says why; reading stays possible."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class HistoryDiffers(Exception):
    """The database is not the one that the newest promised head was made from.

    `code` says how. `published` and `held` are how many entries each of the two covers.
    """

    def __init__(self, code: str, published: int = 0, held: int = 0) -> None:
        super().__init__(code)
        self.code, self.published, self.held = code, published, held


class LogStopped(Exception):
    """The log records nothing now, so what must be recorded first cannot be done."""


@dataclass(frozen=True, slots=True)
class LogState:
    """The one row that decides what the log is. `edge` is the compact range of (`size`, `root`).

    `receipted`: the newest size that was signed and whose receipts are durable.
    `published`: the newest size put on ``/checkpoint``.
    `fence`: the number of the sequencer that may write. `own_seq`: the log's own entries so far.
    """

    size: int
    root: bytes
    edge: bytes
    last_tr: int
    own_src: str
    own_seq: int
    fence: int
    receipted: int
    published: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in the log with what stands behind its leaf.

    `rejected` is the code of a record that was not acceptable.
    `claimed` is the place such a record claimed when it could not have it.
    `held` is the reason of something withheld, which the record only commits to, as JSON.
    """

    index: int
    leaf: Leaf
    leaf_bytes: bytes
    service: str
    record: bytes
    salt: bytes
    fields: Mapping[str, Any]
    tokens: Mapping[str, tuple[bytes, ...]]
    subject_sealed: str | None = None
    actor_sealed: str | None = None
    rejected: str | None = None
    raw_sealed: bytes | None = None
    flags: TimeFlag | None = None
    claimed: Place | None = None
    account_sealed: str | None = None
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """An entry already in the log at a producer's place."""

    index: int
    h: str
    rejected: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """A signed checkpoint and what it says."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry as the sequencer reads it back after the commit.

    `place` is the one its producer waits for.
    """

    index: int
    leaf: bytes
    service: str
    record_id: str
    rejected: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Waiting:
    """What was committed, on one snapshot.

    `entries` have no receipts yet; `wanted` are older ones whose receipts are asked for again.
    """

    state: LogState
    entries: tuple[Logged, ...]
    wanted: tuple[Logged, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """Receipts or a rejection for one service."""

    service: str
    event: AuditReceipts | AuditRejected


@dataclass(frozen=True, slots=True)
class Genesis:
    """Entry 0, which hides nothing: exact record, salt and leaf."""

    record: bytes
    salt: bytes
    leaf: bytes


def log_time(last: int, now: int) -> tuple[int, bool]:
    """Give `tr` for an entry written now, in microseconds, and whether to alarm.

    `tr` never goes back: a clock set back repeats the last value.

    Raises LogHalted when the clock is over a minute behind: every later time would be untrue.
    """
    behind = last - now
    if behind > SKEW_STOP_MICROS:
        raise LogHalted("clock-went-back")
    return max(last, now), behind > SKEW_ALARM_MICROS


def time_flag(happened: int, logged: int) -> TimeFlag | None:
    """Say how a producer's time differs from the log's, in microseconds; None for not enough."""
    if happened - logged > SKEW_ALARM_MICROS:
        return TimeFlag.FUTURE
    return TimeFlag.LATE if logged - happened > LATE_MICROS else None
