"""The leaf of the Merkle tree: whose record, which number, when, and a blinded hash."""

from dataclasses import dataclass
from typing import Final

from hubformats.audit_record.errors import RecordRefused
from hubformats.audit_record.versions import written
from hubformats.canonical import canonical, parse

LEAF_VERSION: Final = 1
"""The same for records of every version."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Hold what the Merkle tree has of one record.

    Who wrote it (opaque), its place in that producer's sequence, when, and a blinded hash.
    """

    src: str
    ep: int
    seq: int
    tr: int
    h: str

    def encode(self) -> bytes:
        """Return the exact canonical bytes hashed into the tree.

        Integers are microseconds or counts, never floats.
        """
        said = {
            "v": LEAF_VERSION,
            "src": self.src,
            "ep": self.ep,
            "seq": self.seq,
            "tr": self.tr,
            "h": self.h,
        }
        numbers = (self.ep, self.seq, self.tr)
        if min(numbers) >= 0 and max(numbers) < 2**53 and self.src.isascii() and self.h.isascii():
            return written(said)
        return canonical(said)

    @classmethod
    def decode(cls, data: bytes) -> "Leaf":
        """Read leaf bytes back.

        Raises RecordRefused unless they are exactly what `encode` gives.
        """
        try:
            raw = parse(data, max_bytes=1_024)
        except ValueError:
            raise RecordRefused("leaf-malformed") from None
        if (
            not isinstance(raw, dict)
            or set(raw) != {"v", "src", "ep", "seq", "tr", "h"}
            or raw["v"] != LEAF_VERSION
        ):
            raise RecordRefused("leaf-malformed")
        if not (
            isinstance(raw["src"], str)
            and isinstance(raw["h"], str)
            and all(type(raw[k]) is int and raw[k] >= 0 for k in ("ep", "seq", "tr"))
        ):
            raise RecordRefused("leaf-malformed")
        leaf = cls(src=raw["src"], ep=raw["ep"], seq=raw["seq"], tr=raw["tr"], h=raw["h"])
        if leaf.encode() != data:
            raise RecordRefused("leaf-not-canonical")
        return leaf
