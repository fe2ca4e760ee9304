"""`python -m benchmarks.kills`: 300 times kill -9 under load in both modes; what was acknowledged must
exist once and be disclosed once."""

import argparse
import asyncio
import logging
import random
import secrets
import sys
from typing import Final

from benchmarks import measuring
from benchmarks.kills.progress import FILE, Judged, NothingToResume, Progress, resumed
from benchmarks.measuring import Report
from benchmarks.running import hub
from tests.support.kills import stack_plan, standalone_plan
from tests.support.stress import stress

KILLS: Final = 300
_PLANS: Final = {"standalone": standalone_plan, "stack": stack_plan}
_SMOKE: Final = {"standalone": 2, "stack": 0}


def main() -> None:
    """Kill, judge, report; status 1 when anything was lost, repeated or wrong."""
    args = _arguments()
    logging.disable(logging.CRITICAL)
    progress = _begun(args)
    report = Report(
        "kills",
        "acknowledged referrals across kill -9, nothing beside",
        _said(progress),
        smoke=args.smoke,
        packages=("aiokafka", "sqlalchemy"),
    )
    for mode in progress.shares:
        _carry_out(progress, mode)
        _figures(report, mode, progress.of_mode(mode))
    wrong = [each for each in progress.judged if each.wrong]
    report.bottleneck = (
        "starting processes: nearly all the time goes into Python's and the group "
        "coordinator's start after each death"
    )
    report.notes += [each.told for each in wrong]
    report.finish()
    FILE.unlink(missing_ok=True)
    sys.exit(1 if wrong else 0)


def _arguments() -> argparse.Namespace:
    chosen = measuring.parser(__doc__, rounds=1)
    chosen.add_argument("--kills", type=int, default=KILLS, help="how many in all")
    chosen.add_argument("--mode", choices=("standalone", "stack", "both"), default="both")
    chosen.add_argument("--seed", type=int, help="repeat a schedule")
    chosen.add_argument(
        "--resume", action="store_true", help="go on with a run that was interrupted"
    )
    return chosen.parse_args()


def _begun(args: argparse.Namespace) -> Progress:
    """A new run, or the interrupted one with its own seed, modes and numbers."""
    if args.resume:
        try:
            return resumed()
        except NothingToResume:
            sys.exit("Nothing to resume: no run of kills was interrupted here.")
    seed = args.seed if args.seed is not None else secrets.randbelow(10**9)
    made = Progress(seed, dict(_SMOKE) if args.smoke else _shares(args.kills, args.mode))
    made.save()
    return made


def _shares(kills: int, mode: str) -> dict[str, int]:
    if mode != "both":
        return {mode: kills}
    return {"standalone": kills // 2, "stack": kills - kills // 2}


def _said(progress: Progress) -> str:
    return (
        ", ".join(f"{kills} kills in mode {mode}" for mode, kills in progress.shares.items())
        + f"; seed {progress.seed}"
    )


def _carry_out(progress: Progress, mode: str) -> None:
    """Every hub of a mode that is not judged yet."""
    while (following := progress.next_hub(mode)) is not None:
        seed, number = following
        with hub(mode) as running:
            found = asyncio.run(
                stress(running, _PLANS[mode](number, random.Random(seed)), seed=seed)
            )
        progress.add(Judged.of(found))
        print(
            f"  {found.figures()}: {'WRONG' if found.verdict.wrong else 'right'} (seed {seed})",
            flush=True,
        )


def _figures(report: Report, mode: str, found: list[Judged]) -> None:
    if not found:
        return
    sums = {
        what: float(sum(each.figures.get(what, 0) for each in found))
        for what in ("referrals", "deliveries", "log entries", "heads")
    }
    report.figure(f"{mode}: kills", "", [float(sum(each.kills for each in found))])
    report.figure(
        f"{mode}: of these at a named crash point",
        "",
        [float(sum(each.at_points for each in found))],
    )
    for what, number in sums.items():
        report.figure(f"{mode}: {what}", "", [number])
    report.figure(
        f"{mode}: found wrong (lost, repeated, unproven …)",
        "",
        [float(sum(each.wrong for each in found))],
    )
    report.figure(f"{mode}: ready again after", "s", [back for each in found for back in each.back])


if __name__ == "__main__":
    main()
