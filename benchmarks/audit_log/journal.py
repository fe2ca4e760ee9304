"""The sequencer's store without a database: one append-only file, synced per batch. What remains is
the log itself."""

import asyncio
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from audit.log.model.entries import Head, Logged, LogHalted, LogState, Reply, Waiting
from audit.log.model.merkle import CompactRange
from common.events.audit import AuditReceipts
from hubformats.tlog import leaf_hash


class Journal:
    """Fulfils `SequencerStore`; entries and heads are durable when the call that gave them returns.

    Made for measuring: no reader.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._range = CompactRange(0, [])
        self._state = LogState(0, self._range.root(), b"", 0, "bench", 0, 0, 0, 0)
        self._waiting: list[Logged] = []
        self._heads: dict[int, Head] = {}
        self._leaves: list[bytes] = []
        self.proofs = 0

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

    async def append(self, leaves: Sequence[bytes]) -> None:
        """Commit a batch: hash it into the compact range as intake does, write it, and return when
        the disk has it.
        """
        first = self._range.size
        for leaf in leaves:
            self._range.append(leaf_hash(leaf))
        await asyncio.to_thread(self._write, leaves)
        self._leaves += leaves
        self._waiting += [
            Logged(first + place, leaf, "bench", "", None, ("bench", 1, first + place))
            for place, leaf in enumerate(leaves)
        ]
        self._move(size=self._range.size, receipted=self._state.receipted)

    async def take_over(self) -> LogState | None:
        """One process, one owner."""
        return self._state

    async def waiting(self) -> Waiting:
        """What was appended and not signed."""
        return Waiting(self._state, tuple(self._waiting), ())

    async def leaves(self, first: int, last: int) -> list[bytes]:
        """Entries first ≤ index < last."""
        return self._leaves[first:last]

    async def signed(
        self, head: Head, before: LogState, replies: Sequence[Reply], answered: Sequence[int]
    ) -> None:
        """Keep the head."""
        if before.receipted != self._state.receipted:
            raise LogHalted("fence-lost")
        await asyncio.to_thread(self._write, [head.note.encode()])
        self._heads[head.size] = head
        self._waiting = self._waiting[head.size - self._state.receipted :]
        self._move(size=self._state.size, receipted=head.size)
        self.proofs += sum(
            len(reply.event.items) for reply in replies if isinstance(reply.event, AuditReceipts)
        )

    async def published(self, size: int, fence: int) -> None:
        """The checkpoint file says it."""

    async def head(self, size: int) -> Head | None:
        """The head signed at exactly this size."""
        return self._heads.get(size)

    def _move(self, *, size: int, receipted: int) -> None:
        self._state = LogState(
            size, self._range.root(), self._range.encode(), 0, "bench", 0, 0, receipted, 0
        )

    def _write(self, entries: Sequence[bytes]) -> None:
        os.write(self._file, b"".join(struct.pack(">I", len(entry)) + entry for entry in entries))
        os.fdatasync(self._file)
