"""Records of the embedded bus as they stand in its file and in memory."""

import json
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from common.bus import MAX_BATCH_BYTES, Incoming

_TAIL_BYTES: Final = 8_000_000


class Tail:
    """The newest committed records, up to 8 MB: who keeps up need not read the file.

    Used on the event loop only.
    """

    def __init__(self) -> None:
        self._kept: dict[int, deque[Incoming]] = {}
        self._oldest: deque[int] = deque()
        self._bytes = 0

    def add(self, partition: int, record: Incoming) -> None:
        """Keep a partition's next record; drop the oldest of all when there are too many."""
        self._kept.setdefault(partition, deque()).append(record)
        self._oldest.append(partition)
        self._bytes += len(record.value)
        while self._bytes > _TAIL_BYTES:
            self._bytes -= len(self._kept[self._oldest.popleft()].popleft().value)

    def since(self, partition: int, offset: int, limit: int) -> list[Incoming]:
        """Return what `DurableLog.fetch` gives; nothing when the record at `offset` is gone."""
        kept = self._kept.get(partition)
        # The records of a partition are numbered without a gap, so the offset tells the place.
        start = offset - kept[0].offset if kept else -1
        if kept is None or not 0 <= start < len(kept):
            return []
        return bounded(islice(kept, start, start + limit))

    def clear(self) -> None:
        """Keep nothing: what is asked for next comes from the file."""
        self._kept, self._oldest, self._bytes = {}, deque(), 0


def bounded(records: Iterable[Incoming]) -> list[Incoming]:
    """Take the first records, no more than MAX_BATCH_BYTES unless one alone is."""
    found: list[Incoming] = []
    size = 0
    for record in records:
        size += len(record.value)
        if found and size > MAX_BATCH_BYTES:
            break
        found.append(record)
    return found


def row(partition: int, record: Incoming) -> tuple[int, int, int, bytes, bytes, str]:
    """Turn a record into its row in the file."""
    place = partition, record.offset, record.timestamp_ms
    return *place, record.key, record.value, _text(record.headers)


def _text(headers: Sequence[tuple[str, bytes]]) -> str:
    return json.dumps([[name, data.decode("latin-1")] for name, data in headers]) if headers else ""


def headers(text: str) -> tuple[tuple[str, bytes], ...]:
    """Read the headers of a row."""
    return tuple((name, data.encode("latin-1")) for name, data in json.loads(text)) if text else ()


def partition_of(key: bytes, partitions: int) -> int:
    """Choose the partition of `key` as every Kafka client does (Java `Utils.murmur2`)."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
