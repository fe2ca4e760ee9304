"""What the audit service needs from outside, each with its obligations. A transaction is committed
by whoever opened it, never here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from audit.domain import Entry, Filter, Known, LogState, Purpose
from common.attempts import Answer, Attempt
from common.events.audit import AuditReceipts, AuditRejected
from hubformats.audit_record import AuditEntry
from hubformats.tlog.tiles import Tile

T = TypeVar("T")


class LogTx(Protocol):
    """The log inside one write transaction.

    Obligation: all of it becomes durable together or not at all.
    """

    def state(self) -> LogState | None:
        """The state row, locked until the transaction ends; None before genesis."""
        ...

    def begin(self, state: LogState) -> None:
        """Write the first state row. Fails if there is one."""
        ...

    def advance(self, old: LogState, new: LogState) -> None:
        """Compare-and-swap size, root, edge, time and own sequence.

        Raises LogHalted when `old` is no longer the state.
        """
        ...

    def add(self, entries: Sequence[Entry]) -> None:
        """Append entries with their search rows.

        A repeated (src, ep, seq) or index fails the transaction.
        """
        ...

    def service_of(self, src: str) -> str | None:
        """The service a producer code belongs to; None while nobody has used it."""
        ...

    def bind(self, src: str, service: str, at: int) -> None:
        """Give an unused producer code to a service for ever."""
        ...

    def highest(self, src: str, epoch: int) -> int:
        """The highest sequence number seen in the epoch; 0 for none."""
        ...

    def heard(self, src: str, epoch: int, highest: int, at: int) -> None:
        """Note the highest sequence number and when the producer was last heard."""
        ...

    def known(self, src: str, epoch: int, first: int, last: int) -> dict[int, Known]:
        """What the log holds of the epoch between two sequence numbers, both included."""
        ...

    def open_gap(self, src: str, epoch: int, first: int, last: int, at: int) -> None:
        """Note that these sequence numbers are missing."""
        ...

    def fill_gap(self, src: str, epoch: int, seq: int) -> None:
        """Take one number out of the gap that holds it."""
        ...

    def want_receipt(self, index: int) -> None:
        """Ask for an entry's receipt to be sent again with the next head."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """A signed checkpoint and what it says."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry as the sequencer reads it back after the commit.

    `place` is the (src, epoch, seq) its producer waits for.
    """

    index: int
    leaf: bytes
    service: str
    record_id: str
    rejected: str
    place: tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What was committed, on one snapshot: the state, entries whose receipts are not out, and old
    ones wanted again.
    """

    state: LogState
    entries: tuple[Logged, ...]
    wanted: tuple[Logged, ...]


class SequencerStore(Protocol):
    """The sequencer's own door to the database."""

    async def take_over(self) -> LogState | None:
        """Raise the fence by one, so that no other sequencer's transaction can succeed from now on;
        the state after it.
        """
        ...

    async def waiting(self) -> Waiting:
        """What is committed and waits for its receipt, read on a fresh snapshot."""
        ...

    async def leaves(self, first: int, last: int) -> list[bytes]:
        """The exact leaf bytes of entries first ≤ index < last."""
        ...

    async def signed(
        self, head: Head, before: LogState, replies: Sequence["Reply"], answered: Sequence[int]
    ) -> None:
        """One transaction: keep the head, advance the receipted size, put the replies into the
        outbox, forget what was wanted.

        Raises LogHalted when the fence or the receipted size is no longer that of `before`.
        """
        ...

    async def published(self, size: int, fence: int) -> None:
        """Advance the published size; never back.

        Raises LogHalted when `fence` is no longer ours.
        """
        ...

    async def head(self, size: int) -> Head | None:
        """The head signed at exactly this size."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """Receipts or a rejection for one service."""

    service: str
    event: AuditReceipts | AuditRejected


class TileFiles(Protocol):
    """The folder of tiles.

    Obligation: a file appears whole and durable or not at all, and never changes once written.
    """

    def write(self, tile: Tile, data: bytes) -> None:
        """Store a tile.

        Raises LogHalted when it exists with other bytes, or when the disk refuses.
        """
        ...

    def read(self, tile: Tile) -> bytes | None:
        """Its bytes, or None."""
        ...

    def drop_partials(self, tile: Tile) -> None:
        """Remove the unfinished forms of a tile whose full form is published."""
        ...

    def publish(self, note: str) -> None:
        """Replace the checkpoint file."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """An entry as an auditor may see it."""

    index: int
    leaf: bytes
    record: bytes
    salt: bytes
    service: str
    rejected: str
    flags: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it was recorded. Only `asker` may read its answers.

    `agency` is the one whose entries it may show, None for a mandated cross-agency auditor; `size`
    the log's size when it was
    asked, so that what it can find does not move while it is read.
    """

    id: UUID
    asker: str
    agency: str | None
    purpose: Purpose
    filter: Filter
    size: int
    asked_at: int


@dataclass(frozen=True, slots=True)
class Producer:
    """One producer epoch on the completeness board. `heard` is the log's time in microseconds."""

    service: str
    src: str
    epoch: int
    highest: int
    heard: int
    gaps: tuple[tuple[int, int], ...]


class QueryTx(Protocol):
    """What answering auditors needs of a write transaction."""

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Run `work` once per idempotency key; a repeat gets the stored answer."""
        ...

    def record(self, entry: AuditEntry) -> None:
        """Record an act of this service in the log; durable with the transaction."""
        ...

    def log_size(self) -> int:
        """Entries in the log."""
        ...

    def keep(self, question: Question) -> None:
        """Store a question."""
        ...

    def rebuild_index(self) -> int:
        """Write every search row anew from the entries; how many entries."""
        ...


class QueryView(Protocol):
    """What answering auditors reads, on one snapshot."""

    def question(self, question_id: UUID) -> Question | None:
        """A question by id."""
        ...

    def latest_question(self, asker: str, since: int) -> Question | None:
        """The asker's newest question asked since a moment in microseconds."""
        ...

    def search(self, question: Question, below: int, limit: int) -> list[Found]:
        """Matching entries with index < `below`, newest first; never one of another agency than the
        question's.
        """
        ...

    def entry(self, index: int, agency: str | None) -> Found | None:
        """One entry, or None when there is none or it is not this agency's: the two do not
        differ.
        """
        ...

    def producers(self) -> list[Producer]:
        """Every producer epoch with its gaps."""
        ...

    def log_size(self) -> int:
        """Entries in the log."""
        ...

    def index_differences(self) -> list[int]:
        """Entries whose search rows are not what the entry says."""
        ...


class AuditStore(Protocol):
    """Transactions for the query use cases."""

    async def write(self, work: Callable[[QueryTx], T]) -> T:
        """Run `work`, commit, and return when durable.

        `work` may run twice and must touch only the transaction.
        """
        ...

    async def read(self, work: Callable[[QueryView], T]) -> T:
        """Run `work` on one snapshot."""
        ...
