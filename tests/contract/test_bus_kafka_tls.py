"""Kafka over TLS, as a deployment across machines needs it: a real broker with a certificate,
believed only by who was told to."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from common.bus import BusUnavailable
from common.settings import Settings, SettingsError
from common.web.run import kafka_bus
from deploy.stack import processes
from deploy.stack.kafka import KafkaBroker
from deploy.stack.provision import Acl, Topic
from tests.support.bus_harness import message, number
from tests.unit.common.test_settings import GOOD

pytestmark = pytest.mark.stack

TOPIC, USER = "tls.one.v1", "tls-user"


def certificate(address: str) -> tuple[str, str]:
    """A self-signed certificate for an address, and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker.example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode(), key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ).decode()


class SecureBroker:
    """A broker with a second listener that speaks TLS only."""

    def __init__(self, folder: Path, address: str) -> None:
        self.certificate, key = certificate(address)
        port, controller, self.port = (processes.free_port() for _ in range(3))
        listeners = f"CLIENT://127.0.0.1:{port},SECURE://127.0.0.1:{self.port}"
        settings = {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,SECURE:SASL_SSL",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "listener.name.secure.ssl.keystore.type": "PEM",
            "listener.name.secure.ssl.keystore.certificate.chain": self.certificate.replace(
                "\n", "\\n"
            ),
            "listener.name.secure.ssl.keystore.key": key.replace("\n", "\\n"),
        }
        self.broker = KafkaBroker(folder, port, controller_port=controller, settings=settings)

    def start(self) -> None:
        """Start, with one topic and one user who may write and read it."""
        self.broker.start()
        rules = [Acl(USER, "TOPIC", TOPIC, "READ"), Acl(USER, "TOPIC", TOPIC, "WRITE")]
        self.broker.provision([Topic(TOPIC, 1, 24)], [USER], rules)

    def settings(self, ca_file: Path, host: str = "127.0.0.1") -> Settings:
        """A service's settings for the TLS listener."""
        kafka = {
            "HUB_BUS": "kafka",
            "HUB_KAFKA_BOOTSTRAP": f"{host}:{self.port}",
            "HUB_KAFKA_USER": USER,
        }
        kafka["HUB_KAFKA_PASSWORD"] = self.broker.password_of(USER)
        return Settings.from_env({**GOOD, **kafka, "HUB_KAFKA_CA_FILE": str(ca_file)})


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """The broker, its certificate made out to where it listens."""
    made = SecureBroker(tmp_path_factory.mktemp("tls") / "kafka", "127.0.0.1")
    try:
        made.start()
        yield made
    finally:
        made.broker.kill()


def pem(folder: Path, text: str) -> Path:
    """The text in a file."""
    (folder / "ca.pem").write_text(text)
    return folder / "ca.pem"


async def test_a_service_that_was_told_whom_to_believe_speaks_tls(
    secure: SecureBroker, tmp_path: Path
) -> None:
    bus = kafka_bus(secure.settings(pem(tmp_path, secure.certificate)))
    await bus.start()
    try:
        await bus.publish([message(TOPIC, "k", 7)])
        assert [number(record) for record in await bus.read(TOPIC)] == [7]
        assert await bus.healthy()
    finally:
        await bus.stop()


@pytest.mark.parametrize("lie", ["another certificate", "another name"])
async def test_a_broker_nobody_vouches_for_is_not_spoken_to(
    secure: SecureBroker, tmp_path: Path, lie: str
) -> None:
    if lie == "another name":
        settings = secure.settings(pem(tmp_path, secure.certificate), host="localhost")
    else:
        settings = secure.settings(pem(tmp_path, certificate("127.0.0.1")[0]))
    bus = kafka_bus(settings)
    with pytest.raises(BusUnavailable):
        await bus.start()
    await bus.stop()


def test_a_file_without_certificates_is_an_error_that_names_the_variable(
    secure: SecureBroker, tmp_path: Path
) -> None:
    for file in (pem(tmp_path, "no certificate"), tmp_path / "absent.pem"):
        with pytest.raises(SettingsError, match="HUB_KAFKA_CA_FILE") as refused:
            kafka_bus(secure.settings(file))
        assert str(tmp_path) not in str(refused.value)
