"""Two checkouts by turns in one run: the road's p50 and the CPU per referral of this one beside
those of another.
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2

from benchmarks import measuring
from benchmarks.measuring import Report, cpu_seconds, quantile
from benchmarks.road.arrivals import Partners
from benchmarks.running import service_pids, shared
from deploy.stack import processes, topology
from tests.support import hubs
from tests.support.ports import free_base

RATE: Final = 2.0
"""Referrals a second."""
TOLERANCE: Final = 1.05
"""Ratio up to which two medians count as the same: two runs of one checkout differ by as much."""
_START_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree with an environment of its own in `.venv`."""

    name: str
    root: Path

    @property
    def python(self) -> str:
        """The interpreter that sees this checkout's code."""
        return str(self.root / ".venv" / "bin" / "python")


@dataclass(frozen=True, slots=True)
class Side:
    """One started hub: where its partners' profiles are, and the processes whose CPU counts."""

    name: str
    profiles: Path
    pids: Sequence[int]


@dataclass(slots=True)
class Measured:
    """What one side did, a value for each counted round."""

    p50_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    idle_core: float = 0.0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: rounds of so many referrals, and how long the idle hubs are watched."""

    rounds: int
    referrals: int
    idle_s: float
    quiet_s: float


FULL: Final = Size(rounds=7, referrals=40, idle_s=15.0, quiet_s=6.0)
SMOKE: Final = Size(rounds=1, referrals=1, idle_s=0.5, quiet_s=1.0)


def compare(other: Path, modes: Sequence[str], size: Size, *, smoke: bool) -> None:
    """Measure this checkout and another in each mode, and report.

    Raises SystemExit when the other one has no environment.
    """
    sides = (Checkout("this", measuring.ROOT), Checkout("other", other.resolve()))
    for checkout in sides:
        if not Path(checkout.python).exists():
            raise SystemExit(f"{checkout.root} has no .venv; run `make setup` there first")
    report = Report(
        "road-against",
        f"this checkout ({revision(measuring.ROOT)}) and another ({revision(other)}) by turns, "
        "each with a hub of its own; the partners are this checkout's",
        f"{size.referrals} referrals a round at {RATE:g}/s, {max(size.rounds - 1, 1)} counted "
        "rounds a side",
        smoke=smoke,
        packages=("aiokafka", "cedarpy", "cryptography", "uvicorn"),
    )
    for mode in modes:
        with ExitStack() as stack, measuring.idle_share() as machine:
            started = [stack.enter_context(hub(checkout, mode)) for checkout in sides]
            with asyncio.Runner() as runner:
                found = runner.run(_by_turns(started, size))
        _say(report, mode, found["this"], found["other"])
        report.bottleneck += f"{mode}: machine idle {machine['idle']:.0%} over all rounds. "
    report.finish()


def revision(root: Path) -> str:
    """Name the commit of a checkout, marked when files were changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "no commit"


@contextmanager
def hub(checkout: Checkout, mode: str) -> Iterator[Side]:
    """Run a fresh hub of a checkout; it is stopped and deleted at the end.

    This checkout's may be one that runs already.
    """
    if checkout.name == "this" and (running := shared(mode)):
        yield Side(checkout.name, running.profiles, tuple(service_pids(running).values()))
        return
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    folder.chmod(0o711)  # PostgreSQL runs under an account of its own and must pass through
    try:
        yield from _stack(checkout, folder) if mode == "stack" else _standalone(checkout, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _standalone(checkout: Checkout, folder: Path) -> Iterator[Side]:
    running = hubs.StandaloneHub(
        folder,
        processes.free_port(),
        extra={"HUB_DELIVERY_SPREAD_MS": "0"},
        python=checkout.python,
    )
    try:
        running.start()
        pid = processes.running(folder / "processes", "standalone")
        yield Side(checkout.name, running.profiles, [pid] if pid else [])
    finally:
        running.stop()


def _stack(checkout: Checkout, folder: Path) -> Iterator[Side]:
    env = {
        **os.environ,
        "HUB_DIR": str(folder),
        "STACK_PORT": str(free_base()),
        "HUB_DELIVERY_SPREAD_MS": "0",
    }

    def run(command: str) -> None:
        subprocess.run(
            [checkout.python, "-m", "deploy.stack", command],
            cwd=checkout.root,
            env=env,
            stdout=subprocess.DEVNULL,
            timeout=2 * _START_S,
            check=True,
        )

    try:
        run("start")
        place = folder / "stack"
        pids = [processes.running(place / "processes", name) for name in topology.SERVICES]
        yield Side(checkout.name, place / "demo", [pid for pid in pids if pid])
    finally:
        run("stop")


async def _by_turns(sides: Sequence[Side], size: Size) -> dict[str, Measured]:
    found = {side.name: Measured() for side in sides}
    async with AsyncExitStack() as stack:
        partners = {}
        for side in sides:
            http = await stack.enter_async_context(httpx2.AsyncClient(timeout=30.0))
            partners[side.name] = Partners(side.profiles, http)
            await partners[side.name].send(1, 1.0)  # tokens, connections, first deliveries
            await partners[side.name].settle(size.quiet_s)
        await _watch_idle(sides, found, size.idle_s)
        for number in range(size.rounds):
            # The order changes every round: what comes second meets the other's leftovers.
            for side in sides if number % 2 else reversed(sides):
                turn = found[side.name] if number or size.rounds == 1 else Measured()
                turn.idle_core = found[side.name].idle_core
                await _turn(side, partners[side.name], size, turn)
                _progress(number, side, turn)
    return found


async def _watch_idle(sides: Sequence[Side], found: dict[str, Measured], seconds: float) -> None:
    before = {side.name: cpu_seconds(side.pids) for side in sides}
    await asyncio.sleep(seconds)
    for side in sides:
        found[side.name].idle_core = (cpu_seconds(side.pids) - before[side.name]) / seconds


async def _turn(side: Side, partners: Partners, size: Size, turn: Measured) -> None:
    loop = asyncio.get_running_loop()
    used, began = cpu_seconds(side.pids), loop.time()
    flight = await partners.fly(RATE, size.referrals)
    await partners.settle(size.quiet_s / 3)  # receipts and clean-up of these referrals count too
    used = cpu_seconds(side.pids) - used - turn.idle_core * (loop.time() - began)
    turn.p50_ms.append(quantile(flight.pooled, 0.5) * 1e3 if flight.pooled else float("nan"))
    turn.cpu_us.append(used / size.referrals * 1e6)
    turn.missing += flight.missing


def _progress(number: int, side: Side, turn: Measured) -> None:
    print(
        f"  round {number}, {side.name}: p50 {turn.p50_ms[-1]:.0f} ms, "
        f"{turn.cpu_us[-1] / 1e3:.1f} ms CPU a referral, {turn.missing} missing",
        file=sys.stderr,
        flush=True,
    )


def _say(report: Report, mode: str, this: Measured, other: Measured) -> None:
    pairs = (
        ("road p50", "ms", this.p50_ms, other.p50_ms),
        ("CPU per referral", "µs", this.cpu_us, other.cpu_us),
    )
    for name, unit, ours, theirs in pairs:
        report.figure(f"{mode}: {name}, this checkout", unit, ours)
        report.figure(f"{mode}: {name}, the other", unit, theirs)
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        report.ratio(f"{mode}: {name}, this / other", statistics.median(ratios), at_most=TOLERANCE)
        report.notes.append(
            f"{mode}: {name}, this / other by round: "
            + ", ".join(f"{ratio:.2f}" for ratio in ratios)
        )
    report.notes.append(
        f"{mode}: an idle hub uses {this.idle_core:.1%} of a core (the other "
        f"{other.idle_core:.1%}), taken off the figures above; {this.missing} and {other.missing} "
        "deliveries missing"
    )
