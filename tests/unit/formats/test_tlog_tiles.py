"""Tile paths and arithmetic, against the examples of C2SP tlog-tiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubformats.tlog import ProofRefused
from hubformats.tlog.tiles import (
    Tile,
    current_tile,
    number_path,
    pack_bundle,
    split_tile,
    tiles_of,
    unpack_bundle,
)


@pytest.mark.parametrize(
    ("number", "path"),
    [
        (0, "000"),
        (67, "067"),
        (999, "999"),
        (1000, "x001/000"),
        (1234067, "x001/x234/067"),
        (2**40, "x001/x099/x511/x627/776"),
    ],
)
def test_numbers_are_grouped_by_three(number: int, path: str) -> None:
    assert number_path(number) == path
    assert Tile.parse(f"tile/0/{path}") == Tile(0, number)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/1",
        "tile/00/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/8/001",
        "tile/0/x000/001",
        "tile/0/../001",
        "tile/entries/001/",
        "/tile/0/001",
        "tile/0/001\n",
        "tile/-1/001",
        "tile/0/" + "x999/" * 20 + "999",
        "tile/0/٠٠١",
    ],
)
def test_a_path_that_is_not_the_one_spelling_is_refused(path: str) -> None:
    with pytest.raises(ProofRefused):
        Tile.parse(path)


def test_the_tiles_of_70000_are_those_of_the_specification() -> None:
    found = {
        level: [tile for tile in tiles_of(70_000) if tile.level == level] for level in range(-1, 4)
    }
    assert [len(found[level]) for level in range(-1, 4)] == [274, 274, 2, 1, 0]
    assert found[0][-1] == Tile(0, 273, 112)
    assert found[1] == [Tile(1, 0), Tile(1, 1, 17)]
    assert found[2] == [Tile(2, 0, 1)]
    assert list(tiles_of(256)) == [Tile(-1, 0), Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []


@given(st.integers(0, 200_000), st.integers(0, 600))
def test_growth_yields_exactly_the_tiles_that_are_new(since: int, more: int) -> None:
    assert set(tiles_of(since + more, since)) == set(tiles_of(since + more)) - set(tiles_of(since))


@given(st.integers(1, 2**40), st.integers(0, 7), st.integers(0, 2**34))
def test_the_current_tile_is_the_widest_and_its_path_is_one_to_one(
    size: int, level: int, index: int
) -> None:
    have = (size >> 8 * level) - 256 * index
    if have <= 0:
        with pytest.raises(ProofRefused):
            current_tile(size, level, index)
        return
    tile = current_tile(size, level, index)
    assert tile.width == min(have, 256)
    assert Tile.parse(tile.path()) == tile


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_round_trip_and_refuse_another_count(entries: list[bytes]) -> None:
    data = pack_bundle(entries)
    assert unpack_bundle(data, len(entries)) == entries
    for other in (len(entries) + 1, len(entries) - 1):
        with pytest.raises(ProofRefused):
            unpack_bundle(data, other)
    if entries:
        with pytest.raises(ProofRefused):
            unpack_bundle(data[:-1], len(entries))


def test_limits_of_entries_and_tiles() -> None:
    with pytest.raises(ProofRefused):
        pack_bundle([b"x" * 65_536])
    with pytest.raises(ProofRefused):
        split_tile(b"x" * 33, 1)
