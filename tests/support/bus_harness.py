"""One bus to test, embedded or Kafka, with topics and principals of its own; also rebuilt in a
child process to be killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest
import pytest_asyncio

from common.bus import Backoff, Bus, Incoming, NotAllowed, Outgoing
from common.bus_kafka import KafkaBus
from common.topics import TopicSpec
from deploy.stack.access_list import acls
from deploy.stack.kafka import KafkaBroker
from deploy.stack.provision import Acl, Kind, Topic
from standalone.bus import EmbeddedBus

BACKOFF = Backoff(first=0.1, ceiling=0.4)
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Names:
    """A test's own topics and principals.

    The writer reads nothing, the worker does not read `closed`; readers write `single`.

    Every principal may write something, as in the hub: without that Kafka gives it no idempotent
    producer.
    """

    prefix: str

    @property
    def main(self) -> str:
        """Six partitions."""
        return f"{self.prefix}.main.v1"

    @property
    def single(self) -> str:
        """One partition."""
        return f"{self.prefix}.single.v1"

    @property
    def bulk(self) -> str:
        """One partition, for the low-priority lane."""
        return f"{self.prefix}.bulk.v1"

    @property
    def closed(self) -> str:
        """Only the writer writes it and only the other reads it."""
        return f"{self.prefix}.closed.v1"

    @property
    def writer(self) -> str:
        """Writes every topic."""
        return f"{self.prefix}-writer"

    @property
    def worker(self) -> str:
        """Reads main, single and bulk."""
        return f"{self.prefix}-worker"

    @property
    def other(self) -> str:
        """Reads every topic."""
        return f"{self.prefix}-other"

    def specs(self) -> tuple[TopicSpec, ...]:
        """The topics as the hub would declare them."""
        readers = (self.worker, self.other)
        return (
            TopicSpec(self.main, 6, 24, (self.writer,), readers),
            TopicSpec(self.single, 1, 24, (self.writer, self.worker, self.other), readers),
            TopicSpec(self.bulk, 1, 24, (self.writer,), readers),
            TopicSpec(self.closed, 1, 24, (self.writer,), (self.other,)),
        )


class BusHarness(Protocol):
    """What a contract test needs from either bus."""

    names: Names

    async def connect(self, principal: str) -> Bus:
        """A started bus with one principal's rights; stopped with the harness."""
        ...

    async def release(self) -> None:
        """Stop everything this process has open, so that a child may have it."""
        ...

    def child(self, principal: str) -> dict[str, str]:
        """Environment from which `bus_child` opens the same bus."""
        ...


class EmbeddedHarness:
    """A bus file in a folder; every connection is a door on it."""

    def __init__(self, folder: Path) -> None:
        self.names = Names(f"t{uuid4().hex[:10]}")
        self.path = folder / "bus.db"
        self._bus: EmbeddedBus | None = None

    async def connect(self, principal: str) -> Bus:
        """See BusHarness."""
        if self._bus is None:
            self._bus = EmbeddedBus(self.path, self.names.specs(), backoff=BACKOFF)
            await self._bus.start()
        return self._bus.door(principal)

    async def release(self) -> None:
        """See BusHarness."""
        if self._bus is not None:
            await self._bus.stop()
        self._bus = None

    def child(self, principal: str) -> dict[str, str]:
        """See BusHarness."""
        return {
            "BUS_FILE": str(self.path),
            "BUS_SPECS": json.dumps([asdict(spec) for spec in self.names.specs()]),
            "BUS_USER": principal,
        }


class KafkaHarness:
    """Topics, users and ACLs on the run's broker."""

    def __init__(self, broker: KafkaBroker) -> None:
        self.names = Names(f"t{uuid4().hex[:10]}")
        self._broker = broker
        self._open: list[KafkaBus] = []
        specs = self.names.specs()
        rules = [
            Acl(
                row.principal,
                _KINDS[row.kind],
                row.resource,
                row.operation,
                row.pattern == "prefixed",
            )
            for row in acls(specs)
        ]
        topics = [Topic(spec.name, spec.partitions, spec.retention_hours) for spec in specs]
        broker.provision(topics, [self.names.writer, self.names.worker, self.names.other], rules)

    async def connect(self, principal: str) -> Bus:
        """See BusHarness."""
        bus = KafkaBus(
            self._broker.bootstrap, principal, self._broker.password_of(principal), backoff=BACKOFF
        )
        await _started(bus)
        self._open.append(bus)
        return bus

    async def release(self) -> None:
        """See BusHarness."""
        await asyncio.gather(*(bus.stop() for bus in self._open))
        self._open.clear()

    def child(self, principal: str) -> dict[str, str]:
        """See BusHarness."""
        return {
            "BUS_KAFKA": self._broker.bootstrap,
            "BUS_USER": principal,
            "BUS_PASSWORD": self._broker.password_of(principal),
        }


_KINDS: dict[str, Kind] = {"topic": "TOPIC", "group": "GROUP"}


async def _started(bus: KafkaBus) -> None:
    """Start, waiting for users and ACLs just made to reach the broker."""
    for attempt in range(50):
        try:
            await bus.start()
            break
        except NotAllowed:
            if attempt == 49:
                raise
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.stack)])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusHarness]:
    """The bus under test, twice: embedded and Kafka."""
    made: BusHarness = (
        EmbeddedHarness(tmp_path)
        if request.param == "embedded"
        else KafkaHarness(request.getfixturevalue("kafka_broker"))
    )
    yield made
    await made.release()


class Recorder:
    """A handler that notes what it got, batch by batch, and checks that no partition is handled
    twice at once.
    """

    def __init__(
        self, act: Callable[[Sequence[Incoming]], None] | None = None, *, seconds: float = 0.0
    ) -> None:
        self.batches: list[list[Incoming]] = []
        self.overlaps = 0
        self.running = 0
        self._act = act
        self._seconds = seconds
        self._inside: set[tuple[str, int]] = set()

    @property
    def records(self) -> list[Incoming]:
        """Everything handled, in the order of handling."""
        return [record for batch in self.batches for record in batch]

    async def __call__(self, records: Sequence[Incoming]) -> None:
        """The handler."""
        place = (records[0].topic, records[0].partition)
        self.overlaps += place in self._inside
        self._inside.add(place)
        self.running += 1
        try:
            await asyncio.sleep(self._seconds)
            if self._act is not None:
                self._act(records)
            self.batches.append(list(records))
        finally:
            self.running -= 1
            self._inside.discard(place)


def message(topic: str, key: str, number: int, size: int = 0) -> Outgoing:
    """A message whose value is its number, padded to `size` bytes."""
    return Outgoing(
        topic,
        key.encode(),
        b"%d" % number + b" " * max(0, size - len(str(number))),
        (("ce_id", b"%d" % number),),
    )


def number(record: Incoming) -> int:
    """What `message` was given."""
    return int(record.value)


async def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        # Any condition, of any code: nobody sets an event for a test
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Child:
    """A process working on the harness's bus, which prints one line per thing done."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    @classmethod
    async def start(
        cls, harness: BusHarness, principal: str, *job: str, crash_at: str = ""
    ) -> "Child":
        """Run `tests.support.bus_child` with `job`; `crash_at` names the crash point it dies at."""
        environment = {
            **os.environ,
            **harness.child(principal),
            "HUB_TEST_BUILD": "1",
            "HUB_CRASH_AT": crash_at,
        }
        command = [sys.executable, "-m", "tests.support.bus_child", *job]
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
        )
        return cls(process)

    async def read_lines(self, count: int) -> None:
        """Wait until it has printed that many lines, or has ended."""
        assert self._process.stdout is not None
        while len(self.lines) < count and (line := await self._process.stdout.readline()):
            self.lines.append(line.decode().strip())

    async def kill(self) -> None:
        """SIGKILL, then note what it had still printed."""
        self._process.send_signal(signal.SIGKILL)
        await self.died()

    async def died(self) -> None:
        """Wait for its end, which must be a SIGKILL, its own or ours."""
        await self.read_lines(sys.maxsize)
        assert await self._process.wait() == -signal.SIGKILL
