"""Receipts and rejections: what each producer is told of its entries under a new head."""

import base64
from collections import defaultdict
from collections.abc import Callable, Sequence

from audit.log.model.entries import Head, Logged, Reply, Waiting
from common.events.audit import RECEIPT_CHUNK, AuditReceipts, AuditRejected, ReceiptItem

PathOf = Callable[[int], list[bytes]]
"""Gives the inclusion path of an entry under the head, leaf side first."""


def replies(waiting: Waiting, head: Head, path: PathOf) -> list[Reply]:
    """Make the replies for everything that waits, rejections first."""
    accepted: dict[tuple[str, str, int], list[Logged]] = defaultdict(list)
    made: list[Reply] = []
    for entry in (*waiting.wanted, *waiting.entries):
        src, epoch, seq = entry.place
        if entry.rejected is not None:
            rejected = AuditRejected(
                src=src, epoch=epoch, seq=seq, code=entry.rejected, index=entry.index
            )
            made.append(Reply(entry.service, rejected))
        elif entry.index:  # entry 0 has no producer that waits
            accepted[entry.service, src, epoch].append(entry)
    texts: dict[bytes, str] = {}
    for (service, src, epoch), entries in accepted.items():
        for place in range(0, len(entries), RECEIPT_CHUNK):
            items = tuple(
                _receipt(entry, path(entry.index), texts)
                for entry in entries[place : place + RECEIPT_CHUNK]
            )
            receipts = AuditReceipts(src=src, epoch=epoch, checkpoint=head.note, items=items)
            made.append(Reply(service, receipts))
    return made


def _receipt(entry: Logged, path: Sequence[bytes], texts: dict[bytes, str]) -> ReceiptItem:
    for node in path:
        if node not in texts:
            texts[node] = base64.b64encode(node).decode()
    leaf = base64.urlsafe_b64encode(entry.leaf).rstrip(b"=").decode()
    return ReceiptItem(
        seq=entry.place[2],
        record_id=entry.record_id,
        leaf=leaf,
        index=entry.index,
        path=tuple(texts[node] for node in path),
    )
