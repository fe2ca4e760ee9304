"""Topics, users and ACLs of a Kafka cluster, made through its admin protocol; used for provisioning
only, never by a service."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic

from deploy.stack import processes

Kind = Literal[
    "TOPIC", "GROUP", "TRANSACTIONAL_ID", "BROKER"
]  # BROKER is librdkafka's word for the cluster
Operation = Literal["READ", "WRITE", "DESCRIBE", "ALTER"]
HOUR_MS = 3_600_000
DATED = {"message.timestamp.type": "LogAppendTime"}
"""When an agency's word came is the broker's to say: a thief of its key would write any time.
Decision 0022.
"""


@dataclass(frozen=True, order=True)
class Topic:
    """A topic to exist: retention in hours; Kafka's own default replication for the cluster."""

    name: str
    partitions: int = 1
    retention_hours: int = 14 * 24
    replication: int = 1


@dataclass(frozen=True, order=True)
class Acl:
    """One allowance: `user` may do `operation` on the resource, or on every resource whose name
    starts so if `prefixed`.
    """

    user: str
    kind: Kind
    name: str
    operation: Operation
    prefixed: bool = False


class Provisioner:
    """Applies topics, users and ACLs as a superuser; applying twice changes nothing."""

    def __init__(self, bootstrap: str, user: str, password: str) -> None:
        self._access: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": password,
            "reconnect.backoff.max.ms": 200,
            # a broker that is still starting refuses connections; that is expected, not news
            "log_level": 0,
        }
        self._admin = AdminClient(self._access)

    def apply(
        self,
        topics: Iterable[Topic] = (),
        users: Mapping[str, str] | None = None,
        acls: Iterable[Acl] = (),
    ) -> None:
        """Create what is missing and set passwords; return when every partition has a leader."""
        names, wanted = dict(users or {}), set(acls)
        self._create_users(names)
        self._create_topics(list(topics))
        self._create_acls(sorted(wanted))
        self._warm_up_groups()
        # The controller's word comes before the broker has applied it: a client that connects at
        # once could still be refused.
        processes.wait_until(lambda: wanted <= self.acls(), 30, "access rules in force")
        processes.wait_until(lambda: not names or self.knows(names), 30, "users known")
        processes.wait_until(self.every_partition_has_a_leader, 30, "leaders for all partitions")

    def acls(self) -> set[Acl]:
        """List every allowance in force.

        A refusal, such as a suspended agency's, is not ours to count or to change.
        """
        everything = AclBindingFilter(
            ResourceType.ANY,
            None,  # type: ignore[arg-type]  # None is how the protocol says any name
            ResourcePatternType.ANY,
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            AclOperation.ANY,
            AclPermissionType.ALLOW,
        )
        return {
            Acl(
                rule.principal.removeprefix("User:"),
                rule.restype.name,
                rule.name,
                rule.operation.name,
                rule.resource_pattern_type is ResourcePatternType.PREFIXED,
            )
            for rule in self._admin.describe_acls(everything).result(timeout=60)
        }

    def knows(self, users: Iterable[str]) -> bool:
        """Tell whether each of these users can sign in with SCRAM."""
        known = self._admin.describe_user_scram_credentials(list(users))
        assert isinstance(known, dict)  # noqa: S101 - a list was asked for
        return all(future.exception(timeout=60) is None for future in known.values())

    def topics(self) -> dict[str, int]:
        """List the existing topics, Kafka's own excepted, with their number of partitions."""
        found = self._admin.list_topics(timeout=60).topics
        return {
            name: len(topic.partitions)
            for name, topic in found.items()
            if not name.startswith("__")
        }

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete topics and wait for the controller's word."""
        for future in self._admin.delete_topics(list(names)).values():
            future.result(timeout=60)

    def every_partition_has_a_leader(self) -> bool:
        """Tell whether every partition has a leader; false too while the broker does not answer."""
        try:
            found = self._admin.list_topics(timeout=10)
        except KafkaException:
            return False
        leaders = [
            partition.leader
            for topic in found.topics.values()
            for partition in topic.partitions.values()
        ]
        return bool(found.brokers) and -1 not in leaders

    def _warm_up_groups(self) -> None:
        """Make Kafka create its offsets topic now, so that the first service to join a group is not
        told to come back later.
        """
        consumer = Consumer({**self._access, "group.id": "warm-up"})
        try:
            processes.wait_until(
                lambda: _has_coordinator(consumer), 30, "a coordinator for consumer groups"
            )
        finally:
            consumer.close()

    def _create_topics(self, topics: list[Topic]) -> None:
        existing = set(self._admin.list_topics(timeout=60).topics)
        self._date_by_broker([topic.name for topic in topics if topic.name in existing])
        wanted = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config={
                    "retention.ms": str(topic.retention_hours * HOUR_MS),
                    "cleanup.policy": "delete",
                    **DATED,
                },
            )
            for topic in topics
            if topic.name not in existing
        ]
        for future in (self._admin.create_topics(wanted) if wanted else {}).values():
            future.result(timeout=60)

    def _date_by_broker(self, names: list[str]) -> None:
        """Have the broker date what comes, also on topics that an earlier release created."""
        changes = [
            ConfigResource(
                ConfigResource.Type.TOPIC,
                name,
                incremental_configs=[
                    ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
                    for setting, value in DATED.items()
                ],
            )
            for name in names
        ]
        for future in (self._admin.incremental_alter_configs(changes) if changes else {}).values():
            future.result(timeout=60)

    def _create_users(self, users: Mapping[str, str]) -> None:
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        changes: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(user, scram, password.encode())
            for user, password in users.items()
        ]
        for future in (
            self._admin.alter_user_scram_credentials(changes) if changes else {}
        ).values():
            future.result(timeout=60)

    def _create_acls(self, acls: list[Acl]) -> None:
        bindings = [
            AclBinding(
                ResourceType[acl.kind],
                acl.name,
                ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL,
                f"User:{acl.user}",
                "*",
                AclOperation[acl.operation],
                AclPermissionType.ALLOW,
            )
            for acl in acls
        ]
        for future in (self._admin.create_acls(bindings) if bindings else {}).values():
            future.result(timeout=60)


def _has_coordinator(consumer: Consumer) -> bool:
    try:
        consumer.committed([TopicPartition("warm-up", 0)], timeout=5)
    except KafkaException:
        return False
    return True
