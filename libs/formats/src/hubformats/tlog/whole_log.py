"""Checks a whole published log: signature, every bundle and tile, the root, and that it only grew.
Needs nothing but a way to read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hubformats.tlog.checkpoint import Checkpoint, open_checkpoint
from hubformats.tlog.note import NOTE_LIMIT, Verifier
from hubformats.tlog.tiles import (
    BUNDLE_LIMIT,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    current_tile,
    fold,
    split_tile,
    unpack_bundle,
)
from hubformats.tlog.tree import EMPTY_ROOT, HASH_BYTES, ProofRefused, leaf_hash, node_hash

Read = Callable[[str], bytes]
"""Gives the file at a path under the log's prefix, such as ``checkpoint`` or ``tile/0/000``.

May raise OSError: the log is then incomplete.
"""

CHECKPOINT: Final = "checkpoint"


@dataclass(frozen=True, slots=True)
class WholeLog:
    """Hold what was established about a log that checked out.

    Every entry of `checkpoint` was read and hashed.
    """

    checkpoint: Checkpoint
    note: str
    tiles: int
    extends: Checkpoint | None


class LogRefused(ProofRefused):
    """The log is not what its checkpoint says. `place` is the file in which it shows."""

    def __init__(self, code: str, place: str) -> None:
        super().__init__(code)
        self.place = place


def check_whole_log(
    read: Read,
    log: Verifier,
    *,
    older: str | None = None,
    on_entry: Callable[[int, bytes], None] | None = None,
) -> WholeLog:
    """Read and check everything.

    Raises LogRefused naming the first file that is wrong.

    1. The checkpoint is signed by the log. 2. Each bundle holds as many entries as the size says,
    and 3. the tile above it holds
    exactly their hashes. 4. Each higher tile holds exactly the roots of the full tiles below. 5.
    The root over all entries is the signed one. 6. An older checkpoint kept from before is the
    state this log once had. `on_entry` sees each entry in order.
    """
    note = _text(read)
    checkpoint = _opened(note, log, CHECKPOINT)  # 1
    before = None if older is None else _opened(older, log, "older checkpoint")
    if before is not None and before.size > checkpoint.size:
        raise LogRefused("log-shrank", CHECKPOINT)
    walk = _Walk(read, checkpoint.size, before.size if before else 0, on_entry)
    root = walk.run()  # 2, 3, 4
    if root != checkpoint.root:  # 5
        raise LogRefused("root-differs", CHECKPOINT)
    if before is not None and before.root != walk.older_root:  # 6
        raise LogRefused("history-differs", CHECKPOINT)
    return WholeLog(checkpoint, note, walk.tiles, before)


class _Walk:
    """Walk once from the first entry to the last.

    Holds one unfinished tile per level, so memory does not grow with the log.
    """

    def __init__(
        self, read: Read, size: int, older_size: int, on_entry: Callable[[int, bytes], None] | None
    ) -> None:
        self._read = read
        self._size = size
        self._older_size = older_size
        self._on_entry = on_entry
        self._levels: list[list[bytes]] = []
        self.older_root = EMPTY_ROOT
        self.tiles = 0

    def run(self) -> bytes:
        """Read and compare every tile; return the root over every entry."""
        for bundle in range(-(-self._size // TILE_WIDTH)):
            self._take(
                bundle * TILE_WIDTH,
                self._parts(current_tile(self._size, -1, bundle), BUNDLE_LIMIT, unpack_bundle),
            )  # 2
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._compare(level, self._size >> TILE_HEIGHT * (level + 1), hashes)
        return self._root(self._levels)

    def _take(self, first: int, entries: list[bytes]) -> None:
        hashes = [leaf_hash(entry) for entry in entries]
        if self._on_entry is not None:
            for place, entry in enumerate(entries):
                self._on_entry(first + place, entry)
        if first < self._older_size <= first + len(hashes):
            kept = [hashes[: self._older_size - first], *self._levels[1:]]
            self.older_root = self._root(
                [*kept] if len(kept[0]) < TILE_WIDTH else self._carried(kept)
            )
        self._add(0, first // TILE_WIDTH, hashes)

    def _add(self, level: int, tile: int, hashes: list[bytes]) -> None:
        if len(self._levels) == level:
            self._levels.append([])
        self._levels[level] += hashes
        if len(self._levels[level]) == TILE_WIDTH:
            full, self._levels[level] = self._levels[level], []
            self._compare(level, tile, full)  # 3, 4
            self._add(level + 1, tile // TILE_WIDTH, [fold(full)])

    def _carried(self, levels: list[list[bytes]]) -> list[list[bytes]]:
        made = [list(level) for level in levels]
        level = 0
        while level < len(made) and len(made[level]) == TILE_WIDTH:
            if level + 1 == len(made):
                made.append([])
            made[level + 1].append(fold(made[level]))
            made[level] = []
            level += 1
        return made

    def _compare(self, level: int, index: int, hashes: list[bytes]) -> None:
        tile = current_tile(self._size, level, index)
        if self._parts(tile, TILE_WIDTH * HASH_BYTES, split_tile) != hashes:
            raise LogRefused("tile-differs", tile.path())

    def _root(self, levels: list[list[bytes]]) -> bytes:
        root: bytes | None = None
        for hashes in levels:
            end = len(hashes)
            while end:
                width = end & -end
                node = fold(hashes[end - width : end])
                root = node if root is None else node_hash(node, root)
                end -= width
        return EMPTY_ROOT if root is None else root

    def _parts(
        self, tile: Tile, limit: int, split: Callable[[bytes, int], list[bytes]]
    ) -> list[bytes]:
        """Read the entries or hashes of a file.

        A log that grew meanwhile may hold only the full form, which begins with the same.
        """
        self.tiles += 1
        for form in dict.fromkeys((tile, Tile(tile.level, tile.index))):
            try:
                return split(_bytes(self._read, form.path(), limit), form.width)[: tile.width]
            except LogRefused as refused:
                missing = refused
            except ProofRefused as refused:
                raise LogRefused(refused.code, form.path()) from None
        raise LogRefused(missing.code, tile.path())


def _bytes(read: Read, path: str, limit: int) -> bytes:
    try:
        data = read(path)
    except OSError:
        raise LogRefused("file-missing", path) from None
    if len(data) > limit:
        raise LogRefused("file-too-large", path)
    return data


def _text(read: Read) -> str:
    try:
        return _bytes(read, CHECKPOINT, NOTE_LIMIT).decode()
    except UnicodeDecodeError:
        raise LogRefused("note-not-utf8", CHECKPOINT) from None


def _opened(note: str, log: Verifier, place: str) -> Checkpoint:
    try:
        return open_checkpoint(note, log)
    except ProofRefused as refused:
        raise LogRefused(refused.code, place) from None
