"""The broker's access list, as it follows from who writes and reads each topic."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from common.topics import TopicSpec


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One allow row of Kafka's access list; whatever has no row is denied.

    `resource` is a topic name (pattern literal) or the start of a group name (pattern prefixed).
    WRITE and READ
    include DESCRIBE; an idempotent producer needs no cluster right since Kafka 3.0.
    """

    principal: str
    operation: Literal["READ", "WRITE"]
    kind: Literal["topic", "group"]
    resource: str
    pattern: Literal["literal", "prefixed"]


def acls(specs: Iterable[TopicSpec]) -> tuple[AccessRule, ...]:
    """List the allow rows of these topics and of each reader's groups `<principal>.*`, sorted."""
    rows: set[AccessRule] = set()
    for spec in specs:
        rows.update(
            AccessRule(who, "WRITE", "topic", spec.name, "literal") for who in spec.producers
        )
        for who in spec.consumers:
            rows.add(AccessRule(who, "READ", "topic", spec.name, "literal"))
            rows.add(AccessRule(who, "READ", "group", who + ".", "prefixed"))
    return tuple(
        sorted(rows, key=lambda row: (row.principal, row.kind, row.resource, row.operation))
    )
