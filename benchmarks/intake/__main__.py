"""`python -m benchmarks.intake`: POST /v1/referrals with everything on, beside bare FastAPI and one
INSERT, in both modes."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import measuring
from benchmarks.intake import load
from benchmarks.running import hub, pid_of
from deploy.stack import processes
from tests.support.hubs import RunningHub, StackHub, as_agency

CONNECTIONS: Final = 8
REQUESTS: Final = 640
FORM: Final[dict[str, Any]] = json.loads(
    (measuring.ROOT / "examples/referral-full.json").read_text("utf-8")
)


@dataclass(frozen=True, slots=True)
class Taken:
    """One round of one side."""

    per_second: float
    server_us: float
    database_us: float


def main() -> None:
    """Measure and report."""
    chosen = measuring.parser(__doc__)
    chosen.add_argument("--mode", choices=("standalone", "stack", "both"), default="both")
    args = chosen.parse_args()
    requests, rounds = (CONNECTIONS, 1) if args.smoke else (REQUESTS, args.rounds)
    report = measuring.Report(
        "intake",
        "POST /v1/referrals of the full example (token, DPoP, idempotency, sealing, audit record, "
        "outbox; sharing and audit paused), "
        "beside FastAPI with a dict body and one durable INSERT on the same database and uvicorn "
        "settings",
        f"up to {requests} requests a round over {CONNECTIONS} connections, {max(rounds - 1, 1)} "
        "counted rounds a side",
        smoke=args.smoke,
        packages=("fastapi", "uvicorn", "sqlalchemy", "psycopg"),
    )
    for mode in ("standalone", "stack") if args.mode == "both" else (args.mode,):
        with hub(mode) as running, _bare(running) as (bare_url, bare_pid):
            asyncio.run(_hold(running))
            _compare(report, running, bare_url, bare_pid, requests=requests, rounds=rounds)
    report.finish()


def _compare(
    report: measuring.Report,
    running: RunningHub,
    bare_url: str,
    bare_pid: int,
    *,
    requests: int,
    rounds: int,
) -> None:
    callers, service = load.Callers(running.profiles), pid_of(running, "referral")
    database = _database(running)

    def ours() -> Taken:
        asyncio.run(callers.renew())
        return _round(callers.url, callers.requests(FORM, requests), service, database)

    def bare() -> Taken:
        return _round(
            bare_url,
            [load.request(bare_url, load.numbered(FORM), {}) for _ in range(requests)],
            bare_pid,
            database,
        )

    with measuring.idle_share() as machine:
        found = measuring.in_turn(rounds, {"ours": ours, "bare": bare})
    rates, cpu = _say(report, running.mode, found, with_database=bool(database))
    busy = rates["ours"].median * cpu["ours"].median / 1e6
    report.bottleneck += (
        f"{running.mode}: the service's process used {busy:.2f} of a core, "
        f"machine idle {machine['idle']:.0%}. "
    )
    report.notes.append(
        f"{running.mode}: the service held {measuring.resident_mib(service):.0f} MiB at the end"
    )


def _say(
    report: measuring.Report,
    mode: str,
    found: Mapping[str, Sequence[Taken]],
    *,
    with_database: bool,
) -> tuple[dict[str, measuring.Figure], dict[str, measuring.Figure]]:
    rates: dict[str, measuring.Figure] = {}
    cpu: dict[str, measuring.Figure] = {}
    for name, taken in found.items():
        rates[name] = report.figure(
            f"{mode}, {name}: requests", "/s", [each.per_second for each in taken]
        )
        cpu[name] = report.figure(
            f"{mode}, {name}: CPU of the service",
            "µs/req",
            [each.server_us for each in taken],
        )
        if with_database:
            report.figure(
                f"{mode}, {name}: CPU of PostgreSQL",
                "µs/req",
                [each.database_us for each in taken],
            )
    report.ratio(
        f"{mode}: ours / bare, requests a second",
        rates["ours"].median / rates["bare"].median,
        at_least=0.5,
    )
    report.ratio(
        f"{mode}: ours / bare, CPU per request",
        cpu["ours"].median / cpu["bare"].median,
    )
    return rates, cpu


def _round(url: str, requests: Sequence[bytes], service: int, database: list[int]) -> Taken:
    before, stored = measuring.cpu_seconds([service]), measuring.cpu_seconds(_all(database))
    done = load.drive(url, requests, CONNECTIONS)
    used, stored = (
        measuring.cpu_seconds([service]) - before,
        measuring.cpu_seconds(_all(database)) - stored,
    )
    assert done.statuses == {201: done.requests}, (
        f"not every referral was taken: {dict(done.statuses)}"
    )
    return Taken(
        done.requests / done.seconds, used / done.requests * 1e6, stored / done.requests * 1e6
    )


def _all(roots: list[int]) -> list[int]:
    return [pid for root in roots for pid in measuring.family(root)]


def _database(running: RunningHub) -> list[int]:
    """PostgreSQL's first process, where there is one."""
    if not isinstance(running, StackHub):
        return []
    return [
        int((running.stack.postgres.data / "postmaster.pid").read_text("ascii").splitlines()[0])
    ]


async def _hold(running: RunningHub) -> None:
    """Keep what comes after intake from working at the same time: intake alone is measured."""
    for service in ("sharing", "audit"):
        await as_agency(
            running,
            "operator",
            lambda client, service=service: client.switch(service, "pause"),  # type: ignore[misc]
        )


@contextmanager
def _bare(running: RunningHub) -> Iterator[tuple[str, int]]:
    """The peer in a process of its own, on a database of its own in the same server or folder."""
    with tempfile.TemporaryDirectory(dir=running.folder) as folder:
        place = str(Path(folder) / "bare.db")
        if isinstance(running, StackHub):
            place = running.stack.postgres.database("bare").replace("+psycopg", "")
        port = processes.free_port()
        command = [sys.executable, "-m", "benchmarks.intake.bare", str(port), place]
        pid = processes.spawn(
            command, Path(folder), "bare", {**os.environ, "PYTHONPATH": str(measuring.ROOT)}
        )
        try:
            processes.wait_until(
                lambda: processes.port_is_taken(port),
                60,
                "the bare application",
                Path(folder) / "bare.log",
            )
            yield f"http://127.0.0.1:{port}/v1/referrals", pid
        finally:
            processes.end(Path(folder), "bare")


if __name__ == "__main__":
    main()
