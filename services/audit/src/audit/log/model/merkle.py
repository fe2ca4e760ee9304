"""The growing Merkle tree, twice over, without I/O.

A compact range serves the commit; the tiles at the right edge recompute it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hubformats.tlog import EMPTY_ROOT, node_hash
from hubformats.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, fold
from hubformats.tlog.tree import HASH_BYTES


class EdgeMalformed(ValueError):
    """A stored right edge does not fit its size."""


@dataclass(slots=True)
class CompactRange:
    """The perfect-subtree roots named by the set bits of `size`, largest first.

    Appending costs two hashes on average.
    """

    size: int
    hashes: list[bytes]

    @classmethod
    def decode(cls, size: int, data: bytes) -> "CompactRange":
        """Read what `encode` wrote. Raises EdgeMalformed when it cannot belong to `size`."""
        if len(data) != size.bit_count() * HASH_BYTES:
            raise EdgeMalformed("edge-length-wrong")
        return cls(
            size, [data[place : place + HASH_BYTES] for place in range(0, len(data), HASH_BYTES)]
        )

    def encode(self) -> bytes:
        """Join the hashes, largest subtree first."""
        return b"".join(self.hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        size, node = self.size, leaf
        while size & 1:
            node = node_hash(self.hashes.pop(), node)
            size >>= 1
        self.hashes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Compute the tree's root: the hashes folded right to left."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


class RightEdge:
    """The unfinished tile of each level of a tree.

    Every later tile, root and proof of new leaves follows from it.

    It shares no code with `CompactRange` on purpose: the sequencer signs a root only when both
    arrive at it.
    """

    def __init__(self, size: int, levels: Sequence[Sequence[bytes]]) -> None:
        self.size = size
        self.levels = [list(level) for level in levels]
        for number, level in enumerate(self.levels):
            if len(level) != (size >> TILE_HEIGHT * number) % TILE_WIDTH:
                raise EdgeMalformed("tile-width-wrong")
        if size >> TILE_HEIGHT * len(self.levels):
            raise EdgeMalformed("level-missing")

    def left_nodes(self) -> dict[int, bytes]:
        """Give, by height, the perfect subtree that ends where the tree ends.

        There is one for each set bit of the size.
        """
        found = {}
        for height in range(self.size.bit_length()):
            if self.size >> height & 1:
                level, inside = divmod(height, TILE_HEIGHT)
                end = (self.size >> height << inside) - (
                    self.size >> TILE_HEIGHT * (level + 1) << TILE_HEIGHT
                )
                found[height] = fold(self.levels[level][end - (1 << inside) : end])
        return found

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        return _root_of(self.left_nodes())

    def grow(self, leaves: Sequence[bytes]) -> "Growth":
        """Return what the tree becomes with these leaf hashes added.

        This edge stays as it is until `Growth.edge` replaces it.
        """
        return Growth(self, leaves)


class Growth:
    """A tree between two sizes.

    It knows every full node over the new leaves, and the nodes just left of them.
    """

    def __init__(self, before: RightEdge, leaves: Sequence[bytes]) -> None:
        self._before = before
        self.start = before.size
        self.size = before.size + len(leaves)
        self._left = before.left_nodes()
        self._rows: list[list[bytes]] = [list(leaves)]
        for height in range(self.size.bit_length()):
            self._rows.append(self._parents(height))

    def _parents(self, height: int) -> list[bytes]:
        row = self._rows[height]
        # An odd start means that the first new node completes a pair whose left half stands in the
        # old tree.
        nodes = [self._left[height], *row] if self.start >> height & 1 else row
        return [node_hash(nodes[place], nodes[place + 1]) for place in range(0, len(nodes) - 1, 2)]

    def node(self, height: int, place: int) -> bytes:
        """Give the full node number `place` at `height`.

        It must lie over new leaves or be the last one left of them.

        Raises IndexError.
        """
        first = self.start >> height
        if place == first - 1 and first & 1:
            return self._left[height]
        if place < first:
            raise IndexError("the node lies in the old tree")
        return self._rows[height][place - first]

    def right_nodes(self) -> dict[int, bytes]:
        """Return by height the perfect subtrees that end at the new size, one for each set bit."""
        return {
            height: self.node(height, (self.size >> height) - 1)
            for height in range(self.size.bit_length())
            if self.size >> height & 1
        }

    def root(self) -> bytes:
        """Return the root over all leaves, old and new."""
        return _root_of(self.right_nodes())

    def paths(self) -> Callable[[int], list[bytes]]:
        """Make a function that gives any new leaf's inclusion path, leaf side first."""
        right = self.right_nodes()

        def path(index: int) -> list[bytes]:
            if not self.start <= index < self.size:
                raise IndexError("not a new leaf")
            inner = (index ^ (self.size - 1)).bit_length()
            hashes = [
                self.node(height, (index >> height) ^ 1) for height in range(max(inner - 1, 0))
            ]
            if inner:
                hashes.append(self._last_sibling(inner - 1, index, right))
            hashes += [
                self.node(height, (index >> height) - 1)
                for height in range(inner, self.size.bit_length())
                if index >> height & 1
            ]
            return hashes

        return path

    def _last_sibling(self, height: int, index: int, right: dict[int, bytes]) -> bytes:
        """Give the sibling that holds the last leaf.

        It is a perfect subtree, or what smaller ones to the right end make together.
        """
        sibling = (index >> height) ^ 1
        if sibling < self.size >> height:
            return self.node(height, sibling)
        return _root_of({below: node for below, node in right.items() if below < height})

    def tiles(self) -> list[tuple[Tile, bytes]]:
        """List every hash tile that these leaves filled, with its bytes."""
        found = []
        for level, row in self._level_rows():
            first = self.start >> TILE_HEIGHT * (level + 1)
            full = len(row) // TILE_WIDTH
            found += [
                (Tile(level, first + n), b"".join(row[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]))
                for n in range(full)
            ]
        return found

    def edge(self) -> RightEdge:
        """Return the unfinished tiles of the grown tree."""
        return RightEdge(
            self.size, [row[len(row) // TILE_WIDTH * TILE_WIDTH :] for _, row in self._level_rows()]
        )

    def _level_rows(self) -> list[tuple[int, list[bytes]]]:
        """List for each tile level the hashes of the old unfinished tile, then the new ones."""
        rows = []
        for level in range(-(-self.size.bit_length() // TILE_HEIGHT)):
            old = self._before.levels[level] if level < len(self._before.levels) else []
            rows.append((level, [*old, *self._rows[TILE_HEIGHT * level]]))
        return rows


def partial_tiles(edge: RightEdge) -> list[tuple[Tile, bytes]]:
    """Give the unfinished hash tiles of a tree, in the width that a checkpoint needs; none of 0."""
    return [
        (Tile(level, edge.size >> TILE_HEIGHT * (level + 1), len(hashes)), b"".join(hashes))
        for level, hashes in enumerate(edge.levels)
        if hashes
    ]


class TileHashes:
    """Proofs for any entry of a log, from its tiles.

    `tile` gives the hashes of a tile in the width the log's size needs.
    """

    def __init__(self, size: int, tile: Callable[[int, int], Sequence[bytes]]) -> None:
        self.size = size
        self._tile = tile

    def subtree(self, low: int, high: int) -> bytes:
        """Compute MTH(D[low:high]) (RFC 6962 section 2.1).

        The range starts at a multiple of its rounded-up size, as every range in a proof does.
        """
        count = high - low
        if count & (count - 1) == 0:
            return self._perfect(count.bit_length() - 1, low)
        half = 1 << count.bit_length() - 1
        return node_hash(self.subtree(low, low + half), self.subtree(low + half, high))

    def inclusion(self, index: int) -> list[bytes]:
        """Return the inclusion path of `index`, leaf side first (RFC 6962 section 2.1.1).

        Raises IndexError outside the tree.
        """
        if not 0 <= index < self.size:
            raise IndexError("outside the tree")
        low, high, path = 0, self.size, []
        while high - low > 1:
            middle = low + (1 << (high - low - 1).bit_length() - 1)
            if index < middle:
                path.append(self.subtree(middle, high))
                high = middle
            else:
                path.append(self.subtree(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, old: int) -> list[bytes]:
        """Return the consistency proof from size `old` (RFC 6962 section 2.1.2).

        Raises IndexError unless 0 < old <= size.
        """
        if not 0 < old <= self.size:
            raise IndexError("outside the tree")
        low, high, path = 0, self.size, []
        while old != high:
            middle = low + (1 << (high - low - 1).bit_length() - 1)
            if old <= middle:
                path.append(self.subtree(middle, high))
                high = middle
            else:
                path.append(self.subtree(low, middle))
                low = middle
        if low:
            path.append(self.subtree(low, high))
        return path[::-1]

    def _perfect(self, height: int, low: int) -> bytes:
        level, inside = divmod(height, TILE_HEIGHT)
        tile, place = divmod(low >> TILE_HEIGHT * level, TILE_WIDTH)
        return fold(self._tile(level, tile)[place : place + (1 << inside)])


def _root_of(nodes: dict[int, bytes]) -> bytes:
    """Fold perfect subtrees right to left, smallest height first."""
    root: bytes | None = None
    for height in sorted(nodes):
        root = nodes[height] if root is None else node_hash(nodes[height], root)
    return EMPTY_ROOT if root is None else root
