"""What the log needs from outside, each with its obligations.

A transaction is committed by whoever opened it, never here.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from audit.log.model.entries import Entry, Genesis, Head, Known, LogHalted, LogState, Reply, Waiting
from hubformats.audit_record import AuditEntry
from hubformats.tlog.tiles import Tile

T = TypeVar("T")


class LogTx(Protocol):
    """The log inside one write transaction.

    Obligation: all of it becomes durable together or not at all.
    """

    def state(self) -> LogState | None:
        """Read the state row, locked until the transaction ends; None before genesis."""
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
        """Return the service a producer code belongs to; None while nobody has used it."""
        ...

    def bind(self, src: str, service: str, at: int) -> None:
        """Give an unused producer code to a service for ever."""
        ...

    def highest(self, src: str, epoch: int) -> int:
        """Return the highest sequence number seen in the epoch; 0 for none."""
        ...

    def heard(self, src: str, epoch: int, highest: int, at: int) -> None:
        """Note the highest sequence number and when the producer was last heard."""
        ...

    def known(self, src: str, epoch: int, first: int, last: int) -> dict[int, Known]:
        """Read what the log holds of the epoch between two sequence numbers, both included."""
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


class SequencerStore(Protocol):
    """The sequencer's own door to the database."""

    async def take_over(self) -> LogState | None:
        """Raise the fence by one and return the state after it.

        No other sequencer's transaction can succeed from now on.
        """
        ...

    async def waiting(self) -> Waiting:
        """Read what is committed and waits for its receipt, on a fresh snapshot."""
        ...

    async def leaves(self, first: int, last: int) -> list[bytes]:
        """Read the exact leaf bytes of entries first ≤ index < last."""
        ...

    async def signed(
        self, head: Head, before: LogState, replies: Sequence[Reply], answered: Sequence[int]
    ) -> None:
        """Keep a head with everything that follows from it, in one transaction.

        Advances the receipted size, puts the replies into the outbox, forgets what was wanted.

        Raises LogHalted when the fence or the receipted size is no longer that of `before`.
        """
        ...

    async def published(self, size: int, fence: int) -> None:
        """Advance the published size; never back.

        Raises LogHalted when `fence` is no longer ours.
        """
        ...

    async def head(self, size: int) -> Head | None:
        """Read the head signed at exactly this size."""
        ...


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
        """Read a tile's bytes, or None."""
        ...

    def drop_partials(self, tile: Tile) -> None:
        """Remove the unfinished forms of a tile whose full form is published."""
        ...

    def publish(self, note: str) -> None:
        """Replace the checkpoint file."""
        ...

    def published(self) -> str | None:
        """Read the checkpoint file as it stands; None when there is none."""
        ...

    def promise(self, note: str) -> None:
        """Keep the newest head whose receipts are about to leave; durable on return."""
        ...

    def promised(self) -> str | None:
        """Read the head kept last; None when there is none."""
        ...


class PublicLog(Protocol):
    """The signed log as readers see it."""

    @property
    def checkpoint(self) -> str | None:
        """The newest published checkpoint; None before the first."""
        ...

    @property
    def signed_size(self) -> int:
        """Entries the newest signed head covers."""
        ...

    @property
    def published_size(self) -> int:
        """Entries the published checkpoint covers."""
        ...

    @property
    def halted(self) -> str | None:
        """Why the log stopped; None while it works."""
        ...

    def demand_running(self) -> None:
        """Raise LogStopped once the log has halted."""
        ...

    async def prove(self, index: int) -> str:
        """Make a tlog-proof of the entry under the newest signed head.

        Raises IndexError when it is not signed yet.
        """
        ...


class LogGate(Protocol):
    """What intake asks and tells the sequencer."""

    @property
    def fence(self) -> int:
        """The number under which this sequencer may write."""
        ...

    @property
    def halted(self) -> str | None:
        """Why the log stopped; None while it works."""
        ...

    def halt(self, reason: LogHalted) -> None:
        """Stop for good and alarm. May be called from any thread, more than once."""
        ...

    def wake(self) -> None:
        """Say that something was committed. Call on the loop."""
        ...


class SearchRows(Protocol):
    """The search rows inside a write transaction: a projection of the entries."""

    def rebuild(self) -> int:
        """Write every search row anew from the entries. Returns how many entries."""
        ...

    def record(self, entry: AuditEntry) -> None:
        """Record an act of this service in the log; durable with the transaction."""
        ...


class LogView(Protocol):
    """The log on one snapshot."""

    def size(self) -> int:
        """Count the entries."""
        ...

    def genesis(self) -> Genesis | None:
        """Read entry 0; None when it is missing or is not the log's own."""
        ...

    def row_differences(self) -> list[int]:
        """List entries whose search rows are not what the entry says."""
        ...


class LogStore(Protocol):
    """Transactions for the public log's routes and the operator's."""

    async def write(self, work: Callable[[SearchRows], T]) -> T:
        """Run `work`, commit, and return when durable.

        `work` may run twice and must touch only the transaction.
        """
        ...

    async def read(self, work: Callable[[LogView], T]) -> T:
        """Run `work` on one snapshot."""
        ...
