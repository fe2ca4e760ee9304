"""The set-up that Compose and `make stack` share, on real servers; and the broker's container
script, without the container."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

from common.keyring import FileKeyring, KeyringLocked
from deploy.stack import parts, processes, setup, topology
from deploy.stack.kafka import KafkaBroker
from deploy.stack.postgres import PostgresServer
from deploy.stack.provision import Provisioner, Topic
from deploy.stack.secrets import write
from deploy.stack.services import Stack
from hubformats.bootstrap import read_bootstrap
from hubformats.ids import opaque
from tests.support.ports import free_base

pytestmark = pytest.mark.stack

KAFKA = parts.ROOT / "deploy" / "kafka"


@pytest.fixture
def contained_broker(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A broker started by deploy/kafka/start.sh, as its image starts it; yields the hub's folder
    and the port.
    """
    folder, port = tmp_path / "hub", free_base()  # its controller takes the next one
    setup.prepare(folder, _urls(), setup.Servers(f"127.0.0.1:{port}", "127.0.0.1", 1))
    (tmp_path / "data").mkdir()
    environment = {
        "PATH": f"{parts.java().parent}:{os.environ['PATH']}",
        "KAFKA_HOST": "127.0.0.1",
        "KAFKA_PORT": str(port),
        "KAFKA_LIBS": parts.kafka_classpath().removesuffix("/*"),
        "KAFKA_DATA": str(tmp_path / "data"),
        "KAFKA_SECRETS": str(folder / "kafka"),
    }
    processes.spawn(["/bin/sh", str(KAFKA / "start.sh")], tmp_path, "start", environment)
    try:
        yield folder, port
    finally:
        processes.end(tmp_path, "start", how=processes.KILL)


def test_everything_is_provisioned_and_repeating_changes_nothing(
    contained_broker: tuple[Path, int], own_postgres_server: PostgresServer
) -> None:
    folder, port = contained_broker
    write(folder / "postgres" / "superuser.secret", own_postgres_server.password)
    servers = setup.Servers(f"127.0.0.1:{port}", "127.0.0.1", own_postgres_server.port)
    setup.prepare(folder, _urls(), servers)
    kept = _files(folder)
    for _ in range(2):
        setup.prepare(folder, _urls(), servers)
        setup.provision(folder, servers)
        provisioner = Provisioner(servers.kafka, "broker", setup.kafka_password(folder, "broker"))
        assert provisioner.topics() == {
            topic.name: topic.partitions for topic in topology.kafka_topics()
        }
        assert provisioner.acls() == set(topology.kafka_acls())
    assert _files(folder) == kept
    for service in topology.SERVICES:
        url = (folder / "secrets" / service / "database-url").read_text()
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (service,)


def test_no_secret_of_one_service_is_readable_by_others(tmp_path: Path) -> None:
    setup.prepare(tmp_path, _urls(), setup.Servers("127.0.0.1:1", "127.0.0.1", 1))
    loose = [
        path
        for path in (tmp_path / "secrets").rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077
    ]
    assert not loose
    passwords = [
        (tmp_path / "secrets" / service / "kafka-password").read_text()
        for service in topology.SERVICES
    ]
    assert len(set(passwords)) == len(topology.SERVICES)


def test_a_passphrase_locks_the_keyrings_and_ends_the_demonstration(tmp_path: Path) -> None:
    setup.prepare(
        tmp_path,
        _urls(),
        setup.Servers("127.0.0.1:1", "127.0.0.1", 1),
        passphrase="correct horse battery staple",
    )
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path / "keyring" / "audit", passphrase=None, open_allowed=True)
    assert not read_bootstrap(tmp_path / "public").demo
    stack = Stack(tmp_path, passphrase="correct horse battery staple")
    environment = stack.environment("audit")
    assert "HUB_DEMO" not in environment
    assert (
        Path(environment["HUB_KEYRING_PASSPHRASE_FILE"]).read_text()
        == "correct horse battery staple"
    )


def test_the_broker_keeps_its_identity_and_data_over_a_restart(
    own_kafka_broker: KafkaBroker,
) -> None:
    own_kafka_broker.provision(topology.kafka_topics()[:3], topology.PRINCIPALS)
    before = own_kafka_broker.provisioner().topics()
    own_kafka_broker.restart()
    assert own_kafka_broker.provisioner().topics() == before


def test_a_topic_of_an_earlier_release_is_dated_by_the_broker_from_now_on(
    kafka_broker: KafkaBroker,
) -> None:
    """A thief of an agency's key would write any time into what it sends."""
    topic = Topic(f"hub.inbound.earlier{opaque()[:8].lower().replace('_', '-')}.v1")
    made = NewTopic(topic.name, config={"message.timestamp.type": "CreateTime"})
    admin = kafka_broker.provisioner()._admin
    admin.create_topics([made])[topic.name].result(timeout=60)
    kafka_broker.provision([topic])
    place = ConfigResource(ConfigResource.Type.TOPIC, topic.name)
    set_now = admin.describe_configs([place])[place].result(timeout=60)
    assert set_now["message.timestamp.type"].value == "LogAppendTime"
    assert set_now["retention.ms"].is_default, "nothing else is changed"


def _files(folder: Path) -> dict[Path, bytes]:
    """Every file and its bytes; the agreement's signature is made anew each time, so that a changed
    agreement is signed too.
    """
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".jws"
    }


def _urls() -> dict[str, str]:
    return {name: f"http://127.0.0.1:{topology.port(name)}" for name in topology.SERVICES}
