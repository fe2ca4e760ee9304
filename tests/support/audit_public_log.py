"""The signed log in memory: heads and proofs over the entries of a `MemoryHub`, without tiles."""

from audit.log.model.entries import LogHalted, LogStopped
from audit.log.model.merkle import CompactRange, TileHashes
from audit.log.worker.checkpoint import HeadSigner
from hubformats.tlog import format_proof, leaf_hash
from hubformats.tlog.tiles import TILE_WIDTH
from tests.support.audit_fakes import MemoryHub
from tests.support.audit_log import ORIGIN, SEED


class MemoryLog:
    """Fulfils `PublicLog` and `LogGate`. Signs at once when woken; publishes when told."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._leaves: list[bytes] = []
        self._note: str | None = None
        self.signer = HeadSigner(ORIGIN, SEED)
        self.checkpoint: str | None = None
        self.published_size = 0
        self.halted: str | None = None
        self.fence = -1

    @property
    def signed_size(self) -> int:
        return len(self._leaves)

    async def take_over(self) -> None:
        """Begin; no other may write from now on."""
        state = await self._hub.take_over()
        assert state is not None
        self.fence = state.fence

    def demand_running(self) -> None:
        if self.halted is not None:
            raise LogStopped(self.halted)

    async def prove(self, index: int) -> str:
        if self._note is None or index >= self.signed_size:
            raise IndexError("not signed yet")
        leaves = self._leaves
        assert len(leaves) < TILE_WIDTH, "one tile holds them all"
        tree = TileHashes(len(leaves), lambda _level, _index: leaves)
        return format_proof(index, tree.inclusion(index), self._note)

    def halt(self, reason: LogHalted) -> None:
        self.halted = self.halted or reason.code

    def wake(self) -> None:
        self._leaves = [leaf_hash(entry.leaf_bytes) for entry in self._hub.rows.entries]
        tree = CompactRange(0, [])
        for leaf in self._leaves:
            tree.append(leaf)
        self._note = self.signer.sign(tree.size, tree.root())

    def publish(self) -> None:
        """Put the newest head where readers find it."""
        self.checkpoint, self.published_size = self._note, self.signed_size
