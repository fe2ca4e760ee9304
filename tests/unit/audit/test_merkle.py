"""The two ways of growing the tree agree with each other, with the definition, and with the public
proof checkers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.log.model.merkle import CompactRange, EdgeMalformed, RightEdge, TileHashes, partial_tiles
from hubformats.tlog import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from hubformats.tlog.tiles import Tile, split_tile, tiles_of

LEAVES = [leaf_hash(str(number).encode()) for number in range(1500)]


def ranged(size: int) -> CompactRange:
    made = CompactRange(0, [])
    for leaf in LEAVES[:size]:
        made.append(leaf)
    return made


def grown(sizes: list[int]) -> tuple[RightEdge, dict[Tile, bytes]]:
    """The edge after growing in these steps, and every full tile on the way."""
    edge, tiles = RightEdge(0, []), dict[Tile, bytes]()
    for size in sizes:
        growth = edge.grow(LEAVES[edge.size : size])
        tiles.update(growth.tiles())
        edge = growth.edge()
    return edge, tiles


steps = st.lists(st.integers(0, 1500), min_size=1, max_size=8).map(sorted)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_both_paths_arrive_at_one_root_however_the_tree_grew(sizes: list[int]) -> None:
    edge, _ = grown(sizes)
    assert edge.root() == ranged(sizes[-1]).root()
    assert CompactRange.decode(sizes[-1], ranged(sizes[-1]).encode()).root() == edge.root()


@settings(max_examples=40, deadline=None)
@given(steps, st.data())
def test_the_path_of_every_new_leaf_satisfies_the_public_checker(
    sizes: list[int], data: st.DataObject
) -> None:
    before, _ = grown(sizes)
    growth = before.grow(LEAVES[before.size : data.draw(st.integers(before.size, 1500))])
    path, root = growth.paths(), growth.root()
    for index in range(growth.start, growth.size):
        verify_inclusion(LEAVES[index], index, growth.size, path(index), root)
    with pytest.raises(IndexError):
        path(growth.size)


@settings(max_examples=40, deadline=None)
@given(steps, st.data())
def test_proofs_from_tiles_satisfy_the_public_checker(
    sizes: list[int], data: st.DataObject
) -> None:
    edge, full = grown(sizes)
    files = {
        (tile.level, tile.index): split_tile(content, tile.width)
        for tile, content in [*full.items(), *partial_tiles(edge)]
    }
    assert {Tile(level, index, len(hashes)) for (level, index), hashes in files.items()} == {
        t for t in tiles_of(edge.size) if t.level >= 0
    }
    tree = TileHashes(edge.size, lambda level, index: files[level, index])
    if edge.size:
        index = data.draw(st.integers(0, edge.size - 1))
        verify_inclusion(LEAVES[index], index, edge.size, tree.inclusion(index), edge.root())
        old = data.draw(st.integers(1, edge.size))
        verify_consistency(old, ranged(old).root(), edge.size, edge.root(), tree.consistency(old))
    for outside in (-1, edge.size):
        with pytest.raises(IndexError):
            tree.inclusion(outside)
    with pytest.raises(IndexError):
        tree.consistency(edge.size + 1)


def test_a_large_tree_has_the_tiles_of_three_levels() -> None:
    edge = RightEdge(0, [])
    tiles = []
    for start in range(0, 70_000, 1000):
        growth = edge.grow(
            [leaf_hash(str(number).encode()) for number in range(start, start + 1000)]
        )
        tiles += growth.tiles()
        edge = growth.edge()
    assert {t for t, _ in tiles} | {t for t, _ in partial_tiles(edge)} == {
        t for t in tiles_of(70_000) if t.level >= 0
    }


def test_an_empty_tree_has_the_empty_root_and_no_tiles() -> None:
    edge, tiles = grown([0])
    assert edge.root() == CompactRange(0, []).root() == EMPTY_ROOT
    assert not tiles
    assert not partial_tiles(edge)


@pytest.mark.parametrize(
    ("size", "data"), [(0, b"x" * 32), (3, b"x" * 32), (3, b"x" * 65), (4, b"")]
)
def test_an_edge_that_cannot_belong_to_its_size_is_refused(size: int, data: bytes) -> None:
    with pytest.raises(EdgeMalformed):
        CompactRange.decode(size, data)


@pytest.mark.parametrize(("size", "levels"), [(1, []), (1, [[]]), (256, [[]]), (2, [[b"x" * 32]])])
def test_tiles_that_cannot_belong_to_their_size_are_refused(
    size: int, levels: list[list[bytes]]
) -> None:
    with pytest.raises(EdgeMalformed):
        RightEdge(size, levels)
