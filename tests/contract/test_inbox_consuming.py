"""What the inbox promises, on both dialects: once, in order, nothing dropped."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import func, select

from common import topics
from common.bus import Incoming, Outgoing
from common.database import Database, DatabaseUnavailable, ensure_schema
from common.events.case import SubjectErased
from common.events.identity import DirectoryHeartbeat
from common.inbox import Refused, Transient
from common.inbox.tables import INBOX_STREAM
from hubformats.envelope import peek, routing_headers
from hubformats.keys import (
    StaticKeys,
    generate_signing,
)
from standalone.bus import EmbeddedBus
from tests.support.databases import database, database_url
from tests.support.inbox_consumer import (
    APPLIED,
    Consumer,
    Directory,
    bus,
    consumer,
    directory,
    envelope,
)
from tests.support.key_directory import POLICE
from tests.support.key_directory import Directory as KeyDirectory
from tests.support.members import (
    KEYS,
    METADATA,
    OPENING,
    SIGNING,
    STRANGER,
    until,
)
from tests.support.schemas import counting

__all__ = ["bus", "consumer", "database", "database_url", "directory"]


async def test_events_are_applied_once_in_order_whatever_is_repeated(
    bus: EmbeddedBus, consumer: Consumer
) -> None:
    one, two = envelope(1), envelope(2)
    await bus.publish([one, one, two, one])
    await consumer.start()
    await consumer.settle(applied=2, repeats=2)
    await bus.publish([two])
    await consumer.settle(applied=2, repeats=3)
    assert await consumer.applied() == [1, 2]
    assert [(got.source, got.topic, got.key, got.late) for got in consumer.seen] == [
        ("svc:referral", topics.CASE, b"case-1", False)
    ] * 2
    assert await consumer.quarantine() == []


async def test_a_handler_may_ask_for_repeats(bus: EmbeddedBus, consumer: Consumer) -> None:
    consumer.inbox.on(SubjectErased, consumer.apply, repeats=True)
    await bus.publish([envelope(1)])
    await consumer.start()
    await consumer.settle(applied=1)
    await bus.publish([Outgoing(r.topic, r.key, r.value) for r in await bus.read(topics.CASE)])
    await consumer.settle(applied=1, repeats=1)
    assert [got.repeat for got in consumer.seen] == [False, True]


async def test_a_gap_is_accepted_and_what_fills_it_is_late(
    bus: EmbeddedBus, consumer: Consumer, database: Database
) -> None:
    await bus.publish([envelope(1), envelope(4), envelope(2)])
    await consumer.start()
    await consumer.settle(applied=3)
    assert [(got.seq, got.late) for got in consumer.seen] == [(1, False), (4, False), (2, True)]
    assert (consumer.inbox.tally.gaps, consumer.inbox.tally.late) == (2, 1)
    row = await database.read(lambda c: c.execute(select(INBOX_STREAM)).one())
    assert (row.source, row.stream, row.last, row.missing) == ("svc:referral", "case-1", 4, 1)


async def test_a_forged_signature_is_quarantined_and_holds_nothing(
    bus: EmbeddedBus, consumer: Consumer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    forged = envelope(1, sender=STRANGER)
    await bus.publish([forged, envelope(1)])
    await consumer.start()
    await consumer.settle(applied=1, quarantined=1)
    (record,) = await consumer.quarantine()
    assert (record.value, record.key) == (forged.value, b"case-1")
    assert [
        vars(line)["alarm"] for line in caplog.records if line.msg == "envelope quarantined"
    ] == ["envelope-quarantined"]
    assert dict(record.headers)["hub-reason"] == b"unknown-key"
    assert not await database.read(lambda c: consumer.inbox.held(c, key="case-1"))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Outgoing(topics.CASE, b"k", b"not an envelope"), "malformed"),
        (Outgoing(topics.CASE, b"k", b"x" * 500_000), "too-large"),
        (envelope(1, to="svc:audit"), "not-for-us"),
        (
            Outgoing(topics.CASE, b"k", envelope(1).value, (("ce_source", b"svc:audit"),)),
            "headers-mismatch",
        ),
    ],
)
async def test_what_cannot_be_opened_is_quarantined_untouched_once(
    bus: EmbeddedBus, consumer: Consumer, database: Database, bad: Outgoing, reason: str
) -> None:
    await bus.publish([bad, bad])
    await consumer.start()
    await consumer.settle(quarantined=2)
    (record,) = await consumer.quarantine()
    assert record.value == bad.value
    assert dict(record.headers)["hub-reason"] == reason.encode()
    waiting = partial(consumer.inbox.waiting, topic=None, reason=None, limit=9)
    (listed,) = await database.read(waiting)
    assert (listed.reason, listed.holds, listed.source) == (reason, False, None)


async def test_a_source_that_may_not_speak_on_the_topic_is_quarantined(
    bus: EmbeddedBus, consumer: Consumer
) -> None:
    await bus.publish([envelope(1, sender=SIGNING["svc:audit"]), envelope(1)])
    await consumer.start(senders=lambda topic: ("svc:referral",) if topic == topics.CASE else ())
    await consumer.settle(applied=1, quarantined=1)
    assert [got.source for got in consumer.seen] == ["svc:referral"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (envelope(2, type="hub.invented"), "event-unknown"),
        (envelope(2, version=2), "event-unknown"),
        (envelope(2, data={"subjectId": "nobody"}), "event-malformed"),
        (envelope(2, type=DirectoryHeartbeat.TYPE, data={"suspended": []}), "event-malformed"),
        (envelope(2), "handler-failed"),
    ],
)
async def test_an_authentic_event_that_cannot_be_applied_is_quarantined_and_holds_its_case(
    bus: EmbeddedBus, consumer: Consumer, database: Database, bad: Outgoing, reason: str
) -> None:
    consumer.trouble[2] = KeyError("not in any log")
    await bus.publish([envelope(1), bad, envelope(3)])
    await consumer.start()
    await consumer.settle(applied=2, quarantined=1)
    assert await consumer.applied() == [1, 3]
    (record,) = await consumer.quarantine()
    assert (record.value, dict(record.headers)["hub-reason"]) == (bad.value, reason.encode())
    assert await database.read(lambda c: consumer.inbox.held(c, key="case-1"))
    assert await database.read(lambda c: consumer.inbox.held(c, stream="case-1"))
    assert not await database.read(lambda c: consumer.inbox.held(c, key="case-2"))
    await bus.publish([bad])  # the same again changes nothing
    await consumer.settle(applied=2, quarantined=1, repeats=1)
    assert len(await consumer.quarantine()) == 1


async def test_a_refusal_names_its_own_reason(bus: EmbeddedBus, consumer: Consumer) -> None:
    consumer.trouble[1] = Refused("wrong-recipient-agency")
    await bus.publish([envelope(1)])
    await consumer.start()
    await consumer.settle(quarantined=1)
    assert dict((await consumer.quarantine())[0].headers)["hub-reason"] == b"wrong-recipient-agency"


async def test_an_event_without_handler_is_held_unless_ignored_by_name(
    bus: EmbeddedBus, consumer: Consumer
) -> None:
    consumer.inbox.ignore(SubjectErased)
    await bus.publish([envelope(1)])
    await consumer.start()
    await consumer.settle(applied=1)
    assert await consumer.applied() == []
    await consumer.inbox.stop()
    await consumer.outbox.stop()
    other = Consumer(consumer.database, bus, KEYS)
    await other.outbox.start()
    other.inbox._handlers.clear()
    await other.inbox.consume(bus, group="sharing.other", topics=[topics.CASE])
    await other.settle(quarantined=1)
    assert dict((await other.quarantine())[0].headers)["hub-reason"] == b"event-not-handled"
    await other.inbox.stop()
    await other.outbox.stop()


async def test_an_unknown_key_asks_the_directory_once_before_it_counts(
    bus: EmbeddedBus, consumer: Consumer, directory: Directory
) -> None:
    new = generate_signing("svc:referral")
    directory.after_refresh = StaticKeys(*SIGNING.values(), *OPENING.values(), new)
    await bus.publish([envelope(1, sender=new), envelope(2, sender=new)])
    await consumer.start()
    await consumer.settle(applied=2)
    assert directory.asked == 1
    assert await consumer.quarantine() == []


async def test_while_the_directory_is_away_an_unknown_key_keeps_the_offset(
    bus: EmbeddedBus, consumer: Consumer, directory: Directory
) -> None:
    new = generate_signing("svc:referral")
    directory.after_refresh = StaticKeys(*SIGNING.values(), *OPENING.values(), new)
    directory.away = True
    await bus.publish([envelope(1, sender=new)])
    await consumer.start()
    await until(lambda: directory.asked >= 1)
    assert (await consumer.applied(), await consumer.quarantine()) == ([], [])
    directory.away = False
    await consumer.settle(applied=1)


async def test_a_genuine_envelope_under_a_new_key_waits_while_identity_cannot_be_asked(
    database: Database, bus: EmbeddedBus
) -> None:
    """With the hub's own copy of the directory: it says so when it could not ask, also while it is
    not asking again.
    """
    await ensure_schema(database, METADATA)
    identity, new = KeyDirectory(), generate_signing(POLICE)
    identity.served, identity.away = {"keySets": {POLICE: identity.area.key_set(200, new)}}, True
    consumer = Consumer(database, bus, identity.keys)
    try:
        await bus.publish([envelope(1, sender=new)])
        await consumer.start()
        await until(lambda: identity.asked == 1)
        assert (await consumer.applied(), await consumer.quarantine()) == ([], [])
        identity.away = False
        await asyncio.sleep(1.2)
        assert (identity.asked, await consumer.applied()) == (1, []), (
            "not before the ten seconds are over, and still not set aside"
        )
        identity.clock.advance(10)
        await consumer.settle(applied=1)
        assert (identity.asked, await consumer.quarantine()) == (2, [])
    finally:
        await consumer.inbox.stop()
        await consumer.outbox.stop()
        await identity.http.aclose()


@pytest.mark.parametrize("error", [Transient("later"), DatabaseUnavailable("down")])
async def test_a_passing_failure_keeps_the_offset_and_undoes_the_batch(
    bus: EmbeddedBus, consumer: Consumer, error: Exception
) -> None:
    consumer.trouble[2] = error
    await bus.publish([envelope(1), envelope(2), envelope(3)])
    await consumer.start()
    await asyncio.sleep(0.4)
    assert (await consumer.applied(), await consumer.quarantine()) == ([], [])
    consumer.trouble.clear()
    await consumer.settle(applied=3)
    assert await consumer.applied() == [1, 2, 3]


async def test_one_bad_handler_among_good_ones_leaves_no_trace_of_itself(
    bus: EmbeddedBus, consumer: Consumer
) -> None:
    consumer.trouble = {2: ValueError(), 4: ValueError()}
    await bus.publish([envelope(n) for n in range(1, 7)])
    await consumer.start()
    await consumer.settle(applied=4, quarantined=2)
    assert await consumer.applied() == [1, 3, 5, 6]
    assert [got.seq for got in consumer.seen] == [1, 3, 5, 6]


async def test_envelopes_for_others_are_skipped_only_where_the_topic_has_such(
    bus: EmbeddedBus, consumer: Consumer
) -> None:
    await bus.publish([envelope(1, to="svc:audit"), envelope(1)])
    await consumer.start(others=True)
    await consumer.settle(applied=1)
    assert await consumer.quarantine() == []


async def test_a_batch_costs_a_fixed_number_of_statements(
    consumer: Consumer, database: Database
) -> None:
    async def cost(first: int, count: int) -> int:
        records = [
            Incoming(
                topics.CASE, b"case-1", out.value, tuple(routing_headers(peek(out.value))), 0, n, 0
            )
            for n, out in enumerate(envelope(seq) for seq in range(first, first + count))
        ]
        with counting(database) as counted:
            await consumer.inbox._handle("sharing.case", False, None, records)
        return counted.statements - count  # less one insert per event by the handler

    assert await cost(1, 1) == await cost(2, 30) == 4
    assert (
        await database.read(
            lambda c: c.execute(select(func.count()).select_from(APPLIED)).scalar_one()
        )
        == 31
    )
