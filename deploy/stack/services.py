"""`make stack`: Kafka, PostgreSQL, provisioning, then one process per service, each waited for; and
the way back down."""

import os
import signal
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deploy.stack import processes, setup, topology
from deploy.stack.kafka import KafkaBroker
from deploy.stack.postgres import PostgresServer

# seconds for a service to migrate its database and join its groups on a busy two-core machine
PATIENCE = 120.0


BASE = "base-port"
"""File in the stack's folder: the base port it was last started with, so that a start on others is
seen.
"""


@dataclass(frozen=True)
class Stack:
    """The running topology in `folder` (data, keys, logs and process ids), its ports counted from
    `base_port`.
    """

    folder: Path
    base_port: int = topology.BASE_PORT
    passphrase: str | None = None
    operator_kid: str | None = None

    @property
    def kafka(self) -> KafkaBroker:
        """The broker, running or not."""
        return KafkaBroker(
            self.folder / "kafka",
            topology.port("kafka", self.base_port),
            controller_port=topology.port("kafka", self.base_port) + 1,
        )

    @property
    def postgres(self) -> PostgresServer:
        """The database server, running or not."""
        return PostgresServer(self.folder / "postgres", topology.port("postgres", self.base_port))

    @property
    def urls(self) -> dict[str, str]:
        """Base URL of each service."""
        return {
            name: f"http://127.0.0.1:{topology.port(name, self.base_port)}"
            for name in topology.SERVICES
        }

    @property
    def servers(self) -> setup.Servers:
        """Kafka and PostgreSQL, as the services are told of them."""
        return setup.Servers(self.kafka.bootstrap, "127.0.0.1", self.postgres.port)

    @property
    def profiles(self) -> Path:
        """Folder of the demo agencies' `hubctl` profiles."""
        return self.folder / "demo"

    def start(self) -> None:
        """Start what is not running yet and wait until all of it is ready.

        On failure what this call started is stopped again.

        Raises NotReady before anything is written when the stack of this folder runs on other
        ports, or a port is somebody else's.
        """
        found = self.running()
        self._refuse_strangers(found)
        try:
            self.start_servers()
            for service in topology.SERVICES:
                self.start_service(service, wait=False)
            for service in topology.SERVICES:
                self.wait_ready(service)
        except BaseException:
            self.stop(leave=found)
            raise

    def running(self) -> frozenset[str]:
        """Name the parts that run in this folder, on whichever ports, without writing anything."""
        found = {
            name
            for name in topology.SERVICES
            if processes.running(self._processes, name) is not None
        }
        if processes.running(self.folder / "kafka", "broker") is not None:
            found.add("kafka")
        if (self.folder / "postgres").exists() and self.postgres.running():
            found.add("postgres")
        return frozenset(found)

    def _refuse_strangers(self, found: frozenset[str]) -> None:
        known = self._known_base()
        if found and known not in (None, self.base_port):
            raise processes.NotReady(
                f"the stack in {self.folder} already runs on STACK_PORT={known}; nothing was "
                "changed. "
                "Stop it first with: make stack-stop, or choose another folder with HUB_DIR"
            )
        for part, port in topology.listens(self.base_port):
            if part not in found and processes.port_is_taken(port):
                raise processes.NotReady(
                    f"port {port} for {part} is in use by another process; choose another base "
                    "with STACK_PORT"
                )

    def _known_base(self) -> int | None:
        """Read the base port that the stack in this folder was last started with."""
        try:
            return int((self.folder / BASE).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def start_servers(self) -> None:
        """Start Kafka and PostgreSQL, provisioned, with keys and profiles."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / ".gitignore").write_text("*\n")  # private keys follow
        (self.folder / BASE).write_text(f"{self.base_port}\n")
        setup.prepare(
            self.folder,
            self.urls,
            self.servers,
            passphrase=self.passphrase,
            operator_kid=self.operator_kid,
        )
        self.postgres.start()
        self.kafka.start()
        setup.provision(self.folder, self.servers)

    def start_service(self, service: str, *, wait: bool = True) -> None:
        """Start one service unless it runs already."""
        if processes.running(self._processes, service) is None:
            port = topology.port(service, self.base_port)
            if processes.port_is_taken(port):
                raise processes.NotReady(
                    f"port {port} for {service} is in use by another process; choose another base "
                    "with STACK_PORT"
                )
            processes.spawn(
                [sys.executable, "-m", service], self._processes, service, self.environment(service)
            )
        if wait:
            self.wait_ready(service)

    def environment(self, service: str) -> dict[str, str]:
        """Make the whole environment of a service's process.

        HUB_* variables of the caller that the topology does not set pass through.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("HUB_KEYRING_PASSPHRASE", "HUB_OPERATOR_KID")
        }  # handed over by file
        return {**inherited, **topology.environment(service, self.place(service))}

    def place(self, service: str) -> topology.Place:
        """Tell where a service finds its things when it runs as a process here."""
        folder = PurePosixPath(self.folder.resolve())
        return topology.Place(
            urls=self.urls,
            host="127.0.0.1",
            ports={name: topology.port(name, self.base_port) for name in topology.SERVICES},
            kafka=self.kafka.bootstrap,
            keyring=folder / "keyring" / service,
            bootstrap=folder / "public",
            secrets=folder / "secrets" / service,
            data=folder / "data" / service,
            otlp=os.environ.get("HUB_OTLP_ENDPOINT", ""),
            locked=self.passphrase is not None,
        )

    def wait_ready(self, service: str) -> None:
        """Wait until the service answers 200 on /readyz; its end, or PATIENCE without an answer, is
        an error with its log.
        """
        log = self._processes / f"{service}.log"

        def ready() -> bool:
            if processes.running(self._processes, service) is None:
                raise processes.NotReady(
                    f"{service} ended while starting; {log} ends "
                    f"with:\n{log.read_text(errors='replace')[-3000:]}"
                )
            return _answers(f"{self.urls[service]}/readyz")

        processes.wait_until(ready, PATIENCE, f"{service} at {self.urls[service]}/readyz", log)

    def stop_service(self, service: str) -> None:
        """Stop one service cleanly."""
        processes.end(self._processes, service)

    def kill_service(self, service: str) -> None:
        """Kill one service with SIGKILL."""
        processes.end(self._processes, service, how=processes.KILL)

    def stop(self, leave: frozenset[str] = frozenset()) -> None:
        """Stop the services, audit last so that it records what the others still say; then Kafka
        and PostgreSQL. Data stay.

        What is in `leave` runs on.
        """
        others = [service for service in topology.SERVICES if service not in leave | {"audit"}]
        for service in others:
            processes.send(self._processes, service, signal.SIGTERM)
        for service in (*others, *({"audit"} - leave)):
            self.stop_service(service)
        if (self.folder / "kafka").exists() and "kafka" not in leave:
            self.kafka.stop()
        if (self.folder / "postgres").exists() and "postgres" not in leave:
            self.postgres.stop()

    def describe(self) -> str:
        """Say what a person needs to know once it runs."""
        lines = [f"  {name:9} {url}" for name, url in self.urls.items()]
        lines += [
            f"  {'kafka':9} {self.kafka.bootstrap} (SASL/SCRAM)",
            f"  {'postgres':9} 127.0.0.1:{self.postgres.port}",
        ]
        return "\n".join(
            [
                "The hub is running:",
                *lines,
                (
                    f"Profiles: {self.profiles} "
                    f"{'' if self.passphrase else '(keys unprotected: for demonstrations only)'}"
                ),
                (
                    "          such as: .venv/bin/hubctl --profile "
                    f"{self.profiles}/northmoor-idva.toml inbox"
                ),
                f"Sign in:  {self.urls['portal']}/",
                f"The log:  .venv/bin/hubctl audit verify {self.urls['audit']}/log",
                f"Logs:     {self._processes}",
                "Stop it:  make stack-stop",
            ]
        )

    @property
    def _processes(self) -> Path:
        return self.folder / "processes"


def _answers(url: str) -> bool:
    try:
        # Always http to this machine
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
