"""`python -m benchmarks.road`: latency and CPU of a referral to three recipients, in both modes.

README.md says what is measured beside it.
"""

import asyncio
import logging
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2
import uvloop

from benchmarks import measuring
from benchmarks.measuring import Report, cpu_seconds, quantile
from benchmarks.road import against, counting, floor
from benchmarks.road.arrivals import RECIPIENTS, Flight, Partners
from benchmarks.road.chain import HOPS, Chain, EmbeddedChain, KafkaChain
from benchmarks.road.counting import Counted
from benchmarks.running import hub, service_pids
from tests.support.hubs import RunningHub, StackHub

SPREAD_MS: Final = 250
QUIET_S: Final = 6.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    rates: Sequence[
        tuple[float, int, int]
    ]  # arrivals a second, arrivals a round, at most so many rounds
    cpu_count: int
    idle_s: float
    spread_count: int
    spread_modes: Sequence[str]
    counted: int
    unit_s: float


FULL: Final = Plan(
    rounds=6,
    rates=((2.0, 40, 99), (20.0, 60, 3)),
    cpu_count=60,
    idle_s=15.0,
    spread_count=40,
    spread_modes=("standalone", "stack"),
    counted=5,
    unit_s=0.3,
)
SMOKE: Final = Plan(
    rounds=1,
    rates=((2.0, 1, 1),),
    cpu_count=1,
    idle_s=0.5,
    spread_count=1,
    spread_modes=("stack",),  # the one whose other services stay when sharing starts again
    counted=1,
    unit_s=0.0,
)


@dataclass(slots=True)
class Heard:
    """Pooled latencies of both sides at one rate, and what never came."""

    road: list[float] = field(default_factory=list)
    chain: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    missing: int = 0


def main() -> None:
    """Measure and report."""
    chosen = measuring.parser(__doc__, rounds=FULL.rounds)
    chosen.add_argument("--mode", choices=("standalone", "stack", "both"), default="both")
    chosen.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="compare with another checkout, which has a .venv of its own, in place of the chain",
    )
    args = chosen.parse_args()
    logging.disable(logging.WARNING)
    modes = ("standalone", "stack") if args.mode == "both" else (args.mode,)
    if args.against:
        size = against.SMOKE if args.smoke else replace(against.FULL, rounds=args.rounds)
        against.compare(args.against, modes, size, smoke=args.smoke)
        return
    plan = SMOKE if args.smoke else FULL
    rounds = plan.rounds if args.smoke else args.rounds
    report = Report(
        "road",
        "intended start of POST /v1/referrals to each package at its recipient's long-polled "
        f"inbox ({len(RECIPIENTS)} recipients, no spread), "
        f"beside a bare chain of {HOPS} hops of the same sizes on the same bus; CPU of all "
        "services per referral beside its unavoidable parts",
        "; ".join(f"{count} referrals a round at {rate:g}/s" for rate, count, _ in plan.rates)
        + f", {max(rounds - 1, 1)} counted rounds a side",
        smoke=args.smoke,
        packages=("aiokafka", "cedarpy", "cryptography", "uvicorn"),
    )
    counted = counting.count(plan.counted)
    report.notes.append(
        "counted per referral: "
        + ", ".join(f"{name} {times:.1f}" for name, times in counted.per_referral.items())
    )
    report.notes.append(
        "bytes of case, audit batch, receipt and package on the bus: "
        + ", ".join(f"{size:,}" for size in counted.sizes)
    )
    for mode in modes:
        _mode(report, mode, plan, rounds, counted)
    report.finish()


def _mode(report: Report, mode: str, plan: Plan, rounds: int, counted: Counted) -> None:
    with (
        hub(mode) as running,
        tempfile.TemporaryDirectory() as folder,
        measuring.idle_share() as machine,
    ):
        for rate, count, most in plan.rates:
            heard = _loop(
                _alternating(running, Path(folder), counted, rate, count, min(rounds, most))
            )
            _say_latency(report, mode, rate, heard)
        used = _loop(_cpu_per_referral(running, plan))
        unit = floor.crypto_and_policy(counted, plan.unit_s) | _bus_and_database(running, counted)
        memory = {name: measuring.resident_mib(pid) for name, pid in service_pids(running).items()}
        with_spread = _with_spread(running, plan) if mode in plan.spread_modes else None
    _say_cpu(report, mode, counted, used, unit)
    report.notes.append(
        f"{mode}: memory at the end "
        + ", ".join(f"{name} {size:.0f} MiB" for name, size in memory.items())
    )
    report.bottleneck += f"{mode}: machine idle {machine['idle']:.0%} over all rounds. "
    if with_spread:
        report.figure(
            f"{mode}, spread 0 to {SPREAD_MS} ms, 2/s: p50",
            "ms",
            [quantile(with_spread.pooled, 0.5) * 1e3],
        )


def _with_spread(running: RunningHub, plan: Plan) -> Flight:
    """Fly once more with deliveries spread as usual; only sharing needs to know."""
    running.kill("sharing")
    running.restart("sharing", {"HUB_DELIVERY_SPREAD_MS": str(SPREAD_MS)})
    return _loop(_flown(running, 2.0, plan.spread_count))


async def _alternating(
    running: RunningHub, folder: Path, counted: Counted, rate: float, count: int, rounds: int
) -> Heard:
    heard = Heard()
    place = Path(tempfile.mkdtemp(dir=folder))
    chain: Chain = (
        KafkaChain(running.stack.kafka, counted.sizes)
        if isinstance(running, StackHub)
        else EmbeddedChain(place, counted.sizes)
    )
    await chain.start()
    async with httpx2.AsyncClient(timeout=30.0) as http:
        partners = Partners(running.profiles, http)
        await partners.send(1, 1.0)  # tokens, connections, first deliveries
        await partners.settle(QUIET_S if count > 5 else 2.0)
        for number in range(rounds):
            flight, chained = await partners.fly(rate, count), await chain.fly(rate, count)
            _progress(running.mode, rate, number, flight, chained)
            if number or rounds == 1:
                heard.road += flight.pooled
                heard.answers += flight.answered
                heard.missing += flight.missing
                heard.chain += chained
    await chain.stop()
    return heard


def _progress(
    mode: str, rate: float, number: int, flight: Flight, chained: Sequence[float]
) -> None:
    road, bare = (
        quantile(values, 0.5) * 1e3 if values else float("nan")
        for values in (flight.pooled, chained)
    )
    line = (
        f"  {mode}, {rate:g}/s, round {number}: road p50 {road:.0f} ms, chain p50 {bare:.1f} "
        f"ms, {flight.missing} missing"
    )
    print(line, file=sys.stderr, flush=True)


async def _flown(running: RunningHub, rate: float, count: int) -> Flight:
    async with httpx2.AsyncClient(timeout=30.0) as http:
        partners = Partners(running.profiles, http)
        await partners.send(1, 1.0)
        await partners.settle(QUIET_S if count > 5 else 2.0)
        return await partners.fly(rate, count)


@dataclass(frozen=True, slots=True)
class Used:
    """CPU of the services, in microseconds per referral with the idle cost taken off, and that idle
    cost as a share of a core.
    """

    per_service: dict[str, float]
    idle_core: float


async def _cpu_per_referral(running: RunningHub, plan: Plan) -> Used:
    pids = service_pids(running)
    rests, begun = (
        {name: cpu_seconds([pid]) for name, pid in pids.items()},
        asyncio.get_running_loop().time(),
    )
    await asyncio.sleep(plan.idle_s)
    rested = asyncio.get_running_loop().time() - begun
    idle = {name: (cpu_seconds([pid]) - rests[name]) / rested for name, pid in pids.items()}
    async with httpx2.AsyncClient(timeout=30.0) as http:
        partners = Partners(running.profiles, http)
        await partners.send(1, 1.0)
        before, begun = (
            {name: cpu_seconds([pid]) for name, pid in pids.items()},
            asyncio.get_running_loop().time(),
        )
        await partners.send(plan.cpu_count, 2.0)
        await asyncio.sleep(5.0 if plan.idle_s > 1 else 1.0)
        took = asyncio.get_running_loop().time() - begun
        used = {
            name: (cpu_seconds([pid]) - before[name] - idle[name] * took) / plan.cpu_count * 1e6
            for name, pid in pids.items()
        }
    return Used(used, sum(idle.values()))


def _bus_and_database(running: RunningHub, counted: Counted) -> dict[str, float]:
    """Prices of a commit and of a bus message, where the services pay them."""
    if isinstance(running, StackHub):
        url = running.stack.postgres.database("floor").replace("+psycopg", "")
        return {
            "commit": floor.postgres_commit(url, 300),
            "bus message": floor.kafka_message(running.stack.kafka, max(counted.sizes)),
        }
    return {"commit": (commit := floor.sqlite_commit(300)), "bus publish": commit}


def _say_latency(report: Report, mode: str, rate: float, heard: Heard) -> None:
    at = f"{mode}, {rate:g}/s"
    p50, p99 = (
        {
            side: quantile(values, share)
            for side, values in (("road", heard.road), ("chain", heard.chain))
        }
        for share in (0.5, 0.99)
    )
    report.figure(f"{at}: POST answered, p50", "ms", [quantile(heard.answers, 0.5) * 1e3])
    for side in ("road", "chain"):
        report.figure(
            f"{at}: {side} p50 (of {len(heard.road if side == 'road' else heard.chain)})",
            "ms",
            [p50[side] * 1e3],
        )
        report.figure(f"{at}: {side} p99", "ms", [p99[side] * 1e3])
    held = rate <= 2
    report.ratio(
        f"{at}: road / chain, p50", p50["road"] / p50["chain"], at_most=5 if held else None
    )
    report.ratio(
        f"{at}: road / chain, p99", p99["road"] / p99["chain"], at_most=10 if held else None
    )
    if heard.missing:
        report.notes.append(
            f"{at}: {heard.missing} deliveries had not come a minute after the last was due"
        )


def _say_cpu(
    report: Report, mode: str, counted: Counted, used: Used, unit: dict[str, float]
) -> None:
    for name, spent in used.per_service.items():
        report.figure(f"{mode}: CPU per referral, {name}", "µs", [spent])
    for name, price in unit.items():
        report.figure(
            f"{mode}: one {name}, of which {counted.per_referral.get(name, 0.0):.1f} a referral",
            "µs",
            [price],
        )
    total, least = sum(used.per_service.values()), floor.summed(counted, unit)
    report.figure(f"{mode}: CPU per referral, all services", "µs", [total])
    report.figure(f"{mode}: the sum of its unavoidable parts", "µs", [least])
    report.ratio(
        f"{mode}: CPU per referral / the sum of its unavoidable parts", total / least, at_most=2
    )
    report.notes.append(
        f"{mode}: an idle hub uses {used.idle_core:.1%} of a core, taken off the figures above"
    )


def _loop(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


if __name__ == "__main__":
    main()
