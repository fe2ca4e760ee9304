"""Fixtures every test may use. They live in tests/support; this file only registers them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import forks, modes, scheduling, stack_parts, tls_once
from tests.support.stack_parts import (
    hub_stack,
    kafka_broker,
    mode,
    mode_broker,
    own_hub_stack,
    own_kafka_broker,
    own_postgres_server,
    postgres_server,
)

__all__ = [
    "hub_stack",
    "kafka_broker",
    "mode",
    "mode_broker",
    "own_hub_stack",
    "own_kafka_broker",
    "own_postgres_server",
    "postgres_server",
]


@pytest.fixture(scope="session", autouse=True)
def forked_processes() -> Iterator[None]:
    """The hub's processes are forks of one that has imported them: tests/support/forks.py."""
    with forks.forking(Path(os.environ[stack_parts.FOLDER])):
        yield


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> Iterator[None]:
    """HTTP clients of this process share what they trust: tests/support/tls_once.py."""
    with tls_once.shared_defaults():
        yield


@pytest.fixture(scope="module")
def new_processes() -> Iterator[None]:
    """Here they start as a newcomer's do: a new interpreter, which imports all that it needs."""
    with forks.anew():
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Runs in the first process and in each worker; only the first has no folder yet."""
    if not hasattr(config, "workerinput"):
        stack_parts.begin_session()
        config.pluginmanager.register(scheduling.Times(config.rootpath))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Runs last in each process; the first one clears up."""
    if not hasattr(config, "workerinput"):
        stack_parts.end_session()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In each worker alike."""
    scheduling.keep_hub_stack_together(config.rootpath, items)
    scheduling.longest_first(config.rootpath, items)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After the test's own fixtures."""
    if scheduling.ends_hub_stack(item.config.rootpath, item, nextitem):
        stack_parts.end_hub_stack()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Asked in the first process only."""
    return scheduling.scheduler(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what meets a hub in each mode that its file is for."""
    if "mode" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("both_modes") is not None
        names = [
            pytest.param(name, marks=[pytest.mark.stack] if name == "stack" else [])
            for name in modes.chosen(marked=marked)
        ]
        metafunc.parametrize("mode", names, indirect=True, scope="module")
