"""Every benchmark goes through all its steps in its smallest run; no figure of that run means
anything, and none is judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
# The loop of kills is a test of promises rather than of speed; it has tests of its own.
NAMES = sorted(
    place.parent.name for place in BENCHMARKS.glob("*/__main__.py") if place.parent.name != "kills"
)
MODES = [
    (name, mode)
    for name in NAMES
    for mode in (("standalone", "stack") if name in {"intake", "road"} else ("",))
]

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


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_smallest_run(name: str, mode: str) -> None:
    """It ends well, says machine, versions, load, ratio and bottleneck, and writes them for a
    program to read.
    """
    result = BENCHMARKS / "results" / f"{name}-smoke.json"
    result.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        f"benchmarks.{name}",
        "--smoke",
        *(("--mode", mode) if mode else ()),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=840, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = json.loads(result.read_text("utf-8"))
    assert said["smoke"]
    assert said["ratios"]
    assert all(
        said[part]
        for part in ("machine", "versions", "load", "compared", "n", "bottleneck", "figures")
    )
    for word in ("machine:", "versions:", "load average:", "bottleneck:", "SMOKE RUN"):
        assert word in done.stdout


def test_every_benchmark_is_explained() -> None:
    """The page that tells people what is measured names each of them."""
    page = (BENCHMARKS / "README.md").read_text("utf-8")
    assert [name for name in NAMES if f"`{name}`" not in page] == []
