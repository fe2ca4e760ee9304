"""Who consumes from the embedded bus: groups, their members, and how far each has come."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from common.bus import Backoff, BusUnavailable, Handler
from common.faults import crash_point
from common.telemetry import describe
from standalone.bus.file import Partition
from standalone.bus.log import DurableLog

_log = logging.getLogger(__name__)

_STOP_GRACE = 10.0


class Cursor:
    """How far one group has come in one partition, and whether a handler has its records now."""

    __slots__ = ("busy", "failures", "partition", "position", "waiting")

    def __init__(self, partition: Partition, position: int) -> None:
        self.partition = partition
        self.position = position
        self.busy = False
        self.failures = 0
        self.waiting: asyncio.TimerHandle | None = None


class Group:
    """A consumer group: members come and go, its cursors live as long as the bus."""

    def __init__(self, name: str, committed: dict[int, int]) -> None:
        self.name = name
        self._committed = committed
        self.cursors: dict[int, Cursor] = {}
        self._members: list[Member] = []
        self.owner: dict[int, Member] = {}

    def join(self, member: "Member") -> None:
        """Share the partitions with one more member."""
        self._members.append(member)
        self._share()

    def leave(self, member: "Member") -> None:
        """Share them among those who stay."""
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
                    self.cursors[partition.id] = Cursor(
                        partition, self._committed.get(partition.id, 0)
                    )
        for member in self._members:
            member.cursors = [
                self.cursors[p.id] for p in member.partitions if self.owner[p.id] is member
            ]
        for member in self._members:
            member.poke()


@dataclass(frozen=True, slots=True)
class Serving:
    """How a member's records are handled: `low` topics last, at most `batch` at once."""

    handler: Handler
    low: frozenset[str]
    batch: int
    backoff: Backoff


class Member:
    """One consumption: a task for each of its partitions that has records."""

    def __init__(
        self, log: DurableLog, group: Group, partitions: Sequence[Partition], serving: Serving
    ) -> None:
        self._log = log
        self._group = group
        self.partitions = partitions
        self._serving = serving
        self._tasks: set[asyncio.Task[None]] = set()
        self._paused = False
        self.stopped = False
        self.cursors: list[Cursor] = []

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
        """Start each partition that is ready; the low lane only when the other is at rest."""
        for cursor in self.cursors:
            if not cursor.busy and self._may_serve(cursor):
                cursor.busy = True
                task = asyncio.get_running_loop().create_task(self._serve(cursor))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _may_serve(self, cursor: Cursor) -> bool:
        if (
            self.stopped
            or self._paused
            or self._group.owner.get(cursor.partition.id) is not self
            or not self._ready(cursor)
        ):
            return False
        if cursor.partition.topic not in self._serving.low:
            return True
        return not any(
            other.busy or self._ready(other)
            for other in self.cursors
            if other.partition.topic not in self._serving.low
        )

    def _ready(self, cursor: Cursor) -> bool:
        return cursor.waiting is None and cursor.position < self._log.end(cursor.partition.id)

    async def _serve(self, cursor: Cursor) -> None:
        try:
            while self._may_serve(cursor) and await self._turn(cursor):
                pass
        finally:
            cursor.busy = False
            # Whoever owns the partition now goes on with it; our own low lane may be free to start.
            for member in {self, self._group.owner.get(cursor.partition.id, self)}:
                member.poke()

    async def _turn(self, cursor: Cursor) -> bool:
        """Hand over one batch; False when the partition has to wait before its next."""
        partition = cursor.partition
        end = self._log.end(partition.id)
        try:
            records = await self._log.fetch(partition, cursor.position, self._serving.batch)
            if not records:  # all that was left has outlived its retention
                cursor.position = end
                return True
            if not self._may_serve(cursor):  # paused, stopped or overtaken while reading
                return False
            await self._serving.handler(records)
        except Exception as error:  # noqa: BLE001 - whatever the handler raises means: not now
            self._hold(cursor, error)
            return False
        crash_point("bus-handled")
        cursor.position = records[-1].offset + 1
        cursor.failures = 0
        self._log.save_offset(self._group.name, partition.id, cursor.position)
        return True

    def _hold(self, cursor: Cursor, error: Exception) -> None:
        cursor.failures += 1
        delay = self._serving.backoff.seconds(cursor.failures)
        place = {"topic": cursor.partition.topic, "partition": cursor.partition.number}
        facts = {
            **place,
            "offset": cursor.position,
            "group": self._group.name,
            "error": describe(error),
            "delay_s": round(delay, 2),
        }
        _log.warning("a handler failed and is asked again", extra=facts)
        cursor.waiting = asyncio.get_running_loop().call_later(delay, self._release, cursor)

    def _release(self, cursor: Cursor) -> None:
        cursor.waiting = None
        owner = self._group.owner.get(cursor.partition.id)
        if owner is not None:
            owner.poke()
