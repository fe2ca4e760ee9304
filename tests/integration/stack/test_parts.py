"""The stack's own promises: deny by default, isolation of databases, and survival of a kill."""

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from deploy.stack.kafka import KafkaBroker
from deploy.stack.postgres import PostgresServer
from deploy.stack.provision import Acl, Topic

pytestmark = pytest.mark.stack


def access(broker: KafkaBroker, user: str, password: str | None = None) -> dict[str, str]:
    """aiokafka's connection arguments for a user."""
    return {
        "bootstrap_servers": broker.bootstrap,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": user,
        "sasl_plain_password": password or broker.password_of(user),
    }


async def send(
    broker: KafkaBroker, user: str, topic: str, value: bytes, password: str | None = None
) -> None:
    producer = AIOKafkaProducer(**access(broker, user, password), acks="all")
    try:
        await producer.start()
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read_one(broker: KafkaBroker, user: str, topic: str, group: str) -> bytes | None:
    consumer = AIOKafkaConsumer(
        topic, **access(broker, user), group_id=group, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        value: bytes | None = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()


async def test_a_user_without_acl_can_neither_write_nor_read(kafka_broker: KafkaBroker) -> None:
    writer_only = Acl("parts-writer", "TOPIC", "parts.allowed", "WRITE")
    kafka_broker.provision(
        [Topic("parts.allowed"), Topic("parts.other")],
        ["parts-writer", "parts-nobody"],
        [writer_only],
    )
    await send(kafka_broker, "parts-writer", "parts.allowed", b"one")
    with pytest.raises(TopicAuthorizationFailedError):
        await send(kafka_broker, "parts-writer", "parts.other", b"two")
    with pytest.raises((TopicAuthorizationFailedError, ClusterAuthorizationFailedError)):
        await send(kafka_broker, "parts-nobody", "parts.allowed", b"three")
    with pytest.raises(GroupAuthorizationFailedError):
        await read_one(kafka_broker, "parts-writer", "parts.allowed", "parts-writer")


async def test_a_wrong_password_is_refused(kafka_broker: KafkaBroker) -> None:
    kafka_broker.provision(
        [Topic("parts.login")],
        ["parts-login"],
        [Acl("parts-login", "TOPIC", "parts.login", "WRITE")],
    )
    with pytest.raises(KafkaError):
        await send(kafka_broker, "parts-login", "parts.login", b"one", password="wrong")


async def test_what_was_acknowledged_survives_a_killed_broker(
    own_kafka_broker: KafkaBroker,
) -> None:
    broker = own_kafka_broker
    acls = [
        Acl("both", "TOPIC", "kept", "WRITE"),
        Acl("both", "TOPIC", "kept", "READ"),
        Acl("both", "GROUP", "both", "READ"),
    ]
    broker.provision([Topic("kept", partitions=2)], ["both"], acls)
    await send(broker, "both", "kept", b"before")
    broker.kill()
    broker.start()
    assert await read_one(broker, "both", "kept", "both") == b"before"


def test_a_role_reaches_its_own_database_only(postgres_server: PostgresServer) -> None:
    own = postgres_server.database("parts_own").replace("+psycopg", "")
    postgres_server.database("parts_other")
    with psycopg.connect(own) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("parts_own",)
    for other in ("parts_other", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(own.removesuffix("parts_own") + other)


def test_a_wrong_database_password_is_refused(postgres_server: PostgresServer) -> None:
    url = postgres_server.database("parts_login").replace("+psycopg", "")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(postgres_server.password_of("parts_login"), "wrong"))


def test_what_was_committed_survives_a_killed_server(own_postgres_server: PostgresServer) -> None:
    url = own_postgres_server.database("kept").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    own_postgres_server.kill()
    own_postgres_server.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
