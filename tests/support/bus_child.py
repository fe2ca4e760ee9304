"""A process that publishes to or consumes from a harness's bus until it is killed: `publish TOPIC` or
`consume GROUP TOPIC`."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from common.bus import Bus, Incoming, Outgoing
from common.bus_kafka import KafkaBus
from common.topics import TopicSpec
from standalone.bus import EmbeddedBus


async def _open() -> Bus:
    environment = os.environ
    if "BUS_FILE" not in environment:
        kafka = KafkaBus(
            environment["BUS_KAFKA"], environment["BUS_USER"], environment["BUS_PASSWORD"]
        )
        await kafka.start()
        return kafka
    specs = [TopicSpec(**spec) for spec in json.loads(environment["BUS_SPECS"])]
    embedded = EmbeddedBus(Path(environment["BUS_FILE"]), specs)
    await embedded.start()
    return _door(embedded, specs)


def _door(embedded: EmbeddedBus, specs: Sequence[TopicSpec]) -> Bus:
    # From JSON the principals are lists; `in` reads them the same.
    assert specs
    return embedded.door(os.environ["BUS_USER"])


async def _publish(bus: Bus, topic: str) -> None:
    for first in range(0, 1_000_000, 3):
        await bus.publish(
            [Outgoing(topic, b"stream", b"%d" % number) for number in range(first, first + 3)]
        )
        sys.stdout.write(f"{first + 2}\n")
        sys.stdout.flush()


async def _consume(bus: Bus, group: str, topic: str) -> None:
    async def handle(records: Sequence[Incoming]) -> None:
        sys.stdout.write("".join(f"{record.value.decode()}\n" for record in records))
        sys.stdout.flush()

    await bus.consume(group, [topic], handle, max_batch=5)
    await asyncio.Event().wait()


async def _main() -> None:
    bus = await _open()
    if sys.argv[1] == "publish":
        await _publish(bus, sys.argv[2])
    else:
        await _consume(bus, sys.argv[2], sys.argv[3])


if __name__ == "__main__":
    asyncio.run(_main())
