"""The production topology, once: `make stack` starts it as processes, docker-compose.yml is written
from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from common import topics as bus
from deploy.stack import access_list
from deploy.stack.provision import Acl, Topic
from identity.bootstrap.model import northmoor

# In order of start: audit first, because nothing may be disclosed or read before it can be
# recorded.
SERVICES = ("audit", "identity", "referral", "sharing", "portal")
AGENCIES = tuple(northmoor.AGENCIES)
BASE_PORT = 8100
OFFSETS: Mapping[str, int] = {
    "portal": 0,
    "referral": 1,
    "sharing": 2,
    "audit": 3,
    "identity": 4,
    "postgres": 32,
    "kafka": 92,
}
PRINCIPALS = (*SERVICES, *AGENCIES, bus.DOORKEEPER)


def port(part: str, base: int = BASE_PORT) -> int:
    """Return the TCP port of a service, of `kafka` or of `postgres`, counted from `base`."""
    return base + OFFSETS[part]


def ports(base: int = BASE_PORT) -> list[int]:
    """List every TCP port the topology listens on."""
    return [number for _, number in listens(base)]


def listens(base: int = BASE_PORT) -> list[tuple[str, int]]:
    """List every part with each TCP port it listens on; Kafka's controller is beside Kafka."""
    return [*((part, port(part, base)) for part in OFFSETS), ("kafka", port("kafka", base) + 1)]


def kafka_topics() -> list[Topic]:
    """List every topic of the demo area's hub, quarantine topics included."""
    return [
        Topic(spec.name, spec.partitions, spec.retention_hours) for spec in bus.topics(AGENCIES)
    ]


def kafka_acls() -> list[Acl]:
    """List every allowance; whatever is not here is denied."""
    # Kafka has no smaller right by which a rule can be changed; it opens no topic and no group by
    # itself.
    doorkeeper = Acl(bus.DOORKEEPER, "BROKER", "kafka-cluster", "ALTER")
    return [
        doorkeeper,
        *(
            Acl(
                rule.principal,
                "TOPIC" if rule.kind == "topic" else "GROUP",
                rule.resource,
                rule.operation,
                rule.pattern == "prefixed",
            )
            for rule in access_list.acls(bus.topics(AGENCIES))
        ),
    ]


@dataclass(frozen=True)
class Place:
    """What differs between processes and containers: addresses and folders.

    Everything else a service is told is the same.
    """

    urls: Mapping[str, str]
    host: str
    ports: Mapping[str, int]
    kafka: str
    keyring: PurePosixPath
    bootstrap: PurePosixPath
    secrets: PurePosixPath
    data: PurePosixPath
    otlp: str = ""
    locked: bool = False  # keyrings open with a passphrase only, so this is no demonstration


def environment(service: str, place: Place) -> dict[str, str]:
    """Make the HUB_* settings of one service.

    Secrets are named by file, so that neither `ps` nor `docker inspect` shows one.
    """
    settings = {
        "HUB_SERVICE_URL": place.urls[service],
        "HUB_ISSUER": place.urls["identity"],
        "HUB_DATABASE_URL_FILE": str(place.secrets / "database-url"),
        "HUB_BUS": "kafka",
        "HUB_KAFKA_BOOTSTRAP": place.kafka,
        "HUB_KAFKA_USER": service,
        "HUB_KAFKA_PASSWORD_FILE": str(place.secrets / "kafka-password"),
        "HUB_KEYRING_DIR": str(place.keyring),
        "HUB_BOOTSTRAP_FILE": str(place.bootstrap),
        "HUB_OPERATOR_KID_FILE": str(place.secrets / "operator-kid"),
        "HUB_DATA_DIR": str(place.data),
        "HUB_HOST": place.host,
        "HUB_PORT": str(place.ports[service]),
        **(
            {"HUB_KEYRING_PASSPHRASE_FILE": str(place.secrets / "keyring-passphrase")}
            if place.locked
            else {"HUB_DEMO": "1"}
        ),
        **{f"HUB_{other.upper()}_URL": place.urls[other] for other in SERVICES},
    }
    if service == "identity":
        settings["HUB_KAFKA_DOORKEEPER_PASSWORD_FILE"] = str(
            place.secrets / "kafka-doorkeeper-password"
        )
    return settings | ({"HUB_OTLP_ENDPOINT": place.otlp} if place.otlp else {})
