"""What a replay of the quarantine promises, on both dialects."""

from common import topics
from common.database import Database
from common.inbox import Refused
from hubformats.ids import uuid7
from hubformats.keys import (
    StaticKeys,
    generate_signing,
)
from standalone.bus import EmbeddedBus
from tests.support.databases import database, database_url
from tests.support.inbox_consumer import (
    Consumer,
    Directory,
    bus,
    consumer,
    directory,
    envelope,
    waiting,
)
from tests.support.members import (
    KEYS,
    OPENING,
    SIGNING,
    STRANGER,
)

__all__ = ["bus", "consumer", "database", "database_url", "directory"]


async def test_a_replay_applies_what_was_held_once_and_frees_the_case(
    bus: EmbeddedBus, consumer: Consumer, database: Database
) -> None:
    consumer.trouble[1] = KeyError()
    await bus.publish([envelope(1), envelope(2)])
    await consumer.start()
    await consumer.settle(applied=1, quarantined=1)
    assert len(await consumer.quarantine()) == 1
    still = await consumer.inbox.replay_quarantine(bus, topics.CASE)
    assert (still.applied, still.quarantined) == (0, 1)
    assert await database.read(lambda c: consumer.inbox.held(c, key="case-1"))
    consumer.trouble.clear()
    assert (await consumer.inbox.replay_quarantine(bus, topics.CASE)).applied == 1
    assert not await database.read(lambda c: consumer.inbox.held(c, key="case-1"))
    assert await consumer.applied() == [2, 1]
    assert consumer.seen[-1].late
    assert (await consumer.inbox.replay_quarantine(bus, topics.CASE)).applied == 0
    assert len(await consumer.quarantine()) == 1


async def test_a_key_that_became_known_lets_a_refused_envelope_back_in(
    bus: EmbeddedBus, consumer: Consumer, directory: Directory
) -> None:
    new = generate_signing("svc:referral")
    await bus.publish([envelope(1, sender=new)])
    await consumer.start()
    await consumer.settle(quarantined=1)
    assert len(await consumer.quarantine()) == 1
    directory.after_refresh = StaticKeys(*SIGNING.values(), *OPENING.values(), new)
    assert (await consumer.inbox.replay_quarantine(bus, topics.CASE)).applied == 1
    assert await consumer.applied() == [1]


async def test_a_replay_asks_again_who_may_speak(bus: EmbeddedBus, consumer: Consumer) -> None:
    """By the rule of the group that set it aside, though nobody repeats it to the replay."""
    stray, forged = envelope(1, sender=SIGNING["svc:audit"]), envelope(2, sender=STRANGER)
    await bus.publish([stray, forged])
    await consumer.start(senders=lambda topic: ("svc:referral",) if topic == topics.CASE else ())
    await consumer.settle(quarantined=2)
    assert len(await consumer.quarantine()) == 2
    tally = await consumer.inbox.replay_quarantine(bus, topics.CASE)
    assert (tally.applied, tally.quarantined, tally.absent) == (0, 2, 0)
    assert await consumer.applied() == []
    assert [row.reason for row in await waiting(consumer)] == ["wrong-source", "unknown-key"]


async def test_a_group_that_is_gone_replays_nothing(
    bus: EmbeddedBus, consumer: Consumer, database: Database
) -> None:
    await bus.publish([envelope(1, sender=SIGNING["svc:audit"])])
    await consumer.start(senders=lambda _: ("svc:referral",))
    await consumer.settle(quarantined=1)
    await consumer.quarantine()
    await consumer.inbox.stop()
    later = Consumer(database, bus, KEYS)
    assert (await later.inbox.replay_quarantine(bus, topics.CASE)).quarantined == 1
    assert await consumer.applied() == []


async def test_a_replay_of_these_alone_or_of_one_reason(
    bus: EmbeddedBus, consumer: Consumer
) -> None:
    consumer.trouble = {
        1: Refused("agency-suspended"),
        2: Refused("agency-suspended"),
        3: Refused("another"),
    }
    await bus.publish([envelope(n) for n in (1, 2, 3)])
    await consumer.start()
    await consumer.settle(quarantined=3)
    consumer.trouble.clear()
    begun: list[int] = []
    only = (await waiting(consumer))[1].digest
    assert (
        await consumer.inbox.replay_quarantine(
            bus, topics.CASE, digests=[only], begin=lambda _, n: begun.append(n)
        )
    ).applied == 1
    assert await consumer.applied() == [2]
    assert (
        await consumer.inbox.replay_quarantine(
            bus, reason="agency-suspended", begin=lambda _, n: begun.append(n)
        )
    ).applied == 1
    assert await consumer.applied() == [2, 1]
    assert [row.reason for row in await waiting(consumer)] == ["another"]
    await consumer.inbox.replay_quarantine(
        bus, reason="agency-suspended", begin=lambda _, n: begun.append(n)
    )
    assert begun == [1, 1]


async def test_what_was_taken_for_a_forgery_and_is_authentic_holds_until_it_can_be_applied(
    bus: EmbeddedBus, consumer: Consumer, directory: Directory, database: Database
) -> None:
    new = generate_signing("svc:referral")
    consumer.trouble[1] = Refused("agency-suspended")
    await bus.publish([envelope(1, sender=new)])
    await consumer.start()
    await consumer.settle(quarantined=1)
    await consumer.quarantine()
    assert not await database.read(lambda c: consumer.inbox.held(c, key="case-1"))
    directory.after_refresh = StaticKeys(*SIGNING.values(), *OPENING.values(), new)
    assert (await consumer.inbox.replay_quarantine(bus, topics.CASE)).quarantined == 1
    assert await database.read(lambda c: consumer.inbox.held(c, key="case-1"))
    assert [(row.reason, row.source) for row in await waiting(consumer)] == [
        ("agency-suspended", "svc:referral")
    ]
    consumer.trouble.clear()
    assert (await consumer.inbox.replay_quarantine(bus, topics.CASE)).applied == 1
    assert not await database.read(lambda c: consumer.inbox.held(c, key="case-1"))
    assert await waiting(consumer) == []


async def test_an_envelope_whose_event_came_another_way_leaves_quarantine_without_a_second_effect(
    bus: EmbeddedBus, consumer: Consumer
) -> None:
    event, new = uuid7(), generate_signing("svc:referral")
    directory = consumer.inbox._opener._keys
    assert isinstance(directory, Directory)
    await bus.publish([envelope(1, sender=new, id=event), envelope(1, id=event)])
    await consumer.start()
    await consumer.settle(applied=1, quarantined=1)
    await consumer.quarantine()
    directory.after_refresh = StaticKeys(*SIGNING.values(), *OPENING.values(), new)
    tally = await consumer.inbox.replay_quarantine(bus, topics.CASE)
    assert (tally.applied, tally.repeats) == (0, 1)
    assert await consumer.applied() == [1]
    assert await waiting(consumer) == []
