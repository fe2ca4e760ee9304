"""The only writer of heads.

Committed entries → tiles → root by a second path → signature → head kept → receipts → checkpoint.
A start after a crash runs the same steps as every batch, from the last receipted size on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry import metrics

from audit.log.model.entries import (
    Head,
    HistoryDiffers,
    LogHalted,
    LogState,
    LogStopped,
    Reply,
    Waiting,
)
from audit.log.model.merkle import CompactRange, EdgeMalformed, Growth, RightEdge
from audit.log.ports import SequencerStore, TileFiles
from audit.log.worker.checkpoint import HeadSigner
from audit.log.worker.derivation import Derivation, Signed
from audit.log.worker.receipts import replies
from common.faults import crash_point
from common.telemetry import describe
from hubformats.tlog import format_proof, leaf_hash
from hubformats.tlog.tiles import TILE_WIDTH, Tile

WINDOW_SECONDS: Final = 0.005
"""The least time between two rounds.

Batches that come together share one signature, one fsync and one transaction. One that comes
alone waits for nobody.
"""
PUBLISH_SECONDS: Final = 1.0

_log = logging.getLogger("hub.audit")
_meter = metrics.get_meter("hub.audit")
_signed = _meter.create_gauge(
    "hub_audit_signed_entries", description="Entries the newest signed head covers"
)
_published = _meter.create_gauge(
    "hub_audit_published_entries", description="Entries the published checkpoint covers"
)
_halts = _meter.create_counter(
    "hub_audit_halts", description="Times the log stopped itself, by code"
)


@dataclass(frozen=True, slots=True)
class _Round:
    """What one round made in its thread."""

    signed: Signed
    head: Head
    growth: Growth
    replies: list[Reply]


class Sequencer:
    """Signs what intake has committed.

    One instance works at a time: `boot` fences off every earlier one.
    """

    def __init__(
        self,
        store: SequencerStore,
        files: TileFiles,
        signer: HeadSigner,
        on_halt: Callable[[str], Awaitable[None] | None],
    ) -> None:
        self._store = store
        self._derivation = Derivation(files, signer)
        self._on_halt = on_halt
        self._signed = Signed(None, RightEdge(0, []), ())
        self._published = 0
        self._published_note: str | None = None
        self._finished: list[Tile] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._rounded = 0.0
        self.fence = -1
        self.halted: str | None = None
        """Why the log stopped; None while it works."""

    @property
    def checkpoint(self) -> str | None:
        """The newest published checkpoint; None before the first."""
        return self._published_note

    @property
    def published_size(self) -> int:
        """Entries the published checkpoint covers."""
        return self._published

    @property
    def signed_size(self) -> int:
        """Entries the newest signed head covers."""
        return self._signed.size

    def wake(self) -> None:
        """Note that something was committed. Call on the loop."""
        self._wake.set()

    def halt(self, reason: LogHalted) -> None:
        """Stop for good and alarm; what is published stays readable.

        May be called from any thread, more than once.
        """
        if self.halted is None:
            self.halted = reason.code
            _log.critical(
                "audit log halted: read-only until a person has looked", extra={"code": reason.code}
            )
            _halts.add(1, {"code": reason.code})
            self._on_halt(reason.code)

    def demand_running(self) -> None:
        """Raise LogStopped once the log has halted."""
        if self.halted is not None:
            raise LogStopped(self.halted)

    async def start(self) -> None:
        """Boot, sign and publish what a crash left behind, then work until `stop`.

        A log that does not check out halts, readable.
        """
        try:
            await self.boot()
            await self.round()
            await self.publish()
        except LogHalted as halt:
            self.halt(halt)
            return
        self._tasks = [
            asyncio.create_task(self._until_halted(step))
            for step in (self._next_round, self._next_publish)
        ]

    async def stop(self) -> None:
        """End between two steps. What is committed and not signed waits for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def demand_one_history(self) -> None:
        """Check that the database is of the log that was promised, before anything is written.

        What was promised: the published checkpoint, and the head that the last receipts left
        under. A log that signed anything has one of the two, or its folder is lost.

        Raises HistoryDiffers.
        """
        kept = (self._derivation.published, self._derivation.promised)
        heads = [head for read in kept if (head := await asyncio.to_thread(read)) is not None]
        try:
            state = (await self._store.waiting()).state
        except LogHalted:
            if heads:
                raise HistoryDiffers("database-lost", max(one.size for one in heads)) from None
            return
        if state.receipted and not heads:
            raise HistoryDiffers("heads-lost", 0, state.size)
        for promised in heads:
            if state.size < promised.size:
                raise HistoryDiffers("database-older", promised.size, state.size)
            if await self._root_at(promised.size, state.receipted) != promised.root:
                raise HistoryDiffers("database-other", promised.size, state.size)

    async def _root_at(self, size: int, receipted: int) -> bytes | None:
        """Give the root that the database has at a size; None for none.

        A head that was kept and not committed before a crash is not in its table yet. Its root
        follows from the entries, all of them: this is rare.
        """
        if size <= receipted:
            head = await self._store.head(size)
            return None if head is None else head.root
        edge = RightEdge(0, [])
        for first in range(0, size, TILE_WIDTH):
            rows = await self._store.leaves(first, min(first + TILE_WIDTH, size))
            edge = edge.grow([leaf_hash(entry) for entry in rows]).edge()
        return edge.root()

    async def boot(self) -> None:
        """Take the log over and check it before the first signature.

        Tiles that are missing are derived again from the entries, if these give the signed root;
        the log says so.

        Raises LogHalted; nothing else is ever repaired.

        1. The state's right edge folds to its root. 2. The last receipted head is ours and says
        what the state row says it should.
        3. The stored tiles fold to that head's root. 4. The last full bundle holds the entries that
        its tile and the database hold.
        """
        state = await self._store.take_over()
        if state is None:
            raise LogHalted("no-genesis")
        self.fence = state.fence
        _check_edge(state)  # 1
        head = await self._opened_head(state.receipted) if state.receipted else None  # 2
        lost = await asyncio.to_thread(self._derivation.missing, state.receipted)
        if lost and head is not None:
            await self._derive_again(head)
        edge = await asyncio.to_thread(
            self._derivation.stored_edge, state.receipted, await self._tail_of(state.receipted)
        )
        if head is not None and edge.root() != head.root:  # 3
            raise LogHalted("tiles-differ-from-head")
        await self._check_last_bundle(state.receipted)  # 4
        self._signed = Signed(head, edge, tuple(await self._tail_of(state.receipted)))
        if state.published:
            self._published_note = (await self._opened_head(state.published)).note
            # Unfinished tiles may be lost, too: publishing the newest head writes them.
            self._published = 0 if lost else state.published
            # A crash between the row and the file leaves the file one head behind.
            await asyncio.to_thread(self._derivation.publish, self._published_note)

    async def round(self) -> bool:
        """Sign everything committed so far and send its receipts.

        True when there was something.

        Raises LogHalted.

        If we crash at any point the next start does the same again. Tiles are written as they were,
        and Ed25519 gives the same signature. Receipts go out only with the transaction that says
        so.
        """
        waiting = await self._store.waiting()
        if waiting.state.fence != self.fence:
            raise LogHalted("fence-lost")
        if waiting.state.size == self._signed.size and not waiting.entries and not waiting.wanted:
            return False
        before = self._signed
        new = await self._new_leaves(waiting)
        made = await asyncio.to_thread(self._sign, waiting, new, before)
        await self._store.signed(
            made.head, waiting.state, made.replies, [entry.index for entry in waiting.wanted]
        )
        crash_point("audit.receipts-committed")
        self._finished += [Tile(tile.level, tile.index) for tile, _ in made.growth.tiles()]
        self._signed = made.signed
        _signed.set(made.signed.size)
        return True

    async def publish(self) -> None:
        """Put the newest signed head on `/checkpoint`, after the partial tiles it needs.

        Raises LogHalted.
        """
        signed = self._signed
        if signed.head is None or (signed.size == self._published and self._published_note):
            return
        finished, self._finished = self._finished, []
        await asyncio.to_thread(self._derivation.write_partials, signed)
        crash_point("audit.partials-written")
        await self._store.published(signed.size, self.fence)
        crash_point("audit.published-committed")
        # If we crash here the file is one head behind the row; `boot` writes it again.
        await asyncio.to_thread(self._derivation.publish, signed.head.note)
        crash_point("audit.checkpoint-written")
        self._published, self._published_note = signed.size, signed.head.note
        _published.set(signed.size)
        await asyncio.to_thread(self._derivation.drop_partials, finished)

    async def prove(self, index: int) -> str:
        """Make a tlog-proof of the entry under the newest signed head.

        Raises IndexError when it is not signed yet.
        """
        signed = self._signed
        if signed.head is None:
            raise IndexError("nothing is signed")
        return await asyncio.to_thread(self._proof, signed, signed.head, index)

    def _proof(self, signed: Signed, head: Head, index: int) -> str:
        return format_proof(index, self._derivation.tree(signed).inclusion(index), head.note)

    def _sign(self, waiting: Waiting, new: Sequence[bytes], before: Signed) -> _Round:
        signed, head, growth = self._derivation.derive(before, waiting.state, new)
        crash_point("audit.tiles-written")
        path_of, old = growth.paths(), self._derivation.tree(signed)

        def path(index: int) -> list[bytes]:
            return path_of(index) if index >= before.size else old.inclusion(index)

        made = replies(waiting, head, path)
        crash_point("audit.head-signed")
        if head.size > before.size:
            self._derivation.promise(head)
            # If we crash here nothing has left, and the next round signs the same or a longer log.
            crash_point("audit.head-kept")
        return _Round(signed, head, growth, made)

    async def _new_leaves(self, waiting: Waiting) -> list[bytes]:
        first = waiting.state.size - len(waiting.entries)
        if first == self._signed.size:
            return [entry.leaf for entry in waiting.entries]
        # The transaction of the last round was durable although its answer was lost: catch up from
        # the rows.
        return await self._store.leaves(self._signed.size, waiting.state.size)

    async def _tail_of(self, size: int) -> list[bytes]:
        return await self._store.leaves(size // TILE_WIDTH * TILE_WIDTH, size)

    async def _derive_again(self, head: Head) -> None:
        """Write every full tile anew, once the entries were seen to give the signed root.

        A file that is there stays, and one with other bytes halts the log. If we crash half-way
        the next start finds tiles missing and does it again.
        """
        for write in (False, True):
            edge = RightEdge(0, [])
            for index in range(head.size // TILE_WIDTH):
                rows = await self._store.leaves(index * TILE_WIDTH, (index + 1) * TILE_WIDTH)
                edge = await asyncio.to_thread(
                    self._derivation.grown, edge, index, rows, write=write
                )
            tail = [leaf_hash(entry) for entry in await self._tail_of(head.size)]
            if edge.grow(tail).root() != head.root:
                raise LogHalted("entries-differ-from-head")
        _log.warning("tiles were missing and were derived again", extra={"count": head.size})

    async def _opened_head(self, size: int) -> Head:
        return self._derivation.opened(await self._store.head(size))

    async def _check_last_bundle(self, size: int) -> None:
        last = size // TILE_WIDTH - 1
        if last < 0:
            return
        rows = await self._store.leaves(last * TILE_WIDTH, (last + 1) * TILE_WIDTH)
        await asyncio.to_thread(self._derivation.check_bundle, last, rows)

    async def _next_round(self) -> None:
        await self._wake.wait()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._rounded + WINDOW_SECONDS - loop.time())
        self._wake.clear()
        await self.round()
        self._rounded = loop.time()

    async def _next_publish(self) -> None:
        await asyncio.sleep(PUBLISH_SECONDS)
        await self.publish()

    async def _until_halted(self, step: Callable[[], Awaitable[None]]) -> None:
        while self.halted is None:
            try:
                await step()
            except LogHalted as halt:
                self.halt(halt)
            except Exception as error:  # noqa: BLE001
                # Mostly the database was away. What is committed is still there, so try again
                # rather than lose a wake-up.
                _log.warning(
                    "sequencer step failed, trying again", extra={"error": describe(error)}
                )
                self._wake.set()
                await asyncio.sleep(PUBLISH_SECONDS)


def _check_edge(state: LogState) -> None:
    try:
        root = CompactRange.decode(state.size, state.edge).root()
    except EdgeMalformed:
        raise LogHalted("edge-differs-from-root") from None
    if root != state.root:
        raise LogHalted("edge-differs-from-root")
