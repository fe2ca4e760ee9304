"""The bus on Apache Kafka through aiokafka: idempotent producer, manual commits, every refusal of
the broker by name."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from common.bus import (
    MAX_MESSAGE_BYTES,
    PIECE,
    Backoff,
    Bus,
    BusError,
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
from common.bus_kafka_member import KafkaMember, incoming

_log = logging.getLogger(__name__)

_REQUEST_MS = 10_000
_PUBLISH_SECONDS = 30.0
_TOPIC_SECONDS = 3.0
_PROBE_SECONDS = 2.0
_READ_POLL_MS = 500
_READ_SECONDS = 15.0
_BATCH_BYTES = 131_072
_REFUSALS = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
)
_SESSION_MS = 6_000
"""How long a group waits for a member that was killed; a broker allows no less by itself."""


class KafkaBus(Bus):
    """A Bus for one principal.

    `user` is the SCRAM-SHA-512 name the broker's access list knows, and the group prefix.

    Without `tls` the connection is SASL_PLAINTEXT: for one machine only. Values are sealed
    envelopes, so they are not compressed: ciphertext does not shrink, and what shrinks tells
    something.
    """

    def __init__(
        self,
        bootstrap: str,
        user: str,
        password: str,
        *,
        tls: ssl.SSLContext | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._user = user
        self._backoff = backoff or Backoff()
        self._connection: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": user,
            "security_protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": password,
            "ssl_context": tls,
            "request_timeout_ms": _REQUEST_MS,
            "metadata_max_age_ms": 60_000,
        }
        self._producer: AIOKafkaProducer | None = None
        self._making = asyncio.Lock()
        self._running = False
        self._known: set[str] = set()
        self._members: set[KafkaMember] = set()
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """See Bus.start."""
        self._running = True
        try:
            await self._ready_producer()
        except BusError:
            self._running = False
            raise

    async def stop(self) -> None:
        """See Bus.stop."""
        self._running = False
        await asyncio.gather(*(member.stop() for member in self._members))
        self._members.clear()
        if self._producer is not None:
            self._retire(self._producer)
        if self._retiring:
            await asyncio.wait(set(self._retiring))

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """See Bus.publish: acks=all; nothing that was given up leaves the process later."""
        for message in messages:
            if message.size > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(f"{message.topic}: more than {MAX_MESSAGE_BYTES} bytes")
        producer = await self._ready_producer()
        for topic in {message.topic for message in messages} - self._known:
            await self._require(producer, topic)
        sending = asyncio.ensure_future(_send(producer, messages))
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                while not (await asyncio.wait({sending}, timeout=_PROBE_SECONDS))[0]:
                    if not await _answered(producer.client.fetch_all_metadata()):
                        raise TimeoutError
            sending.result()
        except (KafkaError, TimeoutError) as error:
            # An idempotent producer that lost a record has a hole in its sequence: only a new one
            # can go on. What it still holds must not leave later, unasked: it may be taken back.
            producer._sender.sender_task.cancel()
            producer._message_accumulator.fail_all(error)
            self._retire(producer)
            raise _translated(error, "publish") from None
        finally:
            sending.cancel()

    async def consume(
        self,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        *,
        low_priority: Sequence[str] = (),
        max_batch: int = 64,
    ) -> Consumption:
        """See Bus.consume; returns once this member has its partitions and may read them."""
        producer = await self._ready_producer()
        for topic in (*topics, *low_priority):
            await self._require(producer, topic)
        settings = {
            **self._connection,
            "group_id": group_name(self._user, group),
            "session_timeout_ms": _SESSION_MS,
        }
        member = KafkaMember(settings, topics, low_priority, handler, max_batch, self._backoff)
        self._members = {one for one in self._members if not one.stopped} | {member}
        try:
            await member.start()
        except BaseException as error:
            await member.stop()
            if isinstance(error, KafkaError):
                raise _translated(error, "consume") from None
            raise
        return member

    async def pieces(
        self, topic: str, *, at_most: int = PIECE
    ) -> AsyncGenerator[list[Incoming], None]:
        """See Bus.pieces."""
        await self._require(await self._ready_producer(), topic)
        try:
            async with self._reader(topic) as reader:
                for partition in sorted(reader.assignment()):
                    async for piece in _of_partition(reader, partition, at_most):
                        yield piece
        except (KafkaError, TimeoutError) as error:
            raise _translated(error, "read") from None

    async def used(self, topic: str) -> bool:
        """See Bus.used: the ends of partitions stay when their records go."""
        await self._require(await self._ready_producer(), topic)
        try:
            async with self._reader(topic) as reader, asyncio.timeout(_READ_SECONDS):
                return any((await reader.end_offsets(list(reader.assignment()))).values())
        except (KafkaError, TimeoutError) as error:
            raise _translated(error, "read") from None

    async def healthy(self) -> bool:
        """See Bus.healthy: asks the cluster for metadata, so a dead sender or connection shows.

        It asks a question of its own. Joining an update under way could count an answer from before
        the broker hung.
        """
        failed = any(member.failure and not member.stopped for member in self._members)
        if self._producer is None or failed:
            return False
        return await _answered(self._producer.client.fetch_all_metadata())

    async def _ready_producer(self) -> AIOKafkaProducer:
        if not self._running:
            raise BusUnavailable("the Kafka bus is not started")
        async with self._making:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    enable_idempotence=True,
                    acks="all",
                    max_batch_size=_BATCH_BYTES,
                    **self._connection,
                )
                try:
                    await producer.start()
                except (KafkaError, OSError) as error:
                    await producer.stop()
                    raise _translated(error, "connect") from None
                self._producer = producer
        return self._producer

    def _retire(self, producer: AIOKafkaProducer) -> None:
        """Let a producer flush and go, in the background; the next publish makes a new one."""
        if self._producer is producer:
            self._producer = None
            task = asyncio.get_running_loop().create_task(_close(producer))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _require(self, producer: AIOKafkaProducer, topic: str) -> None:
        """Raise unless the topic exists and this principal may at least see it."""
        if topic in self._known:
            return
        try:
            async with asyncio.timeout(_TOPIC_SECONDS):
                await producer.partitions_for(topic)
        except (UnknownTopicOrPartitionError, TimeoutError):
            # Slow is not unknown: only metadata fetched after the wait may say so.
            if not await _answered(producer.client.force_metadata_update()):
                raise BusUnavailable("Kafka does not answer for its topics") from None
            if topic in producer.client.cluster.unauthorized_topics:
                raise NotAllowed(f"Kafka refuses: {topic}") from None
            if producer.client.cluster.partitions_for_topic(topic) is None:
                raise TopicUnknown(f"no topic {topic}") from None
        except KafkaError as error:
            raise _translated(error, topic) from None
        self._known.add(topic)

    @contextlib.asynccontextmanager
    async def _reader(self, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
        reader = AIOKafkaConsumer(
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
            **self._connection,
        )
        try:
            await reader.start()
            numbers = await self._partitions(topic)
            reader.assign([TopicPartition(topic, number) for number in numbers])
            yield reader
        finally:
            await reader.stop()

    async def _partitions(self, topic: str) -> set[int]:
        numbers: set[int] = await (await self._ready_producer()).partitions_for(topic)
        return numbers


async def _send(producer: AIOKafkaProducer, messages: Sequence[Outgoing]) -> None:
    waiting: list[asyncio.Future[Any]] = []
    for message in messages:
        sent = await producer.send(
            message.topic, message.value, message.key, headers=list(message.headers)
        )
        sent.add_done_callback(_heard)
        waiting.append(sent)
    if waiting:
        # not gather: a cancelled caller must not cancel records that are on their way
        await asyncio.wait(waiting)
    for sent in waiting:
        sent.result()


def _heard(sent: "asyncio.Future[Any]") -> None:
    """Take note of a failure that a cancelled publish no longer waits for."""
    if not sent.cancelled():
        sent.exception()


async def _answered(question: Awaitable[Any]) -> bool:
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            return await question is not False
    except (KafkaError, TimeoutError, OSError):
        return False


async def _of_partition(
    reader: AIOKafkaConsumer, place: TopicPartition, at_most: int
) -> AsyncIterator[list[Incoming]]:
    """Read the partition's records up to the end it has now.

    The first is polled even if empty, to meet a refusal.
    """
    end = (await reader.end_offsets([place]))[place]
    await reader.seek_to_beginning(place)
    at = await reader.position(place)
    if at >= end and place.partition > 0:
        return
    until = asyncio.get_running_loop().time() + _READ_SECONDS
    while True:
        async with asyncio.timeout_at(until):
            # Never around the yield: whoever takes a piece may take its time
            polled = await reader.getmany(
                place, timeout_ms=_READ_POLL_MS if at < end else 100, max_records=at_most
            )
            at = await reader.position(place)
        if records := [incoming(record) for record in polled.get(place, ()) if record.offset < end]:
            yield records
            until = asyncio.get_running_loop().time() + _READ_SECONDS
        if at >= end:
            return


async def _close(producer: AIOKafkaProducer) -> None:
    # A sender that died would let stop() wait for ever for its records (aiokafka issue 1039).
    sender = producer._sender.sender_task
    with contextlib.suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(_PUBLISH_SECONDS):
            if sender.cancelling():  # given up; cancelled twice, it would end before all is closed
                await asyncio.wait({sender})
            await producer.stop()


def _translated(error: Exception, doing: str) -> BusError:
    """Translate a Kafka error into the port's, without its text, which could quote a message."""
    kind = type(error).__name__
    if isinstance(error, _REFUSALS):
        return NotAllowed(f"Kafka refuses: {doing} ({kind})")
    if isinstance(error, UnknownTopicOrPartitionError):
        return TopicUnknown(f"Kafka knows no such topic: {doing}")
    if isinstance(error, MessageSizeTooLargeError):
        return MessageTooLarge(f"Kafka takes no message of this size: {doing}")
    return BusUnavailable(f"Kafka cannot {doing}: {kind}")
