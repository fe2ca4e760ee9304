"""A suspension on the production topology: the agency's own topic is closed to it at the broker,
also in an open connection, until restored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from common import topics
from common.bus import NotAllowed, Outgoing
from common.bus_kafka import KafkaBus
from deploy.stack import setup
from deploy.stack.services import Stack
from hubformats.ids import opaque
from hubpartner.client import HubClient
from hubpartner.profile import read_profile
from identity.directory.ports import TopicAccessUnavailable
from identity.directory.repository import KafkaTopicAccess

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("hub-stack"),
]

AGENCY = "northmoor-health"
TOPIC = topics.disclosure(AGENCY)
SOON = 60.0


async def put(stack: Stack) -> bytes:
    """Bytes on the agency's topic, as sharing puts them there."""
    bus = KafkaBus(stack.kafka.bootstrap, "sharing", setup.kafka_password(stack.folder, "sharing"))
    await bus.start()
    try:
        value = opaque().encode()
        await bus.publish([Outgoing(TOPIC, AGENCY.encode(), value)])
        return value
    finally:
        await bus.stop()


@asynccontextmanager
async def reading(stack: Stack, user: str = AGENCY) -> AsyncIterator[AIOKafkaConsumer]:
    """The agency, or who else, reads its topic with an account of their own, from the first record
    on.
    """
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=stack.kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=user,
        sasl_plain_password=setup.kafka_password(stack.folder, user),
        group_id=f"{user}.{opaque()}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def read_to(consumer: AIOKafkaConsumer, value: bytes) -> None:
    """Read on until this record."""
    async with asyncio.timeout(SOON):
        while (await consumer.getone()).value != value:
            pass


async def refused(stack: Stack) -> bool:
    """Whether a fresh connection of the agency is refused."""
    try:
        async with reading(stack) as consumer, asyncio.timeout(SOON):
            await consumer.getone()
    except TopicAuthorizationFailedError:
        return True
    return False


async def until(stack: Stack, *, closed: bool) -> None:
    """The moment from which a fresh connection is, or is no longer, refused; within the promised
    minute.
    """
    async with asyncio.timeout(SOON):
        while await refused(stack) is not closed:
            pass  # it takes its time to connect


async def test_a_suspended_agency_no_longer_reads_its_topic_and_a_restored_one_does(
    hub_stack: Stack,
) -> None:
    async with httpx2.AsyncClient(timeout=20.0) as http:
        operator = HubClient(read_profile(hub_stack.profiles / "operator.toml"), http)
        async with reading(hub_stack) as consumer:
            await read_to(consumer, await put(hub_stack))
            await operator.suspend(AGENCY, "exercise")
            try:
                await until(hub_stack, closed=True)
                missed = await put(hub_stack)
                with pytest.raises(TopicAuthorizationFailedError):
                    await read_to(consumer, missed)
                await asyncio.to_thread(setup.provision, hub_stack.folder, hub_stack.servers)
                assert await refused(hub_stack), (
                    "setting up anew does not open what a suspension closed"
                )
                await asyncio.to_thread(hub_stack.kill_service, "identity")
                await operator_down_and_up(hub_stack)
                assert await refused(hub_stack), "nor does a restart of identity"
            finally:
                await operator.restore(AGENCY)
            await until(hub_stack, closed=False)
        async with reading(hub_stack) as consumer:
            await read_to(consumer, missed)


async def operator_down_and_up(stack: Stack) -> None:
    """A rule that was lost at the broker while identity was down is back once it is up."""
    account = KafkaTopicAccess(
        stack.kafka.bootstrap, setup.kafka_password(stack.folder, topics.DOORKEEPER), None
    )
    try:
        await account.open(AGENCY)
        await until(stack, closed=False)
        await asyncio.to_thread(stack.start_service, "identity")
        await until(stack, closed=True)
    finally:
        await account.stop()


async def test_the_doorkeeper_reads_and_writes_no_topic(hub_stack: Stack) -> None:
    with pytest.raises((TopicAuthorizationFailedError, GroupAuthorizationFailedError)):
        async with reading(hub_stack, topics.DOORKEEPER) as consumer:
            await consumer.getone()
    bus = KafkaBus(
        hub_stack.kafka.bootstrap,
        topics.DOORKEEPER,
        setup.kafka_password(hub_stack.folder, topics.DOORKEEPER),
    )
    with pytest.raises(NotAllowed):
        await bus.start()
    await bus.stop()


@pytest.mark.parametrize("user", ["identity", AGENCY])
async def test_nobody_elses_account_changes_the_access_list(
    hub_stack: Stack, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "DOORKEEPER", user)
    doors = KafkaTopicAccess(
        hub_stack.kafka.bootstrap, setup.kafka_password(hub_stack.folder, user), None
    )
    try:
        with pytest.raises(TopicAccessUnavailable, match="kafka-31"):
            await doors.open("northmoor-police")
    finally:
        await doors.stop()


def test_identity_alone_holds_the_password(hub_stack: Stack) -> None:
    wanted = setup.kafka_password(hub_stack.folder, topics.DOORKEEPER)
    holders = {
        path.parent.name
        for path in (hub_stack.folder / "secrets").rglob("*")
        if path.is_file() and wanted in path.read_text()
    }
    assert holders == {"identity"}
