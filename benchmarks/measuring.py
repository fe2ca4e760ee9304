"""What every measurement shares: sides taken in turn, medians with their range, the machine, the
load, and the result file."""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"
TICK: Final = os.sysconf("SC_CLK_TCK")


def parser(about: str | None, *, rounds: int = 6) -> argparse.ArgumentParser:
    """The command line of every benchmark; each adds its own options."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument(
        "--rounds",
        type=int,
        default=rounds,
        help="rounds of each side, taken in turn; the first warms up and is not counted",
    )
    made.add_argument(
        "--smoke",
        action="store_true",
        help="the smallest run that goes through every step; its figures mean nothing",
    )
    return made


def in_turn(rounds: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run each side once per round, in turn, so that a slow minute of the machine meets all of
    them. The first round is dropped.
    """
    found: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(max(rounds, 1)):
        for name, side in sides.items():
            value = side()
            if number or rounds <= 1:
                found[name].append(value)
    return found


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity over the counted rounds."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    def line(self) -> str:
        """For people."""
        low, high = min(self.values), max(self.values)
        return (
            f"  {self.name:<52} {shown(self.median):>9} {self.unit:<9} ({shown(low)} to "
            f"{shown(high)}, {len(self.values)} rounds)"
        )

    def plain(self) -> dict[str, Any]:
        """For the result file."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "values": list(self.values),
        }


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours beside something else, with the aim it is held against."""

    name: str
    value: float
    aim: str = ""
    reached: bool | None = None

    def line(self) -> str:
        """For people."""
        verdict = "" if self.reached is None else (": reached" if self.reached else ": MISSED")
        return f"  {self.name:<70} {self.value:6.2f}×" + (
            f"   (aim {self.aim}{verdict})" if self.aim else ""
        )


@dataclass(slots=True)
class Report:
    """What one benchmark says: printed, and written to benchmarks/results."""

    name: str
    compared: str
    samples: str
    smoke: bool = False
    packages: Sequence[str] = ("cryptography",)
    figures: list[Figure] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bottleneck: str = ""
    began: tuple[float, float, float] = field(default_factory=os.getloadavg)

    def figure(self, name: str, unit: str, values: Sequence[float]) -> Figure:
        """Add a quantity."""
        made = Figure(name, unit, values)
        self.figures.append(made)
        return made

    def ratio(
        self,
        name: str,
        value: float,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """Add a ratio, held against an aim if there is one."""
        if at_most is not None:
            self.ratios.append(Ratio(name, value, f"≤ {at_most:g}", value <= at_most))
        elif at_least is not None:
            self.ratios.append(Ratio(name, value, f"≥ {at_least:g}", value >= at_least))
        else:
            self.ratios.append(Ratio(name, value))

    def finish(self) -> None:
        """Print everything and write the result file."""
        print(f"{self.name}: {self.compared}")
        print(f"  N: {self.samples}")
        print(f"  machine: {machine()}")
        print(f"  versions: {', '.join(f'{each} {version(each)}' for each in self.packages)}")
        print(
            f"  load average: {self.began[0]:.1f} at the start, {os.getloadavg()[0]:.1f} at the "
            f"end, {os.cpu_count()} cores"
        )
        for figure in self.figures:
            print(figure.line())
        for ratio in self.ratios:
            print(ratio.line())
        print(f"  bottleneck: {self.bottleneck}")
        for note in self.notes:
            print(f"  note: {note}")
        if self.smoke:
            print("  SMOKE RUN: these figures mean nothing")
        self._write()

    def _write(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        body = {
            "name": self.name,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "smoke": self.smoke,
            "compared": self.compared,
            "n": self.samples,
            "machine": machine(),
            "versions": {each: version(each) for each in self.packages},
            "load": {"start": self.began, "end": os.getloadavg()},
            "figures": [figure.plain() for figure in self.figures],
            "ratios": [
                {"name": r.name, "value": r.value, "aim": r.aim, "reached": r.reached}
                for r in self.ratios
            ],
            "bottleneck": self.bottleneck,
            "notes": self.notes,
        }
        name = f"{self.name}-smoke" if self.smoke else self.name
        (RESULTS / f"{name}.json").write_text(
            json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8"
        )


def shown(value: float) -> str:
    """Three significant digits, and thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def machine() -> str:
    """Processor, cores, memory, kernel and Python; no host name."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    total = next(
        (int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0
    )
    return (
        f"{model}, {os.cpu_count()} cores, {total / 2**20:.0f} GiB, Linux "
        f"{platform.release()}, Python {platform.python_version()}"
    )


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time these processes have used so far, user and system, all their threads (resolution:
    one clock tick).
    """
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def family(pid: int) -> list[int]:
    """A process and the children it has now, such as PostgreSQL's one process per connection."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            found += family(int(child))
    return found


def resident_mib(pid: int) -> float:
    """Memory a process holds now, in MiB."""
    return next(
        int(line.split()[1]) / 1024
        for line in _lines(f"/proc/{pid}/status")
        if line.startswith("VmRSS")
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, round(share * len(ranked) + 0.5) - 1))]


@contextmanager
def idle_share() -> Iterator[dict[str, float]]:
    """Fills in, at the end of the block, which share of the machine's CPU nobody used ("idle")
    while it ran.
    """
    said: dict[str, float] = {}
    before = _machine_ticks()
    yield said
    after = _machine_ticks()
    total = sum(after) - sum(before)
    said["idle"] = (after[3] + after[4] - before[3] - before[4]) / total if total else 0.0


def _machine_ticks() -> list[int]:
    return [int(word) for word in _lines("/proc/stat")[0].split()[1:9]]


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8", errors="replace").splitlines()
