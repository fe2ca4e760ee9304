"""A log of a few leaves that answers producers like the audit service: real leaves, paths and a
signed checkpoint."""

import base64
from collections.abc import Sequence

from common.events.audit import AuditBatch, AuditReceipts, ReceiptItem, RecordItem
from hubformats.audit_record import Leaf, check_record, record_hash
from hubformats.canonical import b64u, unb64u
from hubformats.tlog import Checkpoint, Signer, leaf_hash, node_hash

ORIGIN = "example.org/northmoor-log"


class SmallLog:
    """Keeps leaves in memory and proves each against the whole tree, by the definition of RFC 6962
    section 2.1.
    """

    def __init__(self) -> None:
        self.signer = Signer(ORIGIN, bytes(32))
        self.leaves: list[bytes] = []

    def append(self, batch: AuditBatch) -> AuditReceipts:
        """Take every record of a batch and answer its receipts."""
        first = len(self.leaves)
        self.leaves += [self.leaf(batch, item) for item in batch.items]
        return self.receipts(batch, range(first, len(self.leaves)))

    def leaf(self, batch: AuditBatch, item: RecordItem) -> bytes:
        """The leaf of one record."""
        h = record_hash(unb64u(item.salt), unb64u(item.record))
        return Leaf(batch.src, batch.epoch, item.seq, 1_795_000_000_000_000, h).encode()

    def receipts(self, batch: AuditBatch, indices: Sequence[int]) -> AuditReceipts:
        """Receipts for the leaves at `indices`, which are the batch's records in order."""
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        note = self.signer.sign(Checkpoint(ORIGIN, len(hashes), _root(hashes)).text())
        items = tuple(
            ReceiptItem(
                seq=item.seq,
                record_id=_record_id(item),
                leaf=b64u(self.leaves[index]),
                index=index,
                path=tuple(base64.b64encode(each).decode() for each in _path(hashes, index)),
            )
            for item, index in zip(batch.items, indices, strict=True)
        )
        return AuditReceipts(src=batch.src, epoch=batch.epoch, checkpoint=note, items=items)


def _record_id(item: RecordItem) -> str:
    return str(check_record(unb64u(item.record))["id"])


def _root(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    k = _split(len(hashes))
    return node_hash(_root(hashes[:k]), _root(hashes[k:]))


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = _split(len(hashes))
    if index < k:
        return [*_path(hashes[:k], index), _root(hashes[k:])]
    return [*_path(hashes[k:], index - k), _root(hashes[:k])]


def _split(n: int) -> int:
    return 1 << (n - 1).bit_length() - 1
