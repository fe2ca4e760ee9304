"""The embedded bus: Kafka's promises inside one process, on the durable log of `bus_log`.

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
    BusUnavailable,
    Consumption,
    Handler,
    Incoming,
    MessageTooLarge,
    NotAllowed,
    Outgoing,
    TopicUnknown,
    group_name,
    partition_of,
)
from common.bus_log import DurableLog, Partition
from common.faults import crash_point
from common.telemetry import describe
from common.topics import TopicSpec
from hubformats.clock import Clock, SystemClock

_log = logging.getLogger(__name__)

_PRUNE_EVERY = 3600.0
_STOP_GRACE = 10.0
_PROBE_SECONDS = 2.0
_READ_CHUNK = 500


class _Cursor:
    """How far one group has come in one partition, and whether a handler has its records now."""

    __slots__ = ("busy", "failures", "partition", "position", "waiting")

    def __init__(self, partition: Partition, position: int) -> None:
        self.partition = partition
        self.position = position
        self.busy = False
        self.failures = 0
        self.waiting: asyncio.TimerHandle | None = None


class _Group:
    """A consumer group: its cursors live as long as the bus, its members come and go and share the
    partitions.
    """

    def __init__(self, name: str, committed: dict[int, int]) -> None:
        self.name = name
        self._committed = committed
        self.cursors: dict[int, _Cursor] = {}
        self._members: list[_Member] = []
        self.owner: dict[int, _Member] = {}

    def join(self, member: "_Member") -> None:
        self._members.append(member)
        self._share()

    def leave(self, member: "_Member") -> None:
        if member in self._members:
            self._members.remove(member)
            self._share()

    def _share(self) -> None:
        """Deal each topic's partitions round the members that want it.

        A busy one moves when its handler has ended.
        """
        self.owner = {}
        wanted = sorted(
            {partition.topic for member in self._members for partition in member.partitions}
        )
        for turn, topic in enumerate(wanted):
            takers = [
                member
                for member in self._members
                if any(p.topic == topic for p in member.partitions)
            ]
            for partition in (p for p in takers[0].partitions if p.topic == topic):
                self.owner[partition.id] = takers[(turn + partition.number) % len(takers)]
                if partition.id not in self.cursors:
                    self.cursors[partition.id] = _Cursor(
                        partition, self._committed.get(partition.id, 0)
                    )
        for member in self._members:
            member.cursors = [
                self.cursors[p.id] for p in member.partitions if self.owner[p.id] is member
            ]
        for member in self._members:
            member.poke()


class _Member:
    """One consumption: starts a task for each of its partitions that has records, and none
    otherwise.
    """

    def __init__(
        self,
        log: DurableLog,
        group: _Group,
        partitions: Sequence[Partition],
        low: frozenset[str],
        handler: Handler,
        batch: int,
        backoff: Backoff,
    ) -> None:
        self._log = log
        self._group = group
        self.partitions = partitions
        self._low = low
        self._handler = handler
        self._batch = batch
        self._backoff = backoff
        self._tasks: set[asyncio.Task[None]] = set()
        self._paused = False
        self.stopped = False
        self.cursors: list[_Cursor] = []

    async def stop(self) -> None:
        """See Consumption.stop. The grace for a running handler is ten seconds."""
        self.stopped = True
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=_STOP_GRACE)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        self._group.leave(self)
        with contextlib.suppress(BusUnavailable):
            # The offsets stay noted; a crash before they are written means repeats
            await self._log.flush()

    def pause(self) -> None:
        """See Consumption.pause."""
        self._paused = True

    def resume(self) -> None:
        """See Consumption.resume."""
        self._paused = False
        self.poke()

    async def lag(self) -> int:
        """See Consumption.lag."""
        return sum(self._log.end(cursor.partition.id) - cursor.position for cursor in self.cursors)

    def poke(self) -> None:
        """Start every partition that is ready; the low lane only when the normal one neither waits
        nor works.
        """
        for cursor in self.cursors:
            if not cursor.busy and self._may_serve(cursor):
                cursor.busy = True
                task = asyncio.get_running_loop().create_task(self._serve(cursor))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _may_serve(self, cursor: _Cursor) -> bool:
        if (
            self.stopped
            or self._paused
            or self._group.owner.get(cursor.partition.id) is not self
            or not self._ready(cursor)
        ):
            return False
        if cursor.partition.topic not in self._low:
            return True
        return not any(
            other.busy or self._ready(other)
            for other in self.cursors
            if other.partition.topic not in self._low
        )

    def _ready(self, cursor: _Cursor) -> bool:
        return cursor.waiting is None and cursor.position < self._log.end(cursor.partition.id)

    async def _serve(self, cursor: _Cursor) -> None:
        try:
            while self._may_serve(cursor) and await self._turn(cursor):
                pass
        finally:
            cursor.busy = False
            # Whoever owns the partition now goes on with it; our own low lane may be free to start.
            for member in {self, self._group.owner.get(cursor.partition.id, self)}:
                member.poke()

    async def _turn(self, cursor: _Cursor) -> bool:
        """Hand over one batch; False when the partition has to wait before its next."""
        partition = cursor.partition
        end = self._log.end(partition.id)
        try:
            records = await self._log.fetch(partition, cursor.position, self._batch)
            if not records:  # all that was left has outlived its retention
                cursor.position = end
                return True
            if not self._may_serve(cursor):  # paused, stopped or overtaken while reading
                return False
            await self._handler(records)
        except Exception as error:  # noqa: BLE001 - whatever the handler raises means: not now
            self._hold(cursor, error)
            return False
        crash_point("bus-handled")
        cursor.position = records[-1].offset + 1
        cursor.failures = 0
        self._log.save_offset(self._group.name, partition.id, cursor.position)
        return True

    def _hold(self, cursor: _Cursor, error: Exception) -> None:
        cursor.failures += 1
        delay = self._backoff.seconds(cursor.failures)
        place = {
            "topic": cursor.partition.topic,
            "partition": cursor.partition.number,
            "offset": cursor.position,
        }
        facts = {
            "group": self._group.name,
            **place,
            "error": describe(error),
            "delay_s": round(delay, 2),
        }
        _log.warning("a handler failed and is asked again", extra=facts)
        cursor.waiting = asyncio.get_running_loop().call_later(delay, self._release, cursor)

    def _release(self, cursor: _Cursor) -> None:
        cursor.waiting = None
        owner = self._group.owner.get(cursor.partition.id)
        if owner is not None:
            owner.poke()


class EmbeddedBus:
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
        self._groups: dict[str, _Group] = {}
        self._joining = asyncio.Lock()
        self._members: set[_Member] = set()
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
                self._groups[group] = _Group(group, await self._log.offsets(group))
        member = _Member(
            self._log,
            self._groups[group],
            partitions,
            frozenset(low_priority),
            handler,
            max_batch,
            self._backoff,
        )
        self._members = {one for one in self._members if not one.stopped} | {member}
        self._groups[group].join(member)
        return member

    async def read(self, topic: str, *, limit: int | None = None) -> list[Incoming]:
        """See Bus.read."""
        found: list[Incoming] = []
        async with contextlib.aclosing(self.pieces(topic, at_most=_READ_CHUNK)) as pieces:
            async for piece in pieces:
                found += piece
                if limit is not None and len(found) >= limit:
                    return found[:limit]
        return found

    async def pieces(
        self, topic: str, *, at_most: int = PIECE
    ) -> AsyncGenerator[list[Incoming], None]:
        """See Bus.pieces."""
        for partition in self._topic(topic):
            offset, end = 0, self._log.end(partition.id)
            while offset < end and (chunk := await self._log.fetch(partition, offset, at_most)):
                yield [record for record in chunk if record.offset < end]
                offset = chunk[-1].offset + 1

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
        """Delete what has outlived its topic's retention now; done by itself at start and every
        hour. Says how many.
        """
        return await self._log.prune()

    def door(self, principal: str) -> "EmbeddedDoor":
        """This bus with only the rights and the group names of one principal."""
        return EmbeddedDoor(self, principal)

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


class EmbeddedDoor:
    """A Bus: one principal's way into a shared EmbeddedBus, with the same refusals as Kafka's
    access list.

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

    async def read(self, topic: str, *, limit: int | None = None) -> list[Incoming]:
        """See Bus.read."""
        self._check_read((topic,))
        return await self._bus.read(topic, limit=limit)

    def pieces(self, topic: str, *, at_most: int = PIECE) -> AsyncGenerator[list[Incoming], None]:
        """See Bus.pieces."""
        self._check_read((topic,))
        return self._bus.pieces(topic, at_most=at_most)

    async def healthy(self) -> bool:
        """See Bus.healthy."""
        return await self._bus.healthy()

    def _check_read(self, topics: Sequence[str]) -> None:
        for topic in topics:
            spec = self._bus.specs.get(topic)
            if spec is None or self._principal not in spec.consumers:
                raise NotAllowed(f"{self._principal} may not read {topic}")
