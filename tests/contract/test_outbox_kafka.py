"""The production pair, PostgreSQL and Kafka, through the death of the broker: every event once, in
order, none missing."""

import asyncio
import secrets
from functools import partial
from uuid import UUID

from sqlalchemy import Column, Integer, Table, insert, select

from common import topics
from common.bus_kafka import KafkaBus
from common.database import Database, Unit, UuidType, ensure_schema, new_metadata
from common.events.case import SubjectErased
from common.inbox import Received, inbox_tables
from common.outbox import outbox_tables
from deploy.stack.kafka import KafkaBroker
from deploy.stack.postgres import PostgresServer
from deploy.stack.provision import Topic
from hubformats.clock import SystemClock
from hubformats.ids import uuid7
from tests.support.members import inbox_of, outbox_of, until

METADATA = new_metadata()
outbox_tables(METADATA)
inbox_tables(METADATA)
EFFECT = Table(
    "effect",
    METADATA,
    Column("n", Integer, primary_key=True),
    Column("subject", UuidType),
    Column("seq", Integer),
)
STREAMS = 4


async def test_a_broker_that_dies_loses_nothing_and_repeats_no_effect(
    own_kafka_broker: KafkaBroker, postgres_server: PostgresServer
) -> None:
    own_kafka_broker.provision([Topic(topics.CASE, 3), Topic(topics.quarantine(topics.CASE), 1)])
    bus = KafkaBus(own_kafka_broker.bootstrap, "broker", own_kafka_broker.password)
    clock = SystemClock()
    database = Database(
        postgres_server.database(f"t{secrets.token_hex(8)}"), clock=clock, name="test"
    )
    await database.start()
    await bus.start()
    await ensure_schema(database, METADATA)
    outbox = outbox_of(database, bus, clock, "svc:referral")
    inbox = inbox_of(database, outbox, clock, "svc:sharing")

    def effect(unit: Unit, got: Received, event: SubjectErased) -> None:
        unit.connection.execute(insert(EFFECT), {"subject": event.subject_id, "seq": got.seq})

    inbox.on(SubjectErased, effect)
    await outbox.start()
    await inbox.consume(bus, group="broker.sharing", topics=[topics.CASE])

    def send(number: int, unit: Unit) -> UUID:
        event = SubjectErased(subject_id=uuid7(), case_ids=(), erased_at=clock.now())
        stream = f"case-{number % STREAMS}"
        outbox.send(
            unit, topic=topics.CASE, key=stream, event=event, to=["svc:sharing"], stream=stream
        )
        return event.subject_id

    async def load(first: int, count: int) -> list[UUID]:
        return [
            await database.write(partial(send, number)) for number in range(first, first + count)
        ]

    try:
        before = await load(0, 40)
        own_kafka_broker.kill()
        during = await load(40, 40)  # callers never wait for the broker
        await asyncio.to_thread(own_kafka_broker.start)
        after = await load(80, 40)
        await until(lambda: inbox.tally.applied == 120, patience=90)
        rows = await database.read(lambda c: c.execute(select(EFFECT).order_by(EFFECT.c.n)).all())
        assert sorted(row.subject for row in rows) == sorted([*before, *during, *after])
        assert (inbox.tally.gaps, inbox.tally.late, inbox.tally.quarantined) == (0, 0, 0)
    finally:
        await inbox.stop()
        await outbox.stop()
        await bus.stop()
        await database.stop()
