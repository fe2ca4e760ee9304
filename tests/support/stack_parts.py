"""Real Kafka and PostgreSQL for tests: one of each per run, started at first use and shared by all
pytest workers."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from deploy.stack import processes
from deploy.stack.kafka import KafkaBroker
from deploy.stack.postgres import PostgresServer
from deploy.stack.services import Stack
from tests.support import forks
from tests.support.modes import STANDALONE, Mode, StackMode
from tests.support.ports import free_base

FOLDER = "HUB_TEST_STACK"
PREFIX = "hub-test-stack-"


def begin_session() -> None:
    """Choose the run's folder (the first process of the run does; its workers inherit it) and end
    what killed runs left behind.
    """
    if FOLDER in os.environ:
        return
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{PREFIX}*"):
        owner = left.name.removeprefix(PREFIX)
        if owner.isdigit() and not processes.alive(int(owner)):
            with suppress(processes.NotReady):  # another run is clearing it up at this moment
                _stop(left)
    folder = root / f"{PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o711)  # PostgreSQL's account must be able to pass through
    os.environ[FOLDER] = str(folder)


def end_session() -> None:
    """Stop what this run started and delete its data."""
    _stop(Path(os.environ.pop(FOLDER)))


@pytest.fixture(scope="session")
def kafka_broker() -> KafkaBroker:
    """The run's broker.

    Make your own topics, users and ACLs with `provision`; use names no other test uses; never stop
    it.

    For tests that kill, pause or restart a broker: `own_kafka_broker`.
    """
    with _starting("kafka") as folder:
        broker = KafkaBroker(
            folder, _port(folder, "port"), controller_port=_port(folder, "controller")
        )
        broker.start()
    return broker


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """The run's PostgreSQL without fsync: `database(name)` gives a SQLAlchemy URL; use names no
    other test uses; never stop it.
    """
    with _starting("postgres") as folder:
        server = PostgresServer(folder, _port(folder, "port"), durable=False)
        server.start()
    return server


@pytest.fixture(scope="session")
def hub_stack() -> Stack:
    """The run's whole hub as `make stack` runs it: every service a process on Kafka and PostgreSQL.

    For tests of the group `hub-stack` alone: it ends with the last of them. Never stop it; about
    30 s to start.
    """
    with _starting("stack") as folder:
        stack = Stack(folder, _base_port(folder))
        stack.start()
    return stack


def end_hub_stack() -> None:
    """Stop the run's whole hub if it was started: standing idle it takes a fifth of a core."""
    folder = Path(os.environ[FOLDER]) / "stack"
    if folder.exists():
        Stack(folder, _base_port(folder)).stop()


@pytest.fixture
def own_hub_stack() -> Iterator[Stack]:
    """A whole hub of the test's own, not started yet, to kill parts of."""
    folder = Path(tempfile.mkdtemp(prefix="hub-own-stack-"))
    folder.chmod(0o711)
    stack = Stack(folder, _base_port(folder))
    try:
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def mode_broker() -> Iterator[KafkaBroker]:
    """This worker's broker, for one hub after the other; see `tests.support.modes`."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    broker = KafkaBroker(Path(os.environ[FOLDER]) / f"kafka-{worker}", processes.free_port())
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture(scope="module")
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    """The mode of this round of the file: `conftest.py` deals the modes that `modes.chosen`."""
    if request.param == "standalone":
        yield STANDALONE
        return
    server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
    made = StackMode(server, lambda: cast(KafkaBroker, request.getfixturevalue("mode_broker")))
    yield made
    made.clear()


@pytest.fixture
def own_kafka_broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker of the test's own, to kill, pause and restart; takes about four seconds to start."""
    broker = KafkaBroker(tmp_path / "kafka", processes.free_port())
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to kill and restart; takes under a second to start."""
    folder = Path(tempfile.mkdtemp(prefix="hub-own-postgres-"))
    folder.chmod(0o711)
    server = PostgresServer(folder, processes.free_port(), durable=False)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


@contextmanager
def _starting(name: str) -> Iterator[Path]:
    """The named part's folder, under a lock: the first worker starts it, the others find it
    running.
    """
    folder = Path(os.environ[FOLDER]) / name
    folder.mkdir(exist_ok=True)
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _port(folder: Path, name: str) -> int:
    """The port written in the folder, chosen by whoever asks first."""
    path = folder / name
    if not path.exists():
        path.write_text(str(processes.free_port()))
    return int(path.read_text())


def _base_port(folder: Path) -> int:
    """A base from which every port of the topology is free, kept in the folder."""
    path = folder / "base-port"
    if not path.exists():
        path.write_text(str(free_base()))
    return int(path.read_text())


def _stop(folder: Path) -> None:
    forks.end(folder)
    if (folder / "stack").exists():
        Stack(folder / "stack", _base_port(folder / "stack")).stop()
    for broker in folder.glob("kafka*"):
        processes.end(broker, "broker", patience=5)
    if (folder / "postgres").exists():
        PostgresServer(folder / "postgres", _port(folder / "postgres", "port")).kill()
    shutil.rmtree(folder, ignore_errors=True)
