"""The peer: a bare chain of four hops, each a consumer that re-produces and commits, with no hub in
it."""

import asyncio
import os
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from common.bus import Incoming, Outgoing
from common.topics import TopicSpec
from deploy.stack.kafka import KafkaBroker
from deploy.stack.provision import Topic
from standalone.bus import EmbeddedBus

HOPS: Final = 4
TOPICS: Final = tuple(f"bench.chain.{hop}" for hop in range(HOPS))
_HEAD: Final = struct.Struct(">I")
PATIENCE_S: Final = 60.0


class Chain(ABC):
    """Four hops.

    `fly` sends on a schedule and gives the seconds from the intended start to the last consumer.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._bodies = [os.urandom(size) for size in sizes]
        self._due: list[float] = []
        self._took: dict[int, float] = {}
        self._done = asyncio.Event()

    async def fly(self, rate: float, count: int) -> list[float]:
        """One round."""
        self._took, self._done = {}, asyncio.Event()
        began = time.perf_counter() + 0.05
        self._due = [began + number / rate for number in range(count)]
        await asyncio.gather(*(self._begin(number) for number in range(count)))
        async with asyncio.timeout(PATIENCE_S):
            await self._done.wait()
        return list(self._took.values())

    async def _begin(self, number: int) -> None:
        await asyncio.sleep(max(0.0, self._due[number] - time.perf_counter()))
        await self.publish(0, [_HEAD.pack(number)])

    def body(self, hop: int, head: bytes) -> bytes:
        """What a hop sends on: as many bytes as the hub's message at that place."""
        return head + self._bodies[hop][_HEAD.size :]

    async def passed(self, hop: int, values: Sequence[bytes]) -> None:
        """One batch arrived at the end of a hop: send it on, or note its time at the last one."""
        if hop + 1 < HOPS:
            await self.publish(hop + 1, [value[: _HEAD.size] for value in values])
            return
        now = time.perf_counter()
        for value in values:
            number = _HEAD.unpack(value[: _HEAD.size])[0]
            self._took.setdefault(number, now - self._due[number])
        if len(self._took) == len(self._due):
            self._done.set()

    @abstractmethod
    async def start(self) -> None:
        """Begin to consume."""

    @abstractmethod
    async def stop(self) -> None:
        """Leave the bus."""

    @abstractmethod
    async def publish(self, hop: int, heads: Sequence[bytes]) -> None:
        """Durably, on the hop's topic."""


class KafkaChain(Chain):
    """On the hub's own broker, as its superuser: aiokafka as it comes, acks=all, idempotent, one
    commit per batch.
    """

    def __init__(self, broker: KafkaBroker, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        broker.provision(topics=[Topic(name) for name in TOPICS])
        self._access: dict[str, Any] = {
            "bootstrap_servers": broker.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": broker.superuser,
            "sasl_plain_password": broker.password,
        }
        self._producers: list[Any] = []
        self._consumers: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """One producer and one consumer per hop, as separate services would have."""
        for hop, topic in enumerate(TOPICS):
            producer = AIOKafkaProducer(acks="all", enable_idempotence=True, **self._access)
            consumer = AIOKafkaConsumer(
                topic,
                group_id=f"bench-{hop}",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                **self._access,
            )
            await producer.start()
            await consumer.start()
            self._producers.append(producer)
            self._consumers.append(consumer)
            self._tasks.append(asyncio.create_task(self._pass_on(hop, consumer)))

    async def stop(self) -> None:
        """Leave the broker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for part in (*self._consumers, *self._producers):
            await part.stop()

    async def publish(self, hop: int, heads: Sequence[bytes]) -> None:
        """Send the batch and await it together."""
        producer = self._producers[hop]
        sent = [await producer.send(TOPICS[hop], self.body(hop, head), key=head) for head in heads]
        await asyncio.gather(*sent)

    async def _pass_on(self, hop: int, consumer: Any) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                await self.passed(hop, [record.value for record in records])
                await consumer.commit()


class EmbeddedChain(Chain):
    """On the embedded bus: the hub's own bus, for want of a foreign one with its promises, with
    nothing of the hub on it.
    """

    def __init__(self, folder: Path, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        self._bus = EmbeddedBus(
            folder / "chain.db", [TopicSpec(name, 1, 24, ("bench",), ("bench",)) for name in TOPICS]
        )

    async def start(self) -> None:
        """One consumer per hop."""
        await self._bus.start()
        for hop, topic in enumerate(TOPICS):
            await self._bus.door("bench").consume(f"bench.{hop}", [topic], self._handler(hop))

    async def stop(self) -> None:
        """End."""
        await self._bus.stop()

    async def publish(self, hop: int, heads: Sequence[bytes]) -> None:
        """One durable publish."""
        await self._bus.door("bench").publish(
            [Outgoing(TOPICS[hop], head, self.body(hop, head)) for head in heads]
        )

    def _handler(self, hop: int) -> Any:
        async def handle(records: Sequence[Incoming]) -> None:
            await self.passed(hop, [record.value for record in records])

        return handle
