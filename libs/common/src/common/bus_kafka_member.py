"""One member of a Kafka consumer group: polls, hands batches out partition by partition, commits,
survives rebalances."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import ConsumerRecord

from common.bus import Backoff, Handler, Incoming, NotAllowed, TopicUnknown
from common.faults import crash_point
from common.telemetry import describe

_log = logging.getLogger(__name__)

_SETTINGS: Mapping[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "isolation_level": "read_committed",
    # Range, and sticky on a first deal, give all the one-partition topics to the same member; eager
    # rebalances revoke everything anyway.
    "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
    "heartbeat_interval_ms": 1_500,
    "max_poll_interval_ms": 300_000,
    "fetch_max_wait_ms": 250,
    "fetch_max_bytes": 8 * 1_048_576,
    "max_partition_fetch_bytes": 1_048_576,
}
_NOWHERE = TopicPartition("", 0)
_FATAL = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
_JOIN_SECONDS = 30.0
_STOP_GRACE = 10.0
_REVOKE_GRACE = 8.0
_COMMIT_SECONDS = 5.0
_POLL_MS = 1_000
_LANE_POLL_MS = 100


def incoming(record: "ConsumerRecord[bytes | None, bytes | None]") -> Incoming:
    """Translate a Kafka record into the port's words; a missing key or value is empty."""
    return Incoming(
        record.topic,
        record.key or b"",
        record.value or b"",
        tuple(record.headers),
        record.partition,
        record.offset,
        record.timestamp,
    )


class KafkaMember(ConsumerRebalanceListener):  # type: ignore[misc]
    """A Consumption on Kafka.

    One batch per partition is out at a time; partitions do not wait for each other.

    The poll asks only for partitions that are free, and is interrupted when another one becomes
    free. A failed batch is fetched again after its back-off. Handled offsets are committed behind
    the handlers' back, all partitions in one request.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        topics: Sequence[str],
        low_priority: Sequence[str],
        handler: Handler,
        max_batch: int,
        backoff: Backoff,
    ) -> None:
        self._settings = settings
        self._topics = list(dict.fromkeys((*topics, *low_priority)))
        self._low = frozenset(low_priority) - frozenset(topics)
        self._handler = handler
        self._max_batch = max_batch
        self._backoff = backoff
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._generation = 0
        self._busy: dict[TopicPartition, tuple[asyncio.Task[None], int]] = {}
        self._held: dict[TopicPartition, asyncio.TimerHandle] = {}
        self._failures: dict[TopicPartition, int] = {}
        self._handled: dict[TopicPartition, int] = {}
        self._commit_wanted = asyncio.Event()
        self._committing = asyncio.Lock()
        self._wake: asyncio.Future[None] | None = None
        self._joined = asyncio.Event()
        self._paused = False
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._first_poll: asyncio.Future[None] | None = None
        self.failure: Exception | None = None

    async def start(self) -> None:
        """Join the group; returns after the first poll.

        Raises the KafkaError that stood in the way, or TimeoutError.
        """
        loop = asyncio.get_running_loop()
        self._first_poll = loop.create_future()
        self._tasks = [loop.create_task(self._run()), loop.create_task(self._commit_behind())]
        done, _ = await asyncio.wait([self._first_poll], timeout=_JOIN_SECONDS)
        if not done:
            raise KafkaConnectionError("the group did not settle in time")
        self._first_poll.result()

    async def stop(self) -> None:
        """See Consumption.stop. The grace for running handlers is ten seconds."""
        self._stopping = True
        self._poke()
        for timer in self._held.values():
            timer.cancel()
        await self._finish(_STOP_GRACE, cancel=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._close_consumer()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    def pause(self) -> None:
        """See Consumption.pause."""
        self._paused = True
        self._poke()

    def resume(self) -> None:
        """See Consumption.resume."""
        self._paused = False
        self._poke()

    async def lag(self) -> int:
        """See Consumption.lag."""
        if isinstance(self.failure, UnknownTopicOrPartitionError):
            raise TopicUnknown("a consumed topic is gone")
        if self.failure is not None:
            raise NotAllowed("a right to consume was taken away")
        consumer, mine = self._consumer, self._assigned
        if consumer is None or not mine:
            return 0
        ends = await consumer.end_offsets(list(mine))
        total = 0
        for place in mine & self._assigned:
            done = self._busy[place][1] if place in self._busy else await consumer.position(place)
            total += max(0, ends[place] - done)
        return total

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let running handlers end and commit, so that the next owner repeats nothing."""
        del revoked  # all are given up
        self._assigned = frozenset()
        self._poke()
        await self._finish(_REVOKE_GRACE)
        # From here on a handler that is still running belongs to nobody: its batch will be read
        # again by the new owner.
        self._generation += 1
        for timer in self._held.values():
            timer.cancel()
        self._held.clear()
        self._failures.clear()
        self._handled.clear()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Take over these partitions after a rebalance, from what the group has committed."""
        self._assigned = frozenset(assigned)
        self._joined.set()
        self._poke()

    async def _run(self) -> None:
        """Poll until stopped; after trouble the client cannot mend, go on with a new one."""
        troubles = 0
        while not self._stopping:
            try:
                await self._open_consumer()
                while not self._stopping:
                    await self._poll_once()
                    troubles = 0
                    self._report(None)
            except _FATAL as error:
                self.failure = error
                _log.error("consumption ended", extra=self._facts(error))
                self._report(error)
                return
            except (KafkaError, OSError) as error:
                troubles += 1
                _log.warning("consumption interrupted", extra=self._facts(error))
                await self._close_consumer()
                await asyncio.sleep(self._backoff.seconds(troubles))

    def _facts(self, error: BaseException) -> dict[str, str]:
        return {"group": self._settings["group_id"], "error": describe(error)}

    def _report(self, error: Exception | None) -> None:
        if self._first_poll is not None and not self._first_poll.done():
            if error is None:
                self._first_poll.set_result(None)
            else:
                self._first_poll.set_exception(error)

    async def _open_consumer(self) -> None:
        self._joined.clear()
        self._consumer = AIOKafkaConsumer(**_SETTINGS, **self._settings)
        await self._consumer.start()
        self._consumer.subscribe(self._topics, listener=self)
        async with asyncio.timeout(_JOIN_SECONDS):
            await self._consumer.getmany(
                _NOWHERE, timeout_ms=0
            )  # waits for the deal, or raises the coordinator's refusal
            await self._joined.wait()

    async def _close_consumer(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._assigned = frozenset()
        self._generation += 1
        self._handled.clear()
        if consumer is not None:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(_STOP_GRACE):
                    await consumer.stop()

    async def _poll_once(self) -> None:
        consumer = self._consumer
        assert consumer is not None  # noqa: S101 - the loop that calls this opened it
        self._wake = asyncio.get_running_loop().create_future()
        wanted, lane_waits = await self._wanted(consumer)
        # With nothing to ask for, asking for nothing keeps the membership alive.
        poll = asyncio.ensure_future(
            consumer.getmany(
                *(wanted or [_NOWHERE]),
                timeout_ms=_LANE_POLL_MS if lane_waits else _POLL_MS,
                max_records=self._max_batch,
            )
        )
        try:
            await asyncio.wait({poll, self._wake}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # loses nothing: records leave the client's buffer only in the step that returns them
            poll.cancel()
            await asyncio.wait({poll})
        if not poll.cancelled():
            await self._hand_out(consumer, poll.result())

    async def _wanted(self, consumer: AIOKafkaConsumer) -> tuple[list[TopicPartition], bool]:
        """Choose the partitions to ask for; tell whether the low lane waits for the normal one."""
        if self._paused:
            return [], False
        free = [
            place for place in self._assigned if place not in self._busy and place not in self._held
        ]
        low = [place for place in free if place.topic in self._low]
        # The very first poll asks for everything, so that a refusal shows at once.
        if not low or not self._first_polled() or not await self._normal_waits(consumer):
            return free, False
        return [place for place in free if place.topic not in self._low], True

    def _first_polled(self) -> bool:
        return self._first_poll is not None and self._first_poll.done()

    async def _normal_waits(self, consumer: AIOKafkaConsumer) -> bool:
        """Tell whether a normal record of ours waits or is handled; unknown counts as yes."""
        for place in self._assigned:
            if place.topic in self._low or place in self._held:
                continue
            if place in self._busy:
                return True
            newest = consumer.highwater(place)
            if newest is None or await consumer.position(place) < newest:
                return True
        return False

    async def _hand_out(
        self, consumer: AIOKafkaConsumer, polled: Mapping[TopicPartition, Sequence[Any]]
    ) -> None:
        loop = asyncio.get_running_loop()
        for place in sorted(polled, key=lambda place: place.topic in self._low):
            records = [incoming(record) for record in polled[place]]
            lane_waits = place.topic in self._low and await self._normal_waits(consumer)
            if place not in self._assigned:
                continue  # revoked meanwhile: the next owner starts from the committed offset
            if lane_waits or self._paused or self._stopping:
                self._go_back(place, records[0].offset)
                continue
            task = loop.create_task(self._serve(place, records, self._generation))
            self._busy[place] = (task, records[0].offset)

    async def _serve(
        self, place: TopicPartition, records: Sequence[Incoming], generation: int
    ) -> None:
        try:
            await self._handler(records)
            crash_point("bus-handled")
            if generation == self._generation:
                self._failures.pop(place, None)
                self._handled[place] = records[-1].offset + 1
                self._commit_wanted.set()
        except Exception as error:  # noqa: BLE001 - whatever the handler raises means: not now
            if generation == self._generation:
                self._hold(place, records[0].offset, error)
        finally:
            self._busy.pop(place, None)
            self._poke()

    def _hold(self, place: TopicPartition, offset: int, error: Exception) -> None:
        failures = self._failures[place] = self._failures.get(place, 0) + 1
        delay = self._backoff.seconds(failures)
        where = {
            "topic": place.topic,
            "partition": place.partition,
            "offset": offset,
            "delay_s": round(delay, 2),
        }
        _log.warning("a handler failed and is asked again", extra={**self._facts(error), **where})
        self._go_back(place, offset)
        self._held[place] = asyncio.get_running_loop().call_later(delay, self._release, place)

    def _release(self, place: TopicPartition) -> None:
        self._held.pop(place, None)
        self._poke()

    def _go_back(self, place: TopicPartition, offset: int) -> None:
        if self._consumer is not None:
            with contextlib.suppress(IllegalStateError):  # no longer ours: nothing to go back to
                self._consumer.seek(place, offset)

    def _poke(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _finish(self, grace: float, *, cancel: bool = False) -> None:
        """Wait for running handlers and commit what they did; cancel late ones on `cancel`."""
        running = {task for task, _ in self._busy.values()}
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            if late and cancel:
                for task in late:
                    task.cancel()
                await asyncio.wait(late)
        await self._commit()

    async def _commit_behind(self) -> None:
        while True:
            await self._commit_wanted.wait()
            self._commit_wanted.clear()
            await self._commit()

    async def _commit(self) -> None:
        """Commit all handled offsets.

        Failing is no loss: the records are read again after the next rebalance or restart.
        """
        async with self._committing:
            offsets, self._handled = self._handled, {}
            if not offsets or self._consumer is None:
                return
            try:
                async with asyncio.timeout(_COMMIT_SECONDS):
                    await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError):
                _log.info(
                    "a commit came too late: the partitions have another owner",
                    extra={"group": self._settings["group_id"]},
                )
            except (KafkaError, TimeoutError) as error:
                _log.warning("commit failed", extra=self._facts(error))
                self._handled = {**offsets, **self._handled}
