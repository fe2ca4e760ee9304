"""The event bus as the services see it: what may be published and consumed, and what every adapter
owes.

Two adapters keep these obligations, `standalone.bus` and `bus_kafka`; tests/contract runs one suite
over both.
"""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MAX_MESSAGE_BYTES = 1_000_000
"""Key, value and headers of one message together; a 256 KiB padded envelope is about 370 kB on the
bus.
"""

MAX_BATCH_BYTES = 4_000_000
"""A batch ends early rather than hold more than this; one message always fits."""


class BusError(Exception):
    """Anything the bus refuses or fails at.

    The text names topics and error classes, never content.
    """


class BusUnavailable(BusError):
    """The bus cannot say that it is done; some of the messages may be stored.

    Send them again, in the same order.
    """


class BusLocked(BusUnavailable):
    """Another process already serves this embedded bus."""


class TopicUnknown(BusError):
    """No such topic. Topics are never created by use."""


class NotAllowed(BusError):
    """The access list gives this principal no such right on the topic or group."""


class MessageTooLarge(BusError):
    """A message is larger than MAX_MESSAGE_BYTES; nothing of the call was stored."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish.

    `key` chooses the partition, and travels in clear: an opaque stream id, never a name.
    """

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of key, value and headers together."""
        return (
            len(self.key)
            + len(self.value)
            + sum(len(name) + len(data) for name, data in self.headers)
        )


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as read.

    (topic, partition, offset) names it for ever; `timestamp_ms` is when the bus took it, UTC.
    """

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition: int
    offset: int
    timestamp_ms: int


READ_CHUNK: Final = 500
PIECE: Final = 64
"""Records of one piece of `Bus.pieces`: of the largest messages about 20 MB."""

Handler = Callable[[Sequence[Incoming]], Awaitable[None]]
"""Takes records of one partition, in offset order.

Returning says that they may be committed. Raising commits nothing: the batch comes again after a
back-off that doubles, and no other partition waits for it. Runs for several partitions at once,
never twice at once for the same one.
"""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts at one batch: `first`, doubling up to `ceiling`."""

    first: float = 0.05
    ceiling: float = 30.0

    def seconds(self, failures: int) -> float:
        """Return the seconds to wait after that many failures in a row (1 or more)."""
        return min(self.ceiling, self.first * 2.0 ** min(failures - 1, 30))


class Consumption(Protocol):
    """One member of a consumer group at work."""

    async def stop(self) -> None:
        """Leave the group.

        When it returns no handler of this member runs and what was handled is committed.

        A handler that does not end within the adapter's grace is cancelled; its batch is delivered
        again later.
        """
        ...

    def pause(self) -> None:
        """Hand out no further batch until `resume`; a running handler ends by itself.

        Membership is kept.
        """
        ...

    def resume(self) -> None:
        """Take up again where `pause` left off."""
        ...

    async def lag(self) -> int:
        """Count the records in this member's partitions that no handler has finished yet.

        Raises NotAllowed or TopicUnknown if a right or topic went away while consuming.
        """
        ...


class Bus(Protocol):
    """Durable, partitioned topics with consumer groups.

    Obligations of every adapter:
    - Order: messages with one key are read in the order in which publish calls stored them. One key
      is always in the partition that every Kafka client gives it (Java `Utils.murmur2`).
    - Durability: what `publish` returned for survives SIGKILL of any process. It survives the loss
      of a machine where the disk and the replicas keep their word.
    - At least once: after a crash or a failed handler a group reads again everything it had not
      committed. Consumers must recognise repeats.
    - Groups: each group sees every record; members of one group share its partitions.
    - A new group starts at the oldest record still kept.
    - Bounded memory: a slow handler holds back reading, it does not fill buffers.
    - Rights: a principal without the right gets NotAllowed, also for topics that do not exist.
    """

    async def start(self) -> None:
        """Make ready to publish. Raises BusUnavailable."""
        ...

    async def stop(self) -> None:
        """Stop every consumption, flush, release everything. Safe to call twice."""
        ...

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Store all messages durably, in the order given for each key; returns when all are stored.

        Raises TopicUnknown, NotAllowed, MessageTooLarge, BusUnavailable. A cancelled call, or one
        that raised BusUnavailable, may still have stored any of them.
        """
        ...

    async def consume(
        self,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        *,
        low_priority: Sequence[str] = (),
        max_batch: int = 64,
    ) -> Consumption:
        """Join `group` and hand its records to `handler`, at most `max_batch` at a time.

        `low_priority` topics get a batch only while no record of `topics` waits or is handled here.
        One that sits out a back-off does not hold them. Group names are private to the principal.

        Raises TopicUnknown, NotAllowed, BusUnavailable.
        """
        ...

    async def read(self, topic: str, *, limit: int | None = None) -> list[Incoming]:
        """Read the records stored now, from the oldest, outside any group.

        Partition by partition; holds them all, or the first `limit`, in memory.
        """
        found: list[Incoming] = []
        async with contextlib.aclosing(self.pieces(topic, at_most=READ_CHUNK)) as pieces:
            async for piece in pieces:
                found += piece
                if limit is not None and len(found) >= limit:
                    return found[:limit]
        return found

    def pieces(self, topic: str, *, at_most: int = PIECE) -> AsyncGenerator[list[Incoming], None]:
        """Read the same records a few at a time. Close it when you have enough."""
        ...

    async def used(self, topic: str) -> bool:
        """Tell whether anything was ever stored there, kept or not; for who may write or read it.

        Raises TopicUnknown, NotAllowed, BusUnavailable.
        """
        ...

    async def healthy(self) -> bool:
        """Tell whether the bus answers now and no consumption has failed for good.

        Never raises; takes at most 2 seconds.
        """
        ...


def group_name(principal: str, group: str) -> str:
    """Return the full name of a principal's group, with the prefix that the access list grants."""
    return group if group.startswith(principal + ".") else f"{principal}.{group}"
