"""What a referral's unavoidable parts cost, each measured by itself: the CPU a hub could not do
without."""

import asyncio
import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import cedarpy
import psycopg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.envelope import primitives
from benchmarks.road.chain import TOPICS
from benchmarks.road.counting import Counted
from deploy.stack.kafka import KafkaBroker

_MESSAGES: Final = 400
_IN_FLIGHT: Final = 64


def crypto_and_policy(counted: Counted, seconds: float) -> dict[str, float]:
    """Microseconds of CPU of each primitive, and of one policy batch exactly as the hub asked
    it.
    """
    single = primitives.singles(bytes(16_384))
    body = primitives.singles(bytes(1_024))
    return {
        "ECDSA sign": _cpu(single["ECDSA sign (deterministic)"], seconds),
        "ECDSA verify": _cpu(single["ECDSA verify"], seconds),
        "recipient wrap": sum(
            _cpu(single[name], seconds) for name in ("P-256 key generation", "ECDH", "AES key wrap")
        ),
        "recipient unwrap": _cpu(single["ECDH"], seconds) + _cpu(single["AES key wrap"], seconds),
        "AES-GCM": _cpu(body["AES-GCM seal"], seconds),
        "policy batch": _cpu(lambda: cedarpy.is_authorized_batch(*counted.policy_call), seconds),
    }


def sqlite_commit(count: int) -> float:
    """One row of 4 KiB and its durable commit (WAL, synchronous=FULL), microseconds of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE floor (id INTEGER PRIMARY KEY, body BLOB)")
        body = os.urandom(4096)
        began = time.process_time()
        for _ in range(count):
            connection.execute("INSERT INTO floor (body) VALUES (?)", (body,))
        used = time.process_time() - began
        connection.close()
    return used / count * 1e6


def postgres_commit(url: str, count: int) -> float:
    """The same on PostgreSQL, autocommit: this process's share, microseconds of CPU."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS floor (id bigserial PRIMARY KEY, body bytea)"
        )
        body = os.urandom(4096)
        began = time.process_time()
        for _ in range(count):
            connection.execute("INSERT INTO floor (body) VALUES (%s)", (body,))
        return (time.process_time() - began) / count * 1e6


def kafka_message(broker: KafkaBroker, size: int, count: int = _MESSAGES) -> float:
    """Sending and receiving one message of that size with many in flight, microseconds of CPU of
    this process.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_kafka_message(broker, size, count))


async def _kafka_message(broker: KafkaBroker, size: int, count: int) -> float:
    access: dict[str, Any] = {
        "bootstrap_servers": broker.bootstrap,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": broker.superuser,
        "sasl_plain_password": broker.password,
    }
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, **access)
    consumer = AIOKafkaConsumer(group_id="bench-floor", enable_auto_commit=False, **access)
    await producer.start()
    await consumer.start()
    consumer.assign([TopicPartition(TOPICS[-1], 0)])
    await consumer.seek_to_end()
    body, mark = os.urandom(size), secrets.token_bytes(8)
    began, got = time.process_time(), 0
    for first in range(0, count, _IN_FLIGHT):
        sent = [
            await producer.send(TOPICS[-1], body, key=mark)
            for _ in range(min(_IN_FLIGHT, count - first))
        ]
        await asyncio.gather(*sent)
    async with asyncio.timeout(60):
        while got < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                got += sum(record.key == mark for record in records)
            await consumer.commit()
    used = time.process_time() - began
    await consumer.stop()
    await producer.stop()
    return used / count * 1e6


def summed(counted: Counted, unit: Mapping[str, float]) -> float:
    """Microseconds of CPU per referral: every counted thing at its own price."""
    return sum(counted.per_referral.get(name, 0.0) * price for name, price in unit.items())


def _cpu(work: Callable[[], object], seconds: float) -> float:
    calls, began, end = 0, time.process_time(), time.process_time() + seconds
    while calls < 3 or time.process_time() < end:
        work()
        calls += 1
    return (time.process_time() - began) / calls * 1e6
