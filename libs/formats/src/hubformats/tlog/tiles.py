"""The tile layout of C2SP tlog-tiles: which file holds which hashes, and how a bundle packs
entries. Pure arithmetic."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hubformats.tlog.tree import HASH_BYTES, ProofRefused, node_hash

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
MAX_LEVEL: Final = 7
"""Level 7 roots cover 2^64 leaves, so no higher tile can exist."""
ENTRY_LIMIT: Final = 65_535
"""A bundle writes an entry's length in two bytes."""
BUNDLE_LIMIT: Final = TILE_WIDTH * (ENTRY_LIMIT + 2)

_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile or, at level -1, one entry bundle; `width` entries or hashes, 256 when full."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def path(self) -> str:
        """Return its path in a log, as ``tile/0/x001/x234/067`` or ``tile/entries/000.p/7``."""
        kind = "entries" if self.level < 0 else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{number_path(self.index)}{partial}"

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Read a path. Raises ProofRefused unless it is exactly what `path` writes."""
        found = _PATH.fullmatch(path)
        if found is None:
            raise ProofRefused("tile-path-malformed")
        kind, number, width = found.groups()
        if len(number) > 32:
            raise ProofRefused("tile-path-malformed")
        tile = cls(
            -1 if kind == "entries" else int(kind),
            int(number.replace("x", "").replace("/", "")),
            int(width or TILE_WIDTH),
        )
        if tile.level > MAX_LEVEL or tile.path() != path:
            raise ProofRefused("tile-path-malformed")
        return tile


def number_path(number: int) -> str:
    """Write groups of three digits, all but the last with an x: 1234067 is ``x001/x234/067``."""
    groups: list[str] = []
    while True:
        number, group = divmod(number, 1000)
        groups.append(f"{group:03d}" if not groups else f"x{group:03d}")
        if not number:
            return "/".join(reversed(groups))


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """List the tiles and bundles that a log of `size` has and one of `since` had not.

    Full before partial, bundles first.
    """
    for level in range(-1, MAX_LEVEL + 1):
        shift = TILE_HEIGHT * max(level, 0)
        now, before = size >> shift, since >> shift
        if now == 0:
            return
        if now == before:
            continue
        for index in range(before // TILE_WIDTH, now // TILE_WIDTH):
            yield Tile(level, index)
        if now % TILE_WIDTH:
            yield Tile(level, now // TILE_WIDTH, now % TILE_WIDTH)


def current_tile(size: int, level: int, index: int) -> Tile:
    """Return the widest form of tile (`level`, `index`) in a log of `size` entries.

    Raises ProofRefused when there is none.
    """
    have = (size >> TILE_HEIGHT * max(level, 0)) - index * TILE_WIDTH
    if have <= 0 or level > MAX_LEVEL:
        raise ProofRefused("tile-outside-log")
    return Tile(level, index, min(have, TILE_WIDTH))


def pack_bundle(entries: Sequence[bytes]) -> bytes:
    """Pack entries in order, each after its big-endian 16-bit length.

    Raises ProofRefused for an entry over 65,535 bytes.
    """
    if any(len(entry) > ENTRY_LIMIT for entry in entries):
        raise ProofRefused("entry-too-large")
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def unpack_bundle(data: bytes, width: int) -> list[bytes]:
    """Unpack the `width` entries of a bundle.

    Raises ProofRefused when it holds more, fewer, or ends inside an entry.
    """
    entries: list[bytes] = []
    place = 0
    while place < len(data):
        end = place + 2 + int.from_bytes(data[place : place + 2])
        if end > len(data) or len(entries) == width:
            raise ProofRefused("bundle-malformed")
        entries.append(data[place + 2 : end])
        place = end
    if len(entries) != width:
        raise ProofRefused("bundle-malformed")
    return entries


def split_tile(data: bytes, width: int) -> list[bytes]:
    """Split a tile into its `width` hashes. Raises ProofRefused for another length."""
    if len(data) != width * HASH_BYTES:
        raise ProofRefused("tile-length-wrong")
    return [data[place : place + HASH_BYTES] for place in range(0, len(data), HASH_BYTES)]


def fold(hashes: Sequence[bytes]) -> bytes:
    """Compute the root over a power-of-two number of sibling hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[place], level[place + 1]) for place in range(0, len(level), 2)]
    return level[0]
