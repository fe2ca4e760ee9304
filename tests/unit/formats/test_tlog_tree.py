"""RFC 6962 proofs against a naive tree that is nothing but the recursive definition."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubformats.tlog import (
    EMPTY_ROOT,
    ProofRefused,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)

leaves = st.integers(1, 90).map(lambda n: [leaf_hash(str(i).encode()) for i in range(n)])


def naive_root(hashes: list[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + naive_root(hashes[:half]) + naive_root(hashes[half:])).digest()


def naive_path(index: int, hashes: list[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    half = 1 << (len(hashes) - 1).bit_length() - 1
    if index < half:
        return [*naive_path(index, hashes[:half]), naive_root(hashes[half:])]
    return [*naive_path(index - half, hashes[half:]), naive_root(hashes[:half])]


def naive_consistency(old: int, hashes: list[bytes], whole: bool = True) -> list[bytes]:
    if old == len(hashes):
        return [] if whole else [naive_root(hashes)]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= half:
        return [*naive_consistency(old, hashes[:half], whole), naive_root(hashes[half:])]
    return [*naive_consistency(old - half, hashes[half:], False), naive_root(hashes[:half])]


def test_hashes_carry_their_domain() -> None:
    assert (
        leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert (
        node_hash(b"a" * 32, b"b" * 32) == hashlib.sha256(b"\x01" + b"a" * 32 + b"b" * 32).digest()
    )
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT


@given(leaves, st.data())
def test_inclusion_of_every_leaf_is_accepted_and_nothing_else(
    hashes: list[bytes], data: st.DataObject
) -> None:
    size, index = len(hashes), data.draw(st.integers(0, len(hashes) - 1))
    path, root = naive_path(index, hashes), naive_root(hashes)
    verify_inclusion(hashes[index], index, size, path, root)
    wrong = data.draw(st.integers(0, size + 3).filter(lambda other: other != index))
    with pytest.raises(ProofRefused):
        verify_inclusion(hashes[index], wrong, size, path, root)
    with pytest.raises(ProofRefused):
        verify_inclusion(leaf_hash(b"another"), index, size, path, root)
    with pytest.raises(ProofRefused):
        verify_inclusion(hashes[index], index, size, [*path, root], root)
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        with pytest.raises(ProofRefused):
            verify_inclusion(hashes[index], index, size, path[:place] + path[place + 1 :], root)
        flipped = bytes([path[place][0] ^ 1]) + path[place][1:]
        with pytest.raises(ProofRefused):
            verify_inclusion(
                hashes[index], index, size, [*path[:place], flipped, *path[place + 1 :]], root
            )


@given(leaves, st.data())
def test_consistency_of_every_prefix_is_accepted_and_nothing_else(
    hashes: list[bytes], data: st.DataObject
) -> None:
    new = len(hashes)
    old = data.draw(st.integers(1, new))
    path, old_root, new_root = (
        naive_consistency(old, hashes),
        naive_root(hashes[:old]),
        naive_root(hashes),
    )
    verify_consistency(old, old_root, new, new_root, path)
    with pytest.raises(ProofRefused):
        verify_consistency(old, leaf_hash(b"fork"), new, new_root, path)
    with pytest.raises(ProofRefused):
        verify_consistency(old, old_root, new, leaf_hash(b"fork"), path)
    with pytest.raises(ProofRefused):
        verify_consistency(old, old_root, new, new_root, [*path, new_root])
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        flipped = bytes([path[place][0] ^ 1]) + path[place][1:]
        with pytest.raises(ProofRefused):
            verify_consistency(
                old, old_root, new, new_root, [*path[:place], flipped, *path[place + 1 :]]
            )
        with pytest.raises(ProofRefused):
            verify_consistency(old, old_root, new, new_root, path[:-1])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (6, 5), (-1, 5), (1, 2**63)])
def test_sizes_without_a_proof_are_refused_even_with_an_empty_one(old: int, new: int) -> None:
    with pytest.raises(ProofRefused, match="sizes-have-no-proof"):
        verify_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 4), (2**63, 2**63)])
def test_an_index_outside_the_tree_has_no_root(index: int, size: int) -> None:
    with pytest.raises(ProofRefused, match="index-outside-tree"):
        root_from_inclusion(leaf_hash(b""), index, size, [])


def test_a_short_hash_is_refused_before_it_is_hashed() -> None:
    with pytest.raises(ProofRefused, match="hash-length-wrong"):
        root_from_inclusion(leaf_hash(b""), 0, 2, [b"short"])
