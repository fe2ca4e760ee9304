"""Hubs to measure: fresh ones of either mode in a folder of their own, and the process ids of their
parts."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.stack import processes, topology
from tests.support.hubs import RunningHub, StackHub, StandaloneHub
from tests.support.ports import free_base

RUNNING: Final = {"standalone": "BENCH_STANDALONE", "stack": "BENCH_STACK"}
"""By mode, the variable with `FOLDER:PORT` of a hub that runs already, for smallest runs that share
one.
"""


def shared(mode: str, extra: Mapping[str, str] | None = None) -> RunningHub | None:
    """Find the hub of that mode which `RUNNING` names, if it names one."""
    if RUNNING[mode] not in os.environ:
        return None
    place, port = os.environ[RUNNING[mode]].rsplit(":", 1)
    made: type[StackHub | StandaloneHub] = StackHub if mode == "stack" else StandaloneHub
    return made(Path(place), int(port), extra=dict(extra or {}))


@contextmanager
def hub(mode: str, *, extra: Mapping[str, str] | None = None) -> Iterator[RunningHub]:
    """A started hub of that mode, as its users run it but without the spread of deliveries; stopped
    and deleted at the end. One named by `RUNNING` is used in its place and left as it is.
    """
    given = {"HUB_DELIVERY_SPREAD_MS": "0", **(extra or {})}
    if running := shared(mode, given):
        yield running
        return
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    folder.chmod(
        0o711
    )  # PostgreSQL runs under an account of its own and must be able to pass through
    made: RunningHub = (
        StackHub(folder, free_base(), extra=given)
        if mode == "stack"
        else StandaloneHub(folder, processes.free_port(), extra=given)
    )
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def pid_of(running: RunningHub, service: str) -> int:
    """The process that runs a service: its own in the stack, the one of the hub in standalone
    mode.
    """
    if isinstance(running, StackHub):
        found = processes.running(running.stack.folder / "processes", service)
    else:
        found = processes.running(running.folder / "processes", "standalone")
    if found is None:
        raise RuntimeError(f"{service} is not running")
    return found


def service_pids(running: RunningHub) -> dict[str, int]:
    """Every process of ours, by name; the broker and PostgreSQL are not among them."""
    if isinstance(running, StackHub):
        return {service: pid_of(running, service) for service in topology.SERVICES}
    return {"standalone": pid_of(running, "standalone")}
