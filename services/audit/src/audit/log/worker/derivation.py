"""Tiles and heads derived from committed entries: the second path to the root."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.log.model.entries import Head, HistoryDiffers, LogHalted, LogState
from audit.log.model.merkle import EdgeMalformed, Growth, RightEdge, TileHashes, partial_tiles
from audit.log.ports import TileFiles
from audit.log.worker.checkpoint import HeadSigner
from common.faults import crash_point
from hubformats.tlog import Checkpoint, ProofRefused, leaf_hash
from hubformats.tlog.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    fold,
    pack_bundle,
    split_tile,
    tiles_of,
    unpack_bundle,
)

_BUNDLE: Final = -1


@dataclass(frozen=True, slots=True)
class Signed:
    """The log as last signed: its head, its right edge, the entries of its unfinished bundle."""

    head: Head | None
    edge: RightEdge
    tail: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Count the entries covered."""
        return self.edge.size


class Derivation:
    """Writes tiles, reads them back and signs. Blocking: run it in a thread.

    Every method raises LogHalted when files and database disagree or the disk fails.
    """

    def __init__(self, files: TileFiles, signer: HeadSigner) -> None:
        self._files = files
        self._signer = signer

    def derive(
        self, before: Signed, state: LogState, new: Sequence[bytes]
    ) -> tuple[Signed, Head, Growth]:
        """Write every tile that filled up and read the bundles back.

        Signs if the root they give is the one that was committed.
        """
        start = before.size - len(before.tail)
        pending = [*before.tail, *new]
        whole = len(pending) // TILE_WIDTH * TILE_WIDTH
        stored: list[bytes] = []
        for place in range(0, whole, TILE_WIDTH):
            stored += self._stored_bundle(
                (start + place) // TILE_WIDTH, pending[place : place + TILE_WIDTH]
            )
        crash_point("audit.bundles-written")
        stored += pending[whole:]
        hashes = [leaf_hash(entry) for entry in stored]
        if hashes[: len(before.tail)] != (before.edge.levels or [[]])[0]:
            raise LogHalted("bundle-differs-from-tile")
        growth = before.edge.grow(hashes[len(before.tail) :])
        for tile, data in growth.tiles():
            self._files.write(tile, data)
        root = growth.root()
        if growth.size != state.size or root != state.root:
            # One flipped bit between the commit and here must never be signed: no later head could
            # undo it.
            raise LogHalted("root-differs")
        head = Head(growth.size, root, self._signer.sign(growth.size, root))
        return Signed(head, growth.edge(), tuple(pending[whole:])), head, growth

    def published(self) -> Checkpoint | None:
        """Read the checkpoint that was published last.

        Raises HistoryDiffers if it is not this log's.
        """
        return self._ours(self._files.published(), "checkpoint-not-ours")

    def promised(self) -> Checkpoint | None:
        """Read the newest head that receipts may have left under.

        Raises HistoryDiffers if it is not this log's.
        """
        return self._ours(self._files.promised(), "signed-head-not-ours")

    def promise(self, head: Head) -> None:
        """Keep a head durably before anything leaves under it."""
        self._files.promise(head.note)

    def _ours(self, note: str | None, code: str) -> Checkpoint | None:
        try:
            return None if note is None else self._signer.open(note)
        except ProofRefused:
            raise HistoryDiffers(code) from None

    def missing(self, size: int) -> bool:
        """Tell whether a full tile or bundle of a log of this size is not in the folder."""
        full = (tile for tile in tiles_of(size) if tile.width == TILE_WIDTH)
        return any(self._files.read(tile) is None for tile in full)

    def grown(
        self, edge: RightEdge, index: int, entries: Sequence[bytes], *, write: bool
    ) -> RightEdge:
        """Return the right edge after one more full bundle, whose files are written if `write`."""
        if len(entries) != TILE_WIDTH:
            raise LogHalted("entries-missing")
        growth = edge.grow([leaf_hash(entry) for entry in entries])
        if write:
            self._files.write(Tile(_BUNDLE, index), pack_bundle(entries))
            for tile, data in growth.tiles():
                self._files.write(tile, data)
        return growth.edge()

    def opened(self, head: Head | None) -> Head:
        """Check that a stored head is ours and says what its row says."""
        if head is None:
            raise LogHalted("head-missing")
        try:
            checkpoint = self._signer.open(head.note)
        except ProofRefused:
            raise LogHalted("head-not-ours") from None
        if (checkpoint.size, checkpoint.root) != (head.size, head.root):
            raise LogHalted("head-differs")
        return head

    def stored_edge(self, size: int, tail: Sequence[bytes]) -> RightEdge:
        """Fold the right edge of the log at `size` from `tail` and the full tiles in the folder.

        `tail`: the entries of the unfinished bundle.
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

    def check_bundle(self, index: int, rows: Sequence[bytes]) -> None:
        """Hold a full bundle and its tile to the entries in the database."""
        data = self._files.read(Tile(_BUNDLE, index))
        hashes = self._full_tile(0, index)
        if data != pack_bundle(rows) or hashes != [leaf_hash(entry) for entry in rows]:
            raise LogHalted("bundle-differs-from-tile")

    def tree(self, signed: Signed) -> TileHashes:
        """Give the tree of a signed log, for proofs."""

        def tile(level: int, index: int) -> Sequence[bytes]:
            if index == signed.size >> TILE_HEIGHT * (level + 1):
                return signed.edge.levels[level]
            return self._full_tile(level, index)

        return TileHashes(signed.size, tile)

    def publish(self, note: str) -> None:
        """Replace the checkpoint file."""
        self._files.publish(note)

    def write_partials(self, signed: Signed) -> None:
        """Write the unfinished tiles that a checkpoint of this size needs."""
        if signed.tail:
            self._files.write(
                Tile(_BUNDLE, signed.size // TILE_WIDTH, len(signed.tail)), pack_bundle(signed.tail)
            )
        for tile, data in partial_tiles(signed.edge):
            self._files.write(tile, data)

    def drop_partials(self, finished: Sequence[Tile]) -> None:
        """Remove the unfinished forms of tiles whose full form is published."""
        for tile in finished:
            self._files.drop_partials(tile)
            if tile.level == 0:
                self._files.drop_partials(Tile(_BUNDLE, tile.index))

    def _stored_bundle(self, index: int, entries: Sequence[bytes]) -> list[bytes]:
        tile = Tile(_BUNDLE, index)
        self._files.write(tile, pack_bundle(entries))
        data = self._files.read(tile)
        if data is None:
            raise LogHalted("bundle-missing")
        return unpack_bundle(data, TILE_WIDTH)

    def _full_tile(self, level: int, index: int) -> list[bytes]:
        data = self._files.read(Tile(level, index))
        if data is None:
            raise LogHalted("tile-missing")
        try:
            return split_tile(data, TILE_WIDTH)
        except ProofRefused:
            raise LogHalted("tile-malformed") from None
