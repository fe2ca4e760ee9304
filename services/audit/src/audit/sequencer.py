"""The only writer of heads: committed entries → tiles → root by a second path → signature →
receipts → checkpoint.

A start after a crash runs the same steps as every batch, from the last receipted size on.
"""

import asyncio
import base64
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry import metrics

from audit.checkpoint import HeadSigner
from audit.domain import LogHalted, LogState
from audit.merkle import CompactRange, EdgeMalformed, Growth, RightEdge, TileHashes, partial_tiles
from audit.ports import Head, Logged, Reply, SequencerStore, TileFiles, Waiting
from common.events.audit import RECEIPT_CHUNK, AuditReceipts, AuditRejected, ReceiptItem
from common.faults import crash_point
from common.telemetry import describe
from hubformats.tlog import ProofRefused, format_proof, leaf_hash
from hubformats.tlog.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    fold,
    pack_bundle,
    split_tile,
    unpack_bundle,
)

WINDOW_SECONDS: Final = 0.005
"""The least time between two rounds, so that batches that come together share one signature, one
fsync and one transaction. One that comes alone waits for nobody.
"""
PUBLISH_SECONDS: Final = 1.0
_BUNDLE: Final = -1
_LEAVES_AT_A_TIME: Final = 256 * TILE_WIDTH

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
class Signed:
    """The log as last signed: its head, the tiles at its right edge, and the entries of its
    unfinished bundle.
    """

    head: Head | None
    edge: RightEdge
    tail: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Entries covered."""
        return self.edge.size


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
        self._files = files
        self._signer = signer
        self._on_halt = on_halt
        self._signed = Signed(None, RightEdge(0, []), ())
        self._published = 0
        self._published_note = ""
        self._finished: list[Tile] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._rounded = 0.0
        self.fence = -1
        self.halted = ""
        """Why the log stopped; empty while it works."""

    @property
    def checkpoint(self) -> str:
        """The newest published checkpoint; empty before the first."""
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
        """Something was committed. Call on the loop."""
        self._wake.set()

    def halt(self, reason: LogHalted) -> None:
        """Stop for good and alarm; what is published stays readable.

        May be called from any thread, more than once.
        """
        if not self.halted:
            self.halted = reason.code
            _log.critical(
                "audit log halted: read-only until a person has looked", extra={"code": reason.code}
            )
            _halts.add(1, {"code": reason.code})
            self._on_halt(reason.code)

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

    async def boot(self) -> None:
        """Take the log over and check it before the first signature.

        Raises LogHalted; nothing is ever repaired silently.

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
        edge = await asyncio.to_thread(
            self._stored_edge, state.receipted, await self._tail_of(state.receipted)
        )
        if head is not None and edge.root() != head.root:  # 3
            raise LogHalted("tiles-differ-from-head")
        await self._check_last_bundle(state.receipted)  # 4
        self._signed = Signed(head, edge, tuple(await self._tail_of(state.receipted)))
        if state.published:
            self._published_note = (await self._opened_head(state.published)).note
            self._published = state.published
            # A crash between the row and the file leaves the file one head behind.
            await asyncio.to_thread(self._files.publish, self._published_note)

    async def round(self) -> bool:
        """Sign everything committed so far and send its receipts.

        True when there was something. Raises LogHalted.

        If we crash at any point the next start does the same again: tiles are written as they were,
        Ed25519 gives the same signature, and receipts go out only with the transaction that says
        so.
        """
        waiting = await self._store.waiting()
        if waiting.state.fence != self.fence:
            raise LogHalted("fence-lost")
        if waiting.state.size == self._signed.size and not waiting.entries and not waiting.wanted:
            return False
        before = self._signed
        new = await self._new_leaves(waiting)
        signed, head, growth, replies = await asyncio.to_thread(self._sign, waiting, new, before)
        await self._store.signed(
            head, waiting.state, replies, [entry.index for entry in waiting.wanted]
        )
        crash_point("audit.receipts-committed")
        self._finished += [Tile(tile.level, tile.index) for tile, _ in growth.tiles()]
        self._signed = signed
        _signed.set(signed.size)
        return True

    async def publish(self) -> None:
        """Put the newest signed head on `/checkpoint`, after the partial tiles it needs.

        Raises LogHalted.
        """
        signed = self._signed
        if signed.head is None or (signed.size == self._published and self._published_note):
            return
        finished, self._finished = self._finished, []
        await asyncio.to_thread(self._write_partials, signed)
        crash_point("audit.partials-written")
        await self._store.published(signed.size, self.fence)
        crash_point("audit.published-committed")
        # If we crash here the file is one head behind the row; `boot` writes it again.
        await asyncio.to_thread(self._files.publish, signed.head.note)
        crash_point("audit.checkpoint-written")
        self._published, self._published_note = signed.size, signed.head.note
        _published.set(signed.size)
        await asyncio.to_thread(self._drop_partials, finished)

    async def prove(self, index: int) -> str:
        """A tlog-proof of the entry under the newest signed head.

        Raises IndexError when it is not signed yet.
        """
        signed = self._signed
        if signed.head is None:
            raise IndexError("nothing is signed")
        return await asyncio.to_thread(self._proof, signed, signed.head, index)

    def _proof(self, signed: Signed, head: Head, index: int) -> str:
        return format_proof(index, self._tree(signed).inclusion(index), head.note)

    def _tree(self, signed: Signed) -> TileHashes:
        def tile(level: int, index: int) -> Sequence[bytes]:
            if index == signed.size >> TILE_HEIGHT * (level + 1):
                return signed.edge.levels[level]
            return self._full_tile(level, index)

        return TileHashes(signed.size, tile)

    def _sign(
        self, waiting: Waiting, new: Sequence[bytes], before: Signed
    ) -> tuple[Signed, Head, Growth, list[Reply]]:
        signed, growth = self._derive(waiting.state, new)
        crash_point("audit.tiles-written")
        if signed.head is None:
            raise LogHalted("no-genesis")
        replies = self._replies(waiting, growth, signed, signed.head, before)
        crash_point("audit.head-signed")
        return signed, signed.head, growth, replies

    def _derive(self, state: LogState, new: Sequence[bytes]) -> tuple[Signed, Growth]:
        """Write every tile that filled up, read the bundles back, and sign if the root they give is
        the one that was committed.
        """
        start = self._signed.size - len(self._signed.tail)
        pending = [*self._signed.tail, *new]
        whole = len(pending) // TILE_WIDTH * TILE_WIDTH
        stored: list[bytes] = []
        for place in range(0, whole, TILE_WIDTH):
            stored += self._stored_bundle(
                (start + place) // TILE_WIDTH, pending[place : place + TILE_WIDTH]
            )
        crash_point("audit.bundles-written")
        stored += pending[whole:]
        hashes = [leaf_hash(entry) for entry in stored]
        if hashes[: len(self._signed.tail)] != (self._signed.edge.levels or [[]])[0]:
            raise LogHalted("bundle-differs-from-tile")
        growth = self._signed.edge.grow(hashes[len(self._signed.tail) :])
        for tile, data in growth.tiles():
            self._files.write(tile, data)
        root = growth.root()
        if growth.size != state.size or root != state.root:
            # One flipped bit between the commit and here must never be signed: no later head could
            # undo it.
            raise LogHalted("root-differs")
        note = self._signer.sign(growth.size, root)
        return Signed(Head(growth.size, root, note), growth.edge(), tuple(pending[whole:])), growth

    def _stored_bundle(self, index: int, entries: Sequence[bytes]) -> list[bytes]:
        tile = Tile(_BUNDLE, index)
        self._files.write(tile, pack_bundle(entries))
        data = self._files.read(tile)
        if data is None:
            raise LogHalted("bundle-missing")
        return unpack_bundle(data, TILE_WIDTH)

    def _replies(
        self, waiting: Waiting, growth: Growth, signed: Signed, head: Head, before: Signed
    ) -> list[Reply]:
        path_of, old = growth.paths(), self._tree(signed)

        def path(index: int) -> list[bytes]:
            return path_of(index) if index >= before.size else old.inclusion(index)

        accepted: dict[tuple[str, str, int], list[Logged]] = defaultdict(list)
        replies: list[Reply] = []
        for entry in (*waiting.wanted, *waiting.entries):
            src, epoch, seq = entry.place
            if entry.rejected:
                rejected = AuditRejected(
                    src=src, epoch=epoch, seq=seq, code=entry.rejected, index=entry.index
                )
                replies.append(Reply(entry.service, rejected))
            elif entry.index:  # entry 0 has no producer that waits
                accepted[entry.service, src, epoch].append(entry)
        texts: dict[bytes, str] = {}
        for (service, src, epoch), entries in accepted.items():
            for place in range(0, len(entries), RECEIPT_CHUNK):
                items = tuple(
                    _receipt(entry, path(entry.index), texts)
                    for entry in entries[place : place + RECEIPT_CHUNK]
                )
                replies.append(
                    Reply(
                        service,
                        AuditReceipts(src=src, epoch=epoch, checkpoint=head.note, items=items),
                    )
                )
        return replies

    def _write_partials(self, signed: Signed) -> None:
        if signed.tail:
            self._files.write(
                Tile(_BUNDLE, signed.size // TILE_WIDTH, len(signed.tail)), pack_bundle(signed.tail)
            )
        for tile, data in partial_tiles(signed.edge):
            self._files.write(tile, data)

    def _drop_partials(self, finished: Sequence[Tile]) -> None:
        for tile in finished:
            self._files.drop_partials(tile)
            if tile.level == 0:
                self._files.drop_partials(Tile(_BUNDLE, tile.index))

    async def _new_leaves(self, waiting: Waiting) -> list[bytes]:
        first = waiting.state.size - len(waiting.entries)
        if first == self._signed.size:
            return [entry.leaf for entry in waiting.entries]
        # The transaction of the last round was durable although its answer was lost: catch up from
        # the rows.
        return await self._store.leaves(self._signed.size, waiting.state.size)

    async def _tail_of(self, size: int) -> list[bytes]:
        return await self._store.leaves(size // TILE_WIDTH * TILE_WIDTH, size)

    async def _opened_head(self, size: int) -> Head:
        head = await self._store.head(size)
        if head is None:
            raise LogHalted("head-missing")
        try:
            checkpoint = self._signer.open(head.note)
        except ProofRefused:
            raise LogHalted("head-not-ours") from None
        if (checkpoint.size, checkpoint.root) != (size, head.root):
            raise LogHalted("head-differs")
        return head

    def _stored_edge(self, size: int, tail: Sequence[bytes]) -> RightEdge:
        """The right edge of the log at `size` from the entries of its unfinished bundle and the
        full tiles in the folder.
        """
        levels = [[leaf_hash(entry) for entry in tail]] if size else []
        while size >> TILE_HEIGHT * len(levels):
            level = len(levels)
            count = size >> TILE_HEIGHT * level
            levels.append(
                [
                    fold(self._full_tile(level - 1, place))
                    for place in range(count // TILE_WIDTH * TILE_WIDTH, count)
                ]
            )
        try:
            return RightEdge(size, levels)
        except EdgeMalformed:
            raise LogHalted("entries-missing") from None

    async def _check_last_bundle(self, size: int) -> None:
        last = size // TILE_WIDTH - 1
        if last < 0:
            return
        rows = await self._store.leaves(last * TILE_WIDTH, (last + 1) * TILE_WIDTH)
        data = await asyncio.to_thread(self._files.read, Tile(_BUNDLE, last))
        hashes = await asyncio.to_thread(self._full_tile, 0, last)
        if data != pack_bundle(rows) or hashes != [leaf_hash(entry) for entry in rows]:
            raise LogHalted("bundle-differs-from-tile")

    def _full_tile(self, level: int, index: int) -> list[bytes]:
        data = self._files.read(Tile(level, index))
        if data is None:
            raise LogHalted("tile-missing")
        try:
            return split_tile(data, TILE_WIDTH)
        except ProofRefused:
            raise LogHalted("tile-malformed") from None

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
        while not self.halted:
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


def _receipt(entry: Logged, path: Sequence[bytes], texts: dict[bytes, str]) -> ReceiptItem:
    for node in path:
        if node not in texts:
            texts[node] = base64.b64encode(node).decode()
    leaf = base64.urlsafe_b64encode(entry.leaf).rstrip(b"=").decode()
    return ReceiptItem(
        seq=entry.place[2],
        record_id=entry.record_id,
        leaf=leaf,
        index=entry.index,
        path=tuple(texts[node] for node in path),
    )
