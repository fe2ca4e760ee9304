"""`python -m benchmarks.audit_log`: entries per second, durable and published, beside Tessera POSIX in
the same run."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from benchmarks import measuring
from benchmarks.audit_log import ours, tessera_posix
from benchmarks.audit_log.ours import Appended

ENTRIES: Final = 20_000
BATCHES: Final = (256, 1024)


def main() -> None:
    """Measure and report."""
    logging.disable(logging.WARNING)
    chosen = measuring.parser(__doc__).parse_args()
    entries = 300 if chosen.smoke else ENTRIES
    rounds = 1 if chosen.smoke else chosen.rounds
    program = tessera_posix.build()
    with measuring.idle_share() as machine:
        subjects: dict[str, Callable[[], Appended]] = {
            **{
                f"tessera, batch {size}": partial(tessera_posix.append, program, entries, size)
                for size in BATCHES
            },
            **{
                f"log layer, batch {size}": partial(ours.log_layer, entries, size)
                for size in BATCHES
            },
            "whole ingest": lambda: ours.whole_ingest(entries),
        }
        found = measuring.in_turn(rounds, subjects)
    report = measuring.Report(
        "audit_log",
        f"Tessera {tessera_posix.VERSION} POSIX, our log layer on a synced file (a proof for "
        "every entry), and our whole ingest on SQLite",
        f"{entries:,} entries a run, {max(rounds - 1, 1)} counted runs a side; leaves of "
        f"{ours.LEAF_BYTES} B, records of {ours.record_bytes()} B",
        smoke=chosen.smoke,
        packages=("cryptography", "sqlalchemy"),
    )
    _say(report, found, machine["idle"])
    report.finish()


def _say(report: measuring.Report, found: dict[str, list[Appended]], idle: float) -> None:
    rates: dict[str, float] = {}
    shares: dict[str, float] = {}
    prices: dict[str, float] = {}
    for name, runs in found.items():
        report.figure(
            f"{name}: sequenced, durable", "/s", [run.entries / run.sequenced_s for run in runs]
        )
        rates[name] = report.figure(
            f"{name}: published", "/s", [run.entries / run.published_s for run in runs]
        ).median
        prices[name] = report.figure(
            f"{name}: CPU per entry", "µs", [run.cpu_s / run.entries * 1e6 for run in runs]
        ).median
        shares[name] = measuring.Figure(
            name, "", [run.cpu_s / run.published_s for run in runs]
        ).median
        report.figure(f"{name}: memory at the end", "MiB", [run.resident_mib for run in runs])
    best = max(rates[f"tessera, batch {size}"] for size in BATCHES)
    layer = max(rates[f"log layer, batch {size}"] for size in BATCHES)
    report.ratio(
        "log layer, published / Tessera, published (best batch size of each)",
        layer / best,
        at_least=1,
    )
    cheapest = min(prices[f"tessera, batch {size}"] for size in BATCHES)
    report.ratio(
        "log layer / Tessera, CPU per entry",
        min(prices[f"log layer, batch {size}"] for size in BATCHES) / cheapest,
    )
    report.ratio("whole ingest / Tessera, CPU per entry", prices["whole ingest"] / cheapest)
    report.ratio("whole ingest, published / Tessera, published", rates["whole ingest"] / best)
    report.ratio(
        "whole ingest / the aim of 10,000 entries a second",
        rates["whole ingest"] / 10_000,
        at_least=1,
    )
    report.bottleneck = _bottleneck(shares, idle)
    report.notes.append(
        "Tessera does neither checks, search rows, sealed receipts nor a proof per entry; the log "
        "layer does the last of these"
    )


def _bottleneck(shares: dict[str, float], idle: float) -> str:
    parts: Sequence[str] = [f"{name} used {share:.2f} of a core" for name, share in shares.items()]
    return (
        "; ".join(parts)
        + ". A Python side near 1.0 is out of CPU on its one interpreter; far below it waits for "
        f"fsync. Machine idle {idle:.0%}"
    )


if __name__ == "__main__":
    main()
