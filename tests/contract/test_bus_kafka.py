"""What only Kafka can do to a service: die, hang, rebalance under a slow handler, take a right
away."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from common.bus import Bus, BusError, BusUnavailable, Incoming
from common.bus_kafka import KafkaBus
from deploy.stack.kafka import KafkaBroker
from tests.support.bus_harness import KafkaHarness, Recorder, message, number, until

pytestmark = pytest.mark.stack


@pytest_asyncio.fixture
async def own_harness(own_kafka_broker: KafkaBroker) -> AsyncIterator[KafkaHarness]:
    """A harness on a broker that the test may kill."""
    harness = KafkaHarness(own_kafka_broker)
    yield harness
    await harness.release()


@pytest_asyncio.fixture
async def shared_harness(kafka_broker: KafkaBroker) -> AsyncIterator[KafkaHarness]:
    """A harness on the run's broker."""
    harness = KafkaHarness(kafka_broker)
    yield harness
    await harness.release()


async def _publish_until_taken(bus: Bus, topic: str, count: int) -> int:
    """Publish 0 to count-1 one by one as an outbox does, again and again until each is taken; says
    how often one was not.
    """
    refused = 0
    for n in range(count):
        while True:
            try:
                await bus.publish([message(topic, "k", n)])
                break
            except BusUnavailable:
                refused += 1
                await asyncio.sleep(0.2)
        await asyncio.sleep(0.01)
    return refused


async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed_and_comes_back(
    own_harness: KafkaHarness, own_kafka_broker: KafkaBroker
) -> None:
    names = own_harness.names
    writer, worker = (
        await own_harness.connect(names.writer),
        await own_harness.connect(names.worker),
    )
    seen = Recorder()
    await worker.consume("through", [names.single], seen)
    publishing = asyncio.ensure_future(_publish_until_taken(writer, names.single, 200))
    for after in (40, 110):
        await until(lambda after=after: len(seen.records) >= after, 120)  # type: ignore[misc]
        own_kafka_broker.kill()
        assert not await writer.healthy()
        await asyncio.to_thread(own_kafka_broker.start)
    await publishing
    await until(lambda: {number(record) for record in seen.records} == set(range(200)), 120)
    stored = [number(record) for record in await worker.read(names.single)]
    assert set(stored) == set(range(200))
    assert list(dict.fromkeys(stored)) == list(
        range(200)
    )  # a repeat may stand late; the first of each is in order
    assert await writer.healthy()
    assert await worker.healthy()


async def test_a_hanging_broker_is_unhealthy_and_publishing_goes_on_when_it_answers_again(
    own_harness: KafkaHarness, own_kafka_broker: KafkaBroker
) -> None:
    names = own_harness.names
    writer, worker = (
        await own_harness.connect(names.writer),
        await own_harness.connect(names.worker),
    )
    seen = Recorder()
    await worker.consume("hang", [names.single], seen)
    await writer.publish([message(names.single, "k", 0)])
    own_kafka_broker.pause()
    try:
        assert not await writer.healthy()
        waiting = asyncio.ensure_future(_publish_until_taken(writer, names.single, 1))
        await asyncio.sleep(1)
        assert not waiting.done()
    finally:
        own_kafka_broker.resume()
    await waiting
    await until(lambda: len(seen.records) >= 2, 60)
    async with asyncio.timeout(30):  # the controller has to let the broker in again
        while not await writer.healthy():  # noqa: ASYNC110 - the broker sets no event
            await asyncio.sleep(0.2)


async def test_what_was_given_up_does_not_leave_when_the_broker_is_back(
    own_harness: KafkaHarness, own_kafka_broker: KafkaBroker
) -> None:
    """Whoever would publish it again may have learnt meanwhile that it must not leave."""
    names = own_harness.names
    writer = await own_harness.connect(names.writer)
    await writer.publish([message(names.single, "k", 0)])
    own_kafka_broker.kill()
    with pytest.raises(BusUnavailable):
        await writer.publish([message(names.single, "k", 1)])
    await asyncio.to_thread(own_kafka_broker.start)
    await writer.publish([message(names.single, "k", 2)])
    await writer.stop()  # nothing of an earlier attempt is under way after that
    worker = await own_harness.connect(names.worker)
    assert [number(record) for record in await worker.read(names.single)] == [0, 2]


async def test_start_and_stop_without_a_broker(own_kafka_broker: KafkaBroker) -> None:
    own_kafka_broker.stop()
    bus = KafkaBus(own_kafka_broker.bootstrap, "broker", own_kafka_broker.password)
    with pytest.raises(BusUnavailable):
        await bus.start()
    assert not await bus.healthy()
    with pytest.raises(BusUnavailable):
        await bus.publish([message("t", "k", 1)])
    await bus.stop()


async def test_a_wrong_password_does_not_start(kafka_broker: KafkaBroker) -> None:
    bus = KafkaBus(kafka_broker.bootstrap, "broker", "wrong")
    with pytest.raises(BusError):
        await bus.start()
    await bus.stop()


async def test_a_member_killed_off_by_a_rebalance_hands_over_without_loss_or_overlap(
    shared_harness: KafkaHarness,
) -> None:
    """Members come and go while handlers are slow: every record is handled, and no partition by two
    at once.
    """
    names = shared_harness.names
    writer = await shared_harness.connect(names.writer)
    inside: set[int] = set()
    overlaps: list[int] = []
    handled: list[int] = []

    async def slow(records: Sequence[Incoming]) -> None:
        place = records[0].partition
        if place in inside:
            overlaps.append(place)
        inside.add(place)
        await asyncio.sleep(0.2)
        inside.discard(place)
        handled.extend(number(record) for record in records)

    await writer.publish([message(names.main, f"k{n}", n) for n in range(400)])
    stayer = await (await shared_harness.connect(names.worker)).consume(
        "churn", [names.main], slow, max_batch=5
    )
    for _ in range(3):
        passing = await (await shared_harness.connect(names.worker)).consume(
            "churn", [names.main], slow, max_batch=5
        )
        await asyncio.sleep(0.3)
        await passing.stop()
    await until(lambda: set(handled) == set(range(400)), 60)
    assert overlaps == []
    assert len(handled) == 400  # clean hand-overs commit before they give up a partition
    await stayer.stop()


async def test_a_topic_deleted_under_a_consumer_leaves_its_other_topics_working(
    shared_harness: KafkaHarness, kafka_broker: KafkaBroker
) -> None:
    names = shared_harness.names
    writer, other = (
        await shared_harness.connect(names.writer),
        await shared_harness.connect(names.other),
    )
    seen = Recorder()
    await other.consume("gone", [names.closed, names.single], seen)
    await writer.publish([message(names.closed, "k", 1)])
    await until(lambda: len(seen.records) == 1)
    kafka_broker.provisioner().delete_topics([names.closed])
    await writer.publish([message(names.single, "k", 2)])
    await until(lambda: len(seen.records) == 2, 60)
