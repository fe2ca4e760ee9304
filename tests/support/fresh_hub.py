"""A hub of either mode for one test module or one measurement, in a folder that PostgreSQL's own
account can reach."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.stack import processes
from tests.support.hubs import RunningHub, StackHub, StandaloneHub
from tests.support.ports import free_base

MODES = ("standalone", "stack")


@contextmanager
def fresh_hub(
    mode: str, folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[RunningHub]:
    """A started hub; its deliveries are not spread in time. `variables` are for its processes.

    Stopped at the end, its data and logs stay in `folder`.
    """
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)
    extra = {"HUB_DELIVERY_SPREAD_MS": "0", **(variables or {})}
    made: RunningHub = (
        StandaloneHub(folder, processes.free_port(), extra=extra)
        if mode == "standalone"
        else StackHub(folder, free_base(), extra=extra)
    )
    try:
        made.start()
        yield made
    finally:
        made.stop()
