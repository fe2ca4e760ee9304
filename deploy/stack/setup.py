"""What both kinds of deployment do before the first service starts: make keys and passwords, then
provision the servers."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from common import topics
from deploy.stack import databases, processes, topology
from deploy.stack.provision import Provisioner
from deploy.stack.secrets import derived, root_secret, write
from hubformats.bootstrap import FILE_NAME
from identity.bootstrap.use_cases.create import create
from sharing.wiring import sign_agreement

KAFKA_SUPERUSER = "broker"
POSTGRES_SUPERUSER = "postgres"
PATIENCE = 120.0


@dataclass(frozen=True)
class Servers:
    """Where Kafka (`host:port`) and PostgreSQL are, as the services see them."""

    kafka: str
    postgres_host: str
    postgres_port: int


def kafka_password(folder: Path, user: str) -> str:
    """Derive a Kafka principal's password from the broker's root secret in `folder`."""
    root = root_secret(folder / "kafka" / "superuser.secret")
    return root if user == KAFKA_SUPERUSER else derived(root, "kafka-user", user)


def postgres_password(folder: Path, role: str) -> str:
    """Derive a database role's password from the server's root secret in `folder`."""
    root = root_secret(folder / "postgres" / "superuser.secret")
    return root if role == POSTGRES_SUPERUSER else derived(root, "postgres-role", role)


def prepare(
    folder: Path,
    urls: Mapping[str, str],
    servers: Servers,
    *,
    passphrase: str | None = None,
    operator_kid: str | None = None,
) -> None:
    """Make keys, the bootstrap file, the demo profiles and one folder of passwords per service.

    Needs no server; may be repeated.

    A `passphrase` locks the keyrings and makes the bootstrap file one of a hub that is no
    demonstration.
    `operator_kid` pins the operator's key; without it the pin of the first time holds.
    Raises NotReady when the operator's key is another than the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root_secret(folder / "kafka" / "controller.secret")
    passwords = {agency: kafka_password(folder, agency) for agency in topology.AGENCIES}
    bootstrap = create(
        folder,
        urls,
        kafka={"bootstrap": servers.kafka, "passwords": passwords},
        passphrase=passphrase,
    )
    _pin(folder, bootstrap.operator.kid, operator_kid)
    sign_agreement(folder, bootstrap.area.id)
    for name in (
        "bootstrap.json",
        "operator.jwk",
    ):
        # What every service may read, apart from what only one may
        (folder / "public").mkdir(exist_ok=True)
        shutil.copyfile(folder / name, folder / "public" / name)
    shutil.copytree(folder / "agreements", folder / "public" / "agreements", dirs_exist_ok=True)
    for service in topology.SERVICES:
        _hand_over(folder, service, servers)
        if passphrase:
            write(folder / "secrets" / service / "keyring-passphrase", passphrase)
        (folder / "data" / service).mkdir(parents=True, exist_ok=True)


def _hand_over(folder: Path, service: str, servers: Servers) -> None:
    """Write the passwords of one service into its folder of secrets."""
    secrets = folder / "secrets" / service
    database = databases.url(
        service,
        postgres_password(folder, service),
        servers.postgres_host,
        servers.postgres_port,
    )
    write(secrets / "database-url", database)
    write(secrets / "kafka-password", kafka_password(folder, service))
    if service == "identity":  # who suspends an agency closes its topic; nobody else holds this
        doorkeeper = kafka_password(folder, topics.DOORKEEPER)
        write(secrets / "kafka-doorkeeper-password", doorkeeper)


def _pin(folder: Path, found: str, given: str | None) -> None:
    """Give each service the operator's thumbprint apart from the file it pins, once for all."""
    places = [folder / "secrets" / service / "operator-kid" for service in topology.SERVICES]
    pins = {"HUB_OPERATOR_KID": given} if given else {}
    pins |= {str(place): place.read_text().strip() for place in places if place.exists()}
    for where, pin in pins.items():
        if pin != found:
            raise processes.NotReady(
                f"{where} does not fit {folder / FILE_NAME}: its operator's key has another "
                "thumbprint. Put back the file, or have the operator give you the new thumbprint"
            )
    for place in places:
        if not place.exists():
            write(place, found)


def provision(folder: Path, servers: Servers) -> None:
    """Create topics, users, access rules, databases and roles on running servers.

    May be repeated.
    """
    provisioner = Provisioner(
        servers.kafka, KAFKA_SUPERUSER, kafka_password(folder, KAFKA_SUPERUSER)
    )
    processes.wait_until(
        provisioner.every_partition_has_a_leader, PATIENCE, f"Kafka at {servers.kafka}"
    )
    users = {user: kafka_password(folder, user) for user in topology.PRINCIPALS}
    provisioner.apply(topology.kafka_topics(), users, topology.kafka_acls())
    with psycopg.connect(
        host=servers.postgres_host,
        port=servers.postgres_port,
        user=POSTGRES_SUPERUSER,
        password=postgres_password(folder, POSTGRES_SUPERUSER),
        dbname="postgres",
        autocommit=True,
    ) as connection:
        databases.close_shared(connection)
        for service in topology.SERVICES:
            databases.create(connection, service, postgres_password(folder, service))


def of_deployment(description: str) -> tuple[Mapping[str, str], Servers]:
    """Read URLs and servers from the JSON that docker-compose.yml hands to its set-up container."""
    found = json.loads(description)
    return found["urls"], Servers(
        found["kafka"], found["postgres"]["host"], found["postgres"]["port"]
    )
