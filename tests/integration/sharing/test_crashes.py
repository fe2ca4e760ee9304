"""Killed at every step of a disclosure, the hub delivers it after the restart, once to each, and
proven."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.forked import lived
from tests.support.road_child import LONG, main

POINTS = (
    "inbox.before-commit",
    "sharing.after-commit",
    "sharing.release-checked",
    "sharing.package-sealed",
)
IN_TURN = ("sharing.read-through",)


async def child(folder: Path, crash_at: str = "") -> tuple[int, dict[str, Any]]:
    """Run the hub in a process of its own; how it ended and what it said."""
    ended, said = await lived(main, folder, output=folder / "said", crash_at=crash_at)
    return ended, json.loads(said) if said else {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "point"),
    [*(("full", point) for point in POINTS), *(("long", point) for point in IN_TURN)],
)
async def test_a_kill_loses_nothing_and_repeats_nothing(
    tmp_path: Path, form: str, point: str
) -> None:
    if form == "long":
        (tmp_path / LONG).touch()
    ended, _ = await child(tmp_path, point)
    assert ended == -signal.SIGKILL, "the crash point was never reached"
    ended, received = await child(tmp_path)
    assert ended == 0
    for name, got in received.items():
        assert (len(got["ids"]), got["proven"], got["same"]) == (1, ["proven"], ["yes"]), name
