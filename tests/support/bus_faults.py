"""A bus that misbehaves by a seed: what brokers, networks and stalled relays do to publishes and
deliveries."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from common.bus import PIECE, Bus, BusUnavailable, Consumption, Handler, Incoming, Outgoing


@dataclass(frozen=True)
class Faults:
    """Chances, 0 to 1, per message or call.

    `reorder` breaks the order per key, as a relay that stalled and woke does.
    """

    fail_before: float = 0.0  # publish raises BusUnavailable, nothing stored
    fail_after: float = 0.0  # publish raises BusUnavailable, everything stored
    fail_part: float = 0.0  # publish raises BusUnavailable, only some stored
    duplicate: float = 0.0  # a message is stored twice
    replay: float = 0.0  # a message of an earlier call is stored again
    reorder: float = 0.0  # a message changes places with the next
    delay: float = 0.0  # a call waits up to `delay_seconds` before it stores
    redeliver: float = 0.0  # a handled batch is handed over again at once
    handler_fails: float = 0.0  # a batch is handled and yet not committed
    delay_seconds: float = 0.05


EVERYTHING = Faults(0.03, 0.03, 0.03, 0.05, 0.02, 0.05, 0.1, 0.05, 0.05)


@dataclass
class Told:
    """How often each fault was played, for a test to show that it met them."""

    counts: dict[str, int] = field(default_factory=dict)

    def note(self, name: str) -> bool:
        """Count one; always true, so that it can stand in a condition."""
        self.counts[name] = self.counts.get(name, 0) + 1
        return True


class FaultyBus:
    """A Bus around a Bus. The same seed plays the same faults for the same calls in the same order.

    `calm` ends the faults, so that a test can wait for quiet and then compare.
    """

    def __init__(self, inner: Bus, seed: int, faults: Faults = EVERYTHING) -> None:
        self.seed = seed
        self.told = Told()
        self._inner = inner
        self._faults = faults
        self._random = random.Random(seed)
        self._past: list[Outgoing] = []

    def calm(self) -> None:
        """No faults from now on."""
        self._faults = Faults()

    async def start(self) -> None:
        """See Bus.start."""
        await self._inner.start()

    async def stop(self) -> None:
        """See Bus.stop."""
        await self._inner.stop()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """See Bus.publish, with faults."""
        faults = self._faults
        if self._strikes("delay", faults.delay):
            await asyncio.sleep(self._random.random() * faults.delay_seconds)
        if self._strikes("fail_before", faults.fail_before):
            raise BusUnavailable("fault: nothing was stored")
        sent = self._bent(messages)
        if len(sent) > 1 and self._strikes("fail_part", faults.fail_part):
            await self._inner.publish(sent[: self._random.randrange(1, len(sent))])
            raise BusUnavailable("fault: some were stored")
        await self._inner.publish(sent)
        self._past = [*self._past, *messages][-50:]
        if self._strikes("fail_after", faults.fail_after):
            raise BusUnavailable("fault: all were stored")

    async def consume(
        self,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        *,
        low_priority: Sequence[str] = (),
        max_batch: int = 64,
    ) -> Consumption:
        """See Bus.consume, with faults."""

        async def faulty(records: Sequence[Incoming]) -> None:
            await handler(records)
            if self._strikes("redeliver", self._faults.redeliver):
                await handler(records)
            if self._strikes("handler_fails", self._faults.handler_fails):
                raise BusUnavailable("fault: handled, not committed")

        return await self._inner.consume(
            group, topics, faulty, low_priority=low_priority, max_batch=max_batch
        )

    async def read(self, topic: str, *, limit: int | None = None) -> list[Incoming]:
        """See Bus.read."""
        return await self._inner.read(topic, limit=limit)

    def pieces(self, topic: str, *, at_most: int = PIECE) -> AsyncGenerator[list[Incoming], None]:
        """See Bus.pieces."""
        return self._inner.pieces(topic, at_most=at_most)

    async def used(self, topic: str) -> bool:
        """See Bus.used."""
        return await self._inner.used(topic)

    async def healthy(self) -> bool:
        """See Bus.healthy."""
        return await self._inner.healthy()

    def _bent(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        sent: list[Outgoing] = []
        for message in messages:
            if self._past and self._strikes("replay", self._faults.replay):
                sent.append(self._random.choice(self._past))
            sent.append(message)
            if self._strikes("duplicate", self._faults.duplicate):
                sent.append(message)
        for place in range(len(sent) - 1):
            if self._strikes("reorder", self._faults.reorder):
                sent[place], sent[place + 1] = sent[place + 1], sent[place]
        return sent

    def _strikes(self, name: str, chance: float) -> bool:
        # Drawn even at chance zero: turning one fault off leaves the others where they were, so a
        # failure can be shrunk.
        return self._random.random() < chance and self.told.note(name)
