"""Killed at every step of a disclosure, the hub delivers it after the restart, once to each, and
proven."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

POINTS = (
    "inbox.before-commit",
    "sharing.after-commit",
    "sharing.release-checked",
    "sharing.package-sealed",
)


async def child(folder: Path, crash_at: str = "") -> tuple[int, dict[str, Any]]:
    """Run the hub in a process of its own; how it ended and what it said."""
    armed = {"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": crash_at} if crash_at else {}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.road_child",
        str(folder),
        env={**os.environ, **armed},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    )
    said, _ = await process.communicate()
    return process.returncode or 0, json.loads(said) if said else {}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_loses_nothing_and_repeats_nothing(tmp_path: Path, point: str) -> None:
    ended, _ = await child(tmp_path, point)
    assert ended == -signal.SIGKILL, "the crash point was never reached"
    ended, received = await child(tmp_path)
    assert ended == 0
    for name, got in received.items():
        assert (len(got["ids"]), got["proven"], got["same"]) == (1, ["proven"], ["yes"]), name
