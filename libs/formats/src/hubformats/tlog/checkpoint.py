"""Checkpoints (C2SP tlog-checkpoint) and tlog-proof files (C2SP tlog-proof): what a court, a
recipient or an inspector checks offline."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hubformats.tlog.note import NOTE_LIMIT, Verifier, verify_note
from hubformats.tlog.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    MAX_SIZE,
    ProofRefused,
    leaf_hash,
    verify_inclusion,
)

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
PATH_LIMIT: Final = 63
"""Hashes of one inclusion path: a tree of 2^63 leaves needs no more."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_EXTRA_LIMIT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One state of a log: its origin, the number of entries, and the root over them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the note text that is signed."""
        return "".join(
            f"{line}\n"
            for line in (
                self.origin,
                str(self.size),
                base64.b64encode(self.root).decode(),
                *self.extensions,
            )
        )

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read a checkpoint's text.

        Raises ProofRefused. An empty tree with any root but the empty one is refused.
        """
        if not text.endswith("\n"):
            raise ProofRefused("checkpoint-malformed")
        lines = text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise ProofRefused("checkpoint-malformed")
        size, root = decimal(lines[1]), hash_line(lines[2])
        if size == 0 and root != EMPTY_ROOT:
            raise ProofRefused("checkpoint-malformed")
        return cls(lines[0], size, root, tuple(lines[3:]))


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed tlog-proof: place, path and the signed checkpoint verbatim.

    `extra` is not authenticated by anything.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def format(self) -> str:
        """Write the tlog-proof text."""
        extra = "" if self.extra is None else f"extra {base64.b64encode(self.extra).decode()}\n"
        hashes = "".join(f"{base64.b64encode(item).decode()}\n" for item in self.path)
        return f"{PROOF_HEADER}\n{extra}index {self.index}\n{hashes}\n{self.checkpoint}"

    @classmethod
    def parse(cls, data: str | bytes) -> "Proof":
        """Read a tlog-proof. Raises ProofRefused."""
        head, gap, checkpoint = _bounded(data).partition("\n\n")
        lines = head.split("\n")
        if not gap or lines.pop(0) != PROOF_HEADER or not lines:
            raise ProofRefused("proof-malformed")
        extra = None
        if lines[0].startswith("extra "):
            extra = _unb64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise ProofRefused("proof-malformed")
        index = decimal(lines.pop(0).removeprefix("index "))
        if len(lines) > PATH_LIMIT:
            raise ProofRefused("proof-too-long")
        return cls(index, tuple(hash_line(line) for line in lines), checkpoint, extra)


@dataclass(frozen=True, slots=True)
class Proven:
    """Hold what a verified proof establishes.

    This entry stands at `index` of the log `origin` as it was at `size`.
    """

    index: int
    size: int
    root: bytes
    origin: str


def open_checkpoint(note: str | bytes, log: Verifier) -> Checkpoint:
    """Open a note signed by `log` and return its checkpoint.

    Raises ProofRefused, also when its origin is not the key's name.

    One key signs one log only (C2SP), so a valid signature under another origin is not about this
    log.
    """
    opened, _ = verify_note(note, [log])
    checkpoint = Checkpoint.parse(opened.text)
    if checkpoint.origin != log.name:
        raise ProofRefused("origin-differs")
    return checkpoint


def verify_proof(proof: str | bytes, entry: bytes, log: str | Verifier) -> Proven:
    """Check a tlog-proof for the exact entry bytes (the leaf, not its hash) under the log's vkey.

    Raises ProofRefused.

    1. The proof parses. 2. Its checkpoint is signed by the log and names the log. 3. The path leads
    from the entry to the root.
    Witness signatures are not asked for here: the caller must say "not yet witnessed".
    """
    verifier = Verifier.parse(log) if isinstance(log, str) else log
    parsed = Proof.parse(proof)  # 1
    checkpoint = open_checkpoint(parsed.checkpoint, verifier)  # 2
    verify_inclusion(
        leaf_hash(entry), parsed.index, checkpoint.size, parsed.path, checkpoint.root
    )  # 3
    return Proven(parsed.index, checkpoint.size, checkpoint.root, checkpoint.origin)


def format_proof(index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """Write the tlog-proof text for an index, its path (leaf first) and a signed checkpoint."""
    return Proof(index, tuple(path), checkpoint).format()


def decimal(text: str) -> int:
    """Read a size or index: ASCII digits without leading zeros, at most 2^63 - 1.

    Raises ProofRefused.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise ProofRefused("number-malformed")
    return int(text)


def hash_line(text: str) -> bytes:
    """Read one base64 SHA-256 hash. Raises ProofRefused."""
    data = _unb64(text)
    if len(data) != HASH_BYTES:
        raise ProofRefused("hash-length-wrong")
    return data


def _unb64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise ProofRefused("base64-malformed") from None
    if base64.b64encode(data).decode() != text:
        raise ProofRefused("base64-malformed")
    return data


def _bounded(data: str | bytes) -> str:
    if len(data) > NOTE_LIMIT + _EXTRA_LIMIT:
        raise ProofRefused("proof-too-large")
    try:
        return data.decode() if isinstance(data, bytes) else data.encode().decode()
    except UnicodeError:
        raise ProofRefused("proof-not-utf8") from None
