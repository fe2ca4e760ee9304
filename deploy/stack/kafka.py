"""A one-node Kafka (KRaft) with SASL/SCRAM-SHA-512 and ACLs, denied by default, in a chosen folder
on chosen ports."""

import re
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.stack import parts, processes
from deploy.stack.provision import Acl, Provisioner, Topic
from deploy.stack.secrets import derived, root_secret

PROPERTIES = Path(__file__).resolve().parents[1] / "kafka" / "server.properties"
LOGGING = Path(__file__).resolve().parents[1] / "kafka" / "log4j2.yaml"
SUPERUSER = "broker"
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED")
"""For a JVM that lives for a test or a demonstration: what it saves is its own start."""


class KafkaBroker:
    """One broker.

    `folder` holds its settings, data, log and process id; starting again in the same folder keeps
    the data.

    `advertised_port` is what clients are told to connect to, for a fault-injecting proxy between
    them and the broker.
    `settings` are broker settings that replace or follow those of `server.properties`, such as a
    listener with TLS.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        controller_port: int | None = None,
        advertised_port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.controller_port = controller_port or processes.free_port()
        self.advertised_port = advertised_port or port
        self._settings = settings or {}
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def bootstrap(self) -> str:
        """The `host:port` clients connect to."""
        return f"127.0.0.1:{self.advertised_port}"

    @property
    def superuser(self) -> str:
        """Name of the principal no ACL binds; for provisioning and for tests that look at
        everything.
        """
        return SUPERUSER

    @property
    def password(self) -> str:
        """The superuser's password, made at first use and kept in the folder, readable by its owner
        only.
        """
        return root_secret(self.folder / "superuser.secret")

    def password_of(self, user: str) -> str:
        """Derive the password of `user`."""
        return derived(self.password, "kafka-user", user)

    def start(self, patience: float = 60.0) -> None:
        """Format the storage if it is new, start the broker and wait until every partition has a
        leader.
        """
        if processes.running(self.folder, "broker") is None:
            if processes.port_is_taken(self.port):
                raise processes.NotReady(
                    f"port {self.port} is in use by another process; choose another (STACK_PORT) "
                    "or stop it"
                )
            self._write_settings()
            self._format()
            broker = [*self._java(["-Xms192m", "-Xmx384m"]), "kafka.Kafka", str(self._properties)]
            processes.spawn(broker, self.folder, "broker")
        self.wait_ready(patience)

    def stop(self) -> None:
        """Stop cleanly: data flushed, session ended, so that the next start is quick."""
        processes.end(self.folder, "broker", patience=30)

    def kill(self) -> None:
        """Kill it as a power cut would; the next start waits for the old session (about 4 s)."""
        processes.end(self.folder, "broker", how=signal.SIGKILL)

    def pause(self) -> None:
        """Hang the broker with SIGSTOP: connections stay open.

        Returns once no thread of it runs, so that nothing is answered any more.
        """
        processes.send(self.folder, "broker", signal.SIGSTOP)
        processes.wait_until(
            lambda: processes.stands_still(self.folder, "broker"), 10, "the broker's last thread"
        )

    def resume(self) -> None:
        """Let the broker go on after `pause`."""
        processes.send(self.folder, "broker", signal.SIGCONT)

    def restart(self) -> None:
        """Clean stop and start."""
        self.stop()
        self.start()

    def provision(
        self,
        topics: Iterable[Topic] = (),
        users: Mapping[str, str] | Iterable[str] = (),
        acls: Iterable[Acl] = (),
    ) -> None:
        """Create what is missing.

        Users given by name alone get `password_of(name)`. Returns when every partition has a
        leader.
        """
        named = (
            users
            if isinstance(users, Mapping)
            else {user: self.password_of(user) for user in users}
        )
        self.provisioner().apply(topics, named, acls)

    def provisioner(self) -> Provisioner:
        """Open an administrator's connection as the superuser."""
        return Provisioner(self.bootstrap, SUPERUSER, self.password)

    def wait_ready(self, patience: float = 60.0) -> None:
        """Wait until the broker answers metadata and no partition is without a leader: a TCP
        connect proves neither.
        """
        provisioner = self.provisioner()
        processes.wait_until(
            lambda: self._ready(provisioner),
            patience,
            f"Kafka on port {self.port}",
            self.folder / "broker.log",
        )

    def _ready(self, provisioner: Provisioner) -> bool:
        if processes.running(self.folder, "broker") is None:
            tail = (self.folder / "broker.log").read_text(errors="replace")[-3000:]
            raise processes.NotReady(f"Kafka on port {self.port} ended while starting:\n{tail}")
        return provisioner.every_partition_has_a_leader()

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _write_settings(self) -> None:
        values = {
            "listen": "127.0.0.1",
            "host": "127.0.0.1",
            "port": str(self.port),
            "advertised_port": str(self.advertised_port),
            "controller_port": str(self.controller_port),
            "superuser": SUPERUSER,
            "superuser_password": self.password,
            "controller_password": root_secret(self.folder / "controller.secret"),
            "data": str(self.folder / "data"),
        }
        text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], PROPERTIES.read_text())
        self._properties.touch(mode=0o600)
        # Of two lines with one name the last counts.
        self._properties.write_text(
            text + "".join(f"{name}={value}\n" for name, value in self._settings.items())
        )

    def _format(self) -> None:
        if (self.folder / "data" / "meta.properties").exists():
            return
        scram = f"SCRAM-SHA-512=[name={SUPERUSER},password={self.password}]"
        # any 16 bytes, base64url: the folder, not this id, tells clusters apart
        cluster = "aHViLXN0YWNrLWthZmthMA"
        command = [
            *self._java(["-Xmx128m"]),
            "kafka.tools.StorageTool",
            "format",
            "-t",
            cluster,
            "-c",
            str(self._properties),
            "--standalone",
        ]
        done = subprocess.run(
            [*command, "--add-scram", scram],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        if done.returncode:
            raise processes.NotReady(
                "Kafka storage could not be formatted in "
                f"{self.folder}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            )

    def _java(self, flags: list[str]) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={LOGGING}"
        return [str(parts.java()), *SMALL, *flags, logging, "-cp", parts.kafka_classpath()]
