"""Every benchmark goes through all its steps in its smallest run.

The figures of such a run mean nothing, and none is judged.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import RUNNING, hub
from tests.support.hubs import StackHub, StandaloneHub

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
# The loop of kills is a test of promises rather than of speed; it has tests of its own.
NAMES = sorted(
    place.parent.name for place in BENCHMARKS.glob("*/__main__.py") if place.parent.name != "kills"
)
IN_BOTH_MODES = ("road", "intake")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.go,
    pytest.mark.stack,
    pytest.mark.xdist_group("benchmarks"),
    pytest.mark.timeout(900),
]


def test_there_is_one_for_every_ratio_that_is_promised() -> None:
    """Envelope, log, intake and road (performance reference, section 5)."""
    assert {"audit_log", "envelope", "intake", "road"} <= set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in IN_BOTH_MODES])
def test_smallest_run(name: str) -> None:
    """It names machine, versions, load, ratio and bottleneck, on the screen and in its file."""
    smallest_run(name, name)


def test_smallest_runs_on_hubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each mode is started as the measurements start theirs, and shared.

    Intake comes last: it pauses services and leaves them so.
    """
    with hub("standalone") as standalone, hub("stack") as stack:
        assert isinstance(standalone, StandaloneHub)
        assert isinstance(stack, StackHub)
        for each in (standalone, stack):
            monkeypatch.setenv(RUNNING[each.mode], f"{each.folder}:{each.port}")
        run_in_both_modes("road")
        compare_a_checkout_with_itself("standalone")
        run_in_both_modes("intake")


def run_in_both_modes(name: str) -> None:
    """Each mode has its ratios."""
    said = smallest_run(name, name)
    modes = {re.split("[,:]", each["name"])[0] for each in said["ratios"]}
    assert modes == {"standalone", "stack"}


def compare_a_checkout_with_itself(mode: str) -> None:
    """By turns; the one that stands for the other checkout starts a hub of its own."""
    said = smallest_run("road", "road-against", "--mode", mode, "--against", str(ROOT))
    assert [each["name"] for each in said["ratios"]] == [
        f"{mode}: road p50, this / other",
        f"{mode}: CPU per referral, this / other",
    ]
    assert any("0 and 0 deliveries missing" in note for note in said["notes"])


def smallest_run(name: str, result_name: str, *options: str) -> dict[str, Any]:
    """Run a benchmark with its smallest numbers, check what it prints, and return its result."""
    result = BENCHMARKS / "results" / f"{result_name}-smoke.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", "--smoke", *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=840, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said: dict[str, Any] = json.loads(result.read_text("utf-8"))
    assert said["smoke"]
    assert said["ratios"]
    assert all(
        said[part]
        for part in ("machine", "versions", "load", "compared", "n", "bottleneck", "figures")
    )
    for word in ("machine:", "versions:", "load average:", "bottleneck:", "SMOKE RUN"):
        assert word in done.stdout
    return said


def test_every_benchmark_is_explained() -> None:
    """The page that tells people what is measured names each of them."""
    page = (BENCHMARKS / "README.md").read_text("utf-8")
    assert [name for name in NAMES if f"`{name}`" not in page] == []
