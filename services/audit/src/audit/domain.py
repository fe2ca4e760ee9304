"""Words and rules of the log: what an entry is, which records are acceptable, what time it is, and
what a gap is."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

from common.events.audit import AuditItem
from hubformats.audit_record import SALT_BYTES, Leaf, RecordRefused, check_record
from hubformats.canonical import canonical, unb64u

SKEW_ALARM_MICROS: Final = 2_000_000
SKEW_STOP_MICROS: Final = 60_000_000
LATE_MICROS: Final = 15 * 60 * 1_000_000
"""A record older than this on arrival is flagged: producers must not be behind for longer (design
section 9).
"""

TOKEN_KINDS: Final = ("subject", "actor", "case", "delivery", "recipient")
TOKENS_PER_KIND: Final = 64
TOKEN_BYTES: Final = 16
SOURCE_LIMIT: Final = 64
_COUNT_LIMIT: Final = 2**53

PURPOSES: Final = (
    "verify_lawfulness",
    "self_monitoring",
    "integrity_and_security",
    "criminal_proceedings",
    "subject_right",
)
"""DPA 2018 s.62(4)(a) to (d): the only uses of these records; and a data subject's own right under
UK GDPR.
"""
Purpose = Literal[
    "verify_lawfulness",
    "self_monitoring",
    "integrity_and_security",
    "criminal_proceedings",
    "subject_right",
]


class RulesUnknown(LookupError):
    """No clocks of that area were in force on that day."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One dated set of an area's clocks.

    `purpose_holds` is how long a stated purpose covers looking.
    """

    version: str
    area: str
    effective_from: date
    purpose_holds: timedelta


def read_rules(texts: Iterable[str]) -> tuple[Rules, ...]:
    """The sets that TOML documents hold. Raises KeyError or ValueError on a bad file."""
    raws = [tomllib.loads(text) for text in texts]
    return tuple(
        Rules(
            raw["version"],
            raw["area"],
            raw["effective_from"],
            timedelta(hours=raw["questions"]["purpose_holds_hours"]),
        )
        for raw in raws
    )


def rules_on(rules: Iterable[Rules], area: str, day: date) -> Rules:
    """The set in force in an area on a day. Raises RulesUnknown."""
    dated = [each for each in rules if each.area == area and each.effective_from <= day]
    if not dated:
        raise RulesUnknown("no clocks for this area and day")
    return max(dated, key=lambda each: each.effective_from)


class LogHalted(RuntimeError):
    """The log must not go on until a person has looked. `code` says why; reading stays possible."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class LogState:
    """The one row that decides what the log is. `edge` is the compact range of (`size`, `root`).

    `receipted` is the newest size that was signed and whose receipts are durable; `published` the
    newest one put on
    ``/checkpoint``; `fence` the number of the sequencer that may write; `own_seq` the log's own
    entries so far.
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

    `claimed` is the place such a record claimed when it could not have it, as (src, epoch, seq).
    """

    index: int
    leaf: Leaf
    leaf_bytes: bytes
    service: str
    record: bytes
    salt: bytes
    fields: Mapping[str, Any]
    tokens: Mapping[str, tuple[bytes, ...]]
    subject_sealed: str = ""
    actor_sealed: str = ""
    rejected: str = ""
    raw_sealed: bytes = b""
    flags: str = ""
    claimed: tuple[str, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """An entry already in the log at a producer's place."""

    index: int
    h: str
    rejected: str


@dataclass(frozen=True, slots=True)
class Judged:
    """An item after inspection: acceptable when `code` is empty."""

    item: AuditItem
    code: str
    record: bytes = b""
    salt: bytes = b""
    fields: Mapping[str, Any] | None = None
    tokens: Mapping[str, tuple[bytes, ...]] | None = None

    @property
    def seq(self) -> int:
        """The place it claims in its producer's sequence."""
        return self.item.seq

    @property
    def raw(self) -> bytes:
        """The item exactly as it arrived, canonical: what a `rejected` entry commits to."""
        return canonical(self.item.model_dump(mode="json", by_alias=True))


def judge(item: AuditItem, service: str) -> Judged:
    """Hold one item to record v1 and to the service that sent it.

    Never raises: what is wrong becomes a code.
    """
    try:
        record, salt = unb64u(item.record), unb64u(item.salt)
        fields = check_record(record)
        tokens = _tokens(item)
    except RecordRefused as refused:
        return Judged(item, refused.code)
    except ValueError:
        return Judged(item, "encoding-malformed")
    if len(salt) != SALT_BYTES:
        return Judged(item, "salt-malformed")
    if fields["svc"] != service:
        return Judged(item, "service-differs")
    return Judged(item, "", record, salt, fields, tokens)


def _tokens(item: AuditItem) -> dict[str, tuple[bytes, ...]]:
    found = {kind: tuple(unb64u(token) for token in tokens) for kind, tokens in item.tokens.items()}
    for kind, tokens in found.items():
        if (
            kind not in TOKEN_KINDS
            or len(tokens) > TOKENS_PER_KIND
            or any(len(token) != TOKEN_BYTES for token in tokens)
        ):
            # Dropping a token quietly would let a search omit the entry for ever.
            raise RecordRefused("token-malformed")
    return found


def place_possible(src: str, epoch: int, seq: int) -> bool:
    """Whether a producer's place can stand in a leaf at all: an opaque printable code and counts a
    verifier can read.
    """
    named = 0 < len(src) <= SOURCE_LIMIT and src.isascii() and src.isprintable()
    return named and 0 <= epoch < _COUNT_LIMIT and 0 < seq < _COUNT_LIMIT


def log_time(last: int, now: int) -> tuple[int, bool]:
    """`tr` for an entry written now, in microseconds, and whether the clock went back far enough to
    alarm.

    `tr` never goes back: a clock set back repeats the last value. Raises LogHalted when it is more
    than a minute behind,
    because every later time would be untrue for that long.
    """
    behind = last - now
    if behind > SKEW_STOP_MICROS:
        raise LogHalted("clock-went-back")
    return max(last, now), behind > SKEW_ALARM_MICROS


def time_flag(happened: int, logged: int) -> str:
    """How a producer's time differs from the log's: ``future``, ``late`` or nothing."""
    if happened - logged > SKEW_ALARM_MICROS:
        return "future"
    return "late" if logged - happened > LATE_MICROS else ""


@dataclass(frozen=True, slots=True)
class Filter:
    """What an auditor looks for; every part given must hold.

    `case`, `actor` and `subject` are keyed tokens, so it names nobody.

    `since` and `until` bound the log's own time in microseconds, because a producer's clock could
    hide an entry.
    """

    case: bytes | None = None
    actor: bytes | None = None
    subject: bytes | None = None
    recipient: str | None = None
    delivery: str | None = None
    operation: str | None = None
    since: int | None = None
    until: int | None = None
    emergency: bool = False
