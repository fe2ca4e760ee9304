"""The embedded bus: Kafka's promises inside one process.

Consumers are woken by the commit that appended for them; nothing polls.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from common.bus import (
    MAX_MESSAGE_BYTES,
    PIECE,
    Backoff,
    Bus,
    BusUnavailable,
    Consumption,
    Handler,
    Incoming,
    MessageTooLarge,
    NotAllowed,
    Outgoing,
    TopicUnknown,
    group_name,
)
from common.telemetry import describe
from common.topics import TopicSpec
from hubformats.clock import Clock, SystemClock
from standalone.bus.file import Partition
from standalone.bus.log import DurableLog
from standalone.bus.member import Group, Member, Serving
from standalone.bus.records import partition_of

_log = logging.getLogger(__name__)

_PRUNE_EVERY = 3600.0
_PROBE_SECONDS = 2.0


class EmbeddedBus(Bus):
    """A Bus on one SQLite file for one process.

    Itself it has every right; `door` gives a principal's view.

    `path` is the file; a lock file beside it keeps a second hub out (BusLocked). The topics are
    those of `specs`.
    """

    def __init__(
        self,
        path: Path,
        specs: Sequence[TopicSpec],
        *,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.specs = {spec.name: spec for spec in specs}
        self._backoff = backoff or Backoff()
        self._log = DurableLog(path, clock or SystemClock(), self._appended)
        self._partitions: dict[str, list[Partition]] = {}
        self._groups: dict[str, Group] = {}
        self._joining = asyncio.Lock()
        self._members: set[Member] = set()
        self._pruner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See Bus.start. Raises BusLocked when another process has the file."""
        for partition in await self._log.open(list(self.specs.values())):
            self._partitions.setdefault(partition.topic, []).append(partition)
        self._pruner = asyncio.get_running_loop().create_task(self._prune_hourly())

    async def stop(self) -> None:
        """See Bus.stop."""
        if self._pruner is None:
            return
        self._pruner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pruner
        self._pruner = None
        await asyncio.gather(*(member.stop() for member in self._members))
        self._members.clear()
        await self._log.close()
        self._partitions, self._groups = {}, {}

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """See Bus.publish. Callers that publish at the same time share one fsync."""
        rows = []
        for message in messages:
            partitions = self._topic(message.topic)
            if message.size > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(
                    f"a message for {message.topic} is larger than {MAX_MESSAGE_BYTES} bytes"
                )
            rows.append((partitions[partition_of(message.key, len(partitions))].id, message))
        if rows:
            await self._log.append(rows)

    async def consume(
        self,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        *,
        low_priority: Sequence[str] = (),
        max_batch: int = 64,
    ) -> Consumption:
        """See Bus.consume."""
        partitions = [
            partition
            for topic in dict.fromkeys((*topics, *low_priority))
            for partition in self._topic(topic)
        ]
        async with self._joining:
            if group not in self._groups:
                self._groups[group] = Group(group, await self._log.offsets(group))
        member = Member(
            self._log,
            self._groups[group],
            partitions,
            Serving(handler, frozenset(low_priority), max_batch, self._backoff),
        )
        self._members = {one for one in self._members if not one.stopped} | {member}
        self._groups[group].join(member)
        return member

    async def pieces(
        self, topic: str, *, at_most: int = PIECE
    ) -> AsyncGenerator[list[Incoming], None]:
        """See Bus.pieces."""
        for partition in self._topic(topic):
            offset, end = 0, self._log.end(partition.id)
            while offset < end and (chunk := await self._log.fetch(partition, offset, at_most)):
                yield [record for record in chunk if record.offset < end]
                offset = chunk[-1].offset + 1

    async def used(self, topic: str) -> bool:
        """See Bus.used: the ends of partitions stay when their records go."""
        return any(self._log.end(partition.id) for partition in self._topic(topic))

    async def healthy(self) -> bool:
        """See Bus.healthy: the last commit went through, or a write goes through now."""
        if self._pruner is None:
            return False
        if self._log.failure is None:
            return True
        try:
            await asyncio.wait_for(self._log.flush(), _PROBE_SECONDS)
        except (BusUnavailable, TimeoutError):
            return False
        return True

    async def prune(self) -> int:
        """Delete what has outlived its topic's retention, as every hour; return how many."""
        return await self._log.prune()

    def door(self, principal: str) -> "EmbeddedHandle":
        """Return this bus with only the rights and the group names of one principal."""
        return EmbeddedHandle(self, principal)

    def _topic(self, topic: str) -> list[Partition]:
        if self._pruner is None:
            raise BusUnavailable("embedded bus is not started")
        if topic not in self._partitions:
            raise TopicUnknown(f"no topic {topic}")
        return self._partitions[topic]

    def _appended(self, ends: dict[int, int]) -> None:
        for group in self._groups.values():
            for owner in {group.owner[partition] for partition in ends if partition in group.owner}:
                owner.poke()

    async def _prune_hourly(self) -> None:
        while True:
            try:
                await self._log.prune()
            except BusUnavailable as error:
                _log.warning("cannot prune the embedded bus", extra={"error": describe(error)})
            await asyncio.sleep(_PRUNE_EVERY)


class EmbeddedHandle(Bus):
    """One principal's way into a shared EmbeddedBus, with the refusals of Kafka's list.

    Starting and stopping the door does not start or stop the bus behind it; stop ends this
    principal's consumptions.
    """

    def __init__(self, bus: EmbeddedBus, principal: str) -> None:
        self._bus = bus
        self._principal = principal
        self._members: list[Consumption] = []

    async def start(self) -> None:
        """See Bus.start; the bus behind must have been started."""
        if not await self._bus.healthy():
            raise BusUnavailable("the embedded bus behind this door is not running")

    async def stop(self) -> None:
        """See Bus.stop, for this principal only."""
        await asyncio.gather(*(member.stop() for member in self._members))
        self._members.clear()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """See Bus.publish."""
        for topic in {message.topic for message in messages}:
            spec = self._bus.specs.get(topic)
            if spec is None or self._principal not in spec.producers:
                raise NotAllowed(f"{self._principal} may not write {topic}")
        await self._bus.publish(messages)

    async def consume(
        self,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        *,
        low_priority: Sequence[str] = (),
        max_batch: int = 64,
    ) -> Consumption:
        """See Bus.consume."""
        self._check_read((*topics, *low_priority))
        name = group_name(self._principal, group)
        member = await self._bus.consume(
            name, topics, handler, low_priority=low_priority, max_batch=max_batch
        )
        self._members.append(member)
        return member

    def pieces(self, topic: str, *, at_most: int = PIECE) -> AsyncGenerator[list[Incoming], None]:
        """See Bus.pieces."""
        self._check_read((topic,))
        return self._bus.pieces(topic, at_most=at_most)

    async def used(self, topic: str) -> bool:
        """See Bus.used."""
        spec = self._bus.specs.get(topic)
        if spec is None or self._principal not in {*spec.producers, *spec.consumers}:
            raise NotAllowed(f"{self._principal} may neither write nor read {topic}")
        return await self._bus.used(topic)

    async def healthy(self) -> bool:
        """See Bus.healthy."""
        return await self._bus.healthy()

    def _check_read(self, topics: Sequence[str]) -> None:
        for topic in topics:
            spec = self._bus.specs.get(topic)
            if spec is None or self._principal not in spec.consumers:
                raise NotAllowed(f"{self._principal} may not read {topic}")
