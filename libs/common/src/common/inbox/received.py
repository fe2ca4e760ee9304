"""From bus record to checked statement: everything that needs keys and no database."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

from common.bus import Incoming
from common.inbox.errors import DirectoryUnavailable
from hubformats.clock import Clock
from hubformats.envelope import (
    SEALED_TYPE,
    EnvelopeRefused,
    Metadata,
    Opened,
    digest,
    open_envelope,
    peek,
    routing_headers,
)
from hubformats.keys import KeySource, OpeningKey

_log = logging.getLogger(__name__)

_REFRESH_EVERY_S: Final = 1.0
_IN_PLACE: Final = 32_768
"""Bytes of a batch that is opened on the loop itself: five small envelopes, which takes about 1.5
ms.

The way to a thread and back costs 0.1 ms, and up to two switch intervals (5 ms each) while other
threads hold the interpreter.
"""

_OPENED: Final = tuple(field.name for field in fields(Opened))
_ROUTING: Final = frozenset({"ce_id", "ce_type", "ce_source", "content-type"})

Opening = Callable[[], Mapping[str, OpeningKey]]
Senders = Callable[[str], Collection[str]]


@dataclass(frozen=True, slots=True)
class Received(Opened):
    """A checked statement and how it came: `late` after its successors, `repeat` again."""

    topic: str
    key: bytes
    arrived: datetime
    """When the bus had it."""
    late: bool = False
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a batch: `received`, or the `reason` why it is refused.

    `authentic` is true when the signature was checked.
    """

    record: Incoming
    received: Received | None = None
    reason: str = ""


class Opener:
    """Opens batches of records.

    An unknown key id asks the directory once per batch before it counts as a failure.
    """

    def __init__(self, *, me: str, opening: Opening, keys: KeySource, clock: Clock) -> None:
        self._me = me
        self._opening = opening
        self._keys = keys
        self._clock = clock
        self._refreshed = -_REFRESH_EVERY_S

    async def open(
        self, records: Sequence[Incoming], *, others: bool, senders: Senders | None
    ) -> list[Item]:
        """Open the records in order; with `others`, leave out those addressed to others.

        Raises DirectoryUnavailable when a key is unknown and the directory does not answer.
        """
        items = await self._opened(records, others, senders)
        if not any(item.reason == "unknown-key" for item in items):
            return items
        await self._refresh()
        return await self._opened(records, others, senders)

    async def _opened(
        self, records: Sequence[Incoming], others: bool, senders: Senders | None
    ) -> list[Item]:
        if sum(len(record.value) for record in records) <= _IN_PLACE:
            return self._open_all(records, others, senders)
        return await asyncio.to_thread(self._open_all, records, others, senders)

    async def _refresh(self) -> None:
        # A forger can invent key ids for nothing; asking about them costs the directory at most one
        # call a second.
        wait = self._refreshed + _REFRESH_EVERY_S - self._clock.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        self._refreshed = self._clock.monotonic()
        try:
            await self._keys.refresh()
        except Exception as error:
            raise DirectoryUnavailable("the key directory does not answer") from error

    def _open_all(
        self, records: Sequence[Incoming], others: bool, senders: Senders | None
    ) -> list[Item]:
        ours = [record for record in records if not (others and self._for_others(record))]
        if not ours:
            return []
        opening = self._opening()
        return [self._open(record, opening, senders) for record in ours]

    def _for_others(self, record: Incoming) -> bool:
        try:
            return self._me not in peek(record.value).to
        except EnvelopeRefused:
            return False

    def _open(
        self, record: Incoming, opening: Mapping[str, OpeningKey], senders: Senders | None
    ) -> Item:
        try:
            arrived = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
            opened = open_envelope(
                record.value, me=self._me, opening=opening, keys=self._keys, arrived=arrived
            )
            if not _headers_honest(record, opened):
                return Item(record, reason="headers-mismatch")
        except EnvelopeRefused as refused:
            return Item(record, reason=refused.code)
        if senders is not None and opened.source not in senders(record.topic):
            return Item(record, reason="wrong-source")
        whole = {name: getattr(opened, name) for name in _OPENED}
        return Item(record, Received(**whole, topic=record.topic, key=record.key, arrived=arrived))


def _headers_honest(record: Incoming, opened: Opened) -> bool:
    """Tell whether each routing header that is there repeats the envelope; none is required.

    What stands outside was compared with what is signed inside when it was opened. So it need not
    be read again.
    """
    said = {pair for pair in record.headers if pair[0] in _ROUTING}
    outside = Metadata(
        opened.id, SEALED_TYPE, opened.source, opened.to, opened.stream, opened.seq, ""
    )
    return said <= set(routing_headers(outside))


def envelope_digest(record: Incoming) -> str:
    """Return the digest that names exactly these bytes in quarantine."""
    return digest(record.value)
