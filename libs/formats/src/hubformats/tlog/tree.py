"""The Merkle tree of RFC 6962 section 2.1: hashing, and the two proofs a stranger can check. Pure;
it never trusts a length."""

import hashlib
from collections.abc import Sequence
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
MAX_SIZE: Final = 2**63 - 1
"""Sizes are signed 64-bit in every other implementation; a larger one could not be checked by them.
"""

_LEAF: Final = hashlib.sha256(b"\x00")
_NODE: Final = hashlib.sha256(b"\x01")


class ProofRefused(ValueError):
    """A proof, note or checkpoint is not acceptable.

    `code` names the defect; the input is never part of the message.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def leaf_hash(entry: bytes) -> bytes:
    """Hash a leaf: SHA-256(0x00 ‖ entry)."""
    state = _LEAF.copy()
    state.update(entry)
    return state.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two nodes into one: SHA-256(0x01 ‖ left ‖ right).

    Copying a prepared prefix costs a third less than hashing a concatenation.
    """
    state = _NODE.copy()
    state.update(left)
    state.update(right)
    return state.digest()


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Compute the root that `path` (leaf side first) leads to from leaf hash `leaf`.

    The leaf stands at `index` of a tree of `size` leaves.

    Raises ProofRefused for an index outside the tree, or a wrong number of hashes. So also for a
    hash that is not 32 bytes.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofRefused("index-outside-tree")
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    _check_hashes([leaf, *path], inner + border + 1)
    return _fold(leaf, index, path, inner)


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that leaf hash `leaf` stands at `index` of the tree (`size`, `root`).

    Raises ProofRefused.
    """
    if root_from_inclusion(leaf, index, size, path) != root:
        raise ProofRefused("root-differs")


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree (`new_size`, `new_root`) only appended to (`old_size`, `old_root`).

    Raises ProofRefused.

    Equal sizes need an empty proof and equal roots. From size 0 no proof exists, and every proof,
    the empty one too, is refused. A caller who starts from nothing has nothing to compare with and
    must say so itself.
    """
    if not 0 < old_size <= new_size <= MAX_SIZE:
        raise ProofRefused("sizes-have-no-proof")
    if old_size == new_size:
        _check_hashes(path, 0)
        if old_root != new_root:
            raise ProofRefused("root-differs")
        return
    fork = ((old_size - 1) ^ (new_size - 1)).bit_length()
    border = ((old_size - 1) >> fork).bit_count()
    shift = (old_size & -old_size).bit_length() - 1
    inner = fork - shift
    whole = (
        old_size == 1 << shift
    )  # a perfect old tree is itself the first node of the path and is not sent
    _check_hashes(path, inner + border + (0 if whole else 1))
    seed, rest = (old_root, path) if whole else (path[0], path[1:])
    mask = (old_size - 1) >> shift
    if _fold_left(seed, mask, rest, inner) != old_root:
        raise ProofRefused("old-root-differs")
    if _fold(seed, mask, rest, inner) != new_root:
        raise ProofRefused("root-differs")


def _fold(seed: bytes, mask: int, path: Sequence[bytes], inner: int) -> bytes:
    result = seed
    for place, other in enumerate(path):
        left_of_it = place < inner and not mask >> place & 1
        result = node_hash(result, other) if left_of_it else node_hash(other, result)
    return result


def _fold_left(seed: bytes, mask: int, path: Sequence[bytes], inner: int) -> bytes:
    result = seed
    for place, other in enumerate(path):
        if place >= inner or mask >> place & 1:
            result = node_hash(other, result)
    return result


def _check_hashes(hashes: Sequence[bytes], count: int) -> None:
    if len(hashes) != count:
        raise ProofRefused("wrong-number-of-hashes")
    if any(len(item) != HASH_BYTES for item in hashes):
        raise ProofRefused("hash-length-wrong")
