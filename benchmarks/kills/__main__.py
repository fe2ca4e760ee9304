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
from benchmarks.measuring import Report
from benchmarks.running import hub
from tests.support.kills import stack_plan, standalone_plan
from tests.support.stress import Stress, stress

KILLS: Final = 300
_A_HUB: Final = {"standalone": 30, "stack": 30}
"""Kills one hub lives through before it is judged and a fresh one is taken."""
_PLANS: Final = {"standalone": standalone_plan, "stack": stack_plan}
_SMOKE: Final = {"standalone": 2, "stack": 0}


def main() -> None:
    """Kill, judge, report; status 1 when anything was lost, repeated or wrong."""
    args = _arguments()
    logging.disable(logging.CRITICAL)
    seed = args.seed if args.seed is not None else secrets.randbelow(10**9)
    shares = _SMOKE if args.smoke else _shares(args.kills, args.mode)
    report = Report(
        "kills",
        "acknowledged referrals across kill -9, nothing beside",
        _said(shares, seed),
        smoke=args.smoke,
        packages=("aiokafka", "sqlalchemy"),
    )
    found = [each for mode, kills in shares.items() for each in _in_mode(mode, kills, seed)]
    for mode in shares:
        _figures(report, mode, [each for each in found if each.mode == mode])
    wrong = [each for each in found if each.verdict.wrong]
    report.bottleneck = (
        "starting processes: nearly all the time goes into Python's and the group "
        "coordinator's start after each death"
    )
    report.notes += [each.told() for each in wrong]
    report.finish()
    sys.exit(1 if wrong else 0)


def _arguments() -> argparse.Namespace:
    chosen = measuring.parser(__doc__, rounds=1)
    chosen.add_argument("--kills", type=int, default=KILLS, help="how many in all")
    chosen.add_argument("--mode", choices=("standalone", "stack", "both"), default="both")
    chosen.add_argument("--seed", type=int, help="repeat a schedule")
    return chosen.parse_args()


def _shares(kills: int, mode: str) -> dict[str, int]:
    if mode != "both":
        return {mode: kills}
    return {"standalone": kills // 2, "stack": kills - kills // 2}


def _said(shares: dict[str, int], seed: int) -> str:
    return (
        ", ".join(f"{kills} kills in mode {mode}" for mode, kills in shares.items())
        + f"; seed {seed}"
    )


def _in_mode(mode: str, kills: int, seed: int) -> list[Stress]:
    found: list[Stress] = []
    while kills > 0:
        number = min(kills, _A_HUB[mode])
        kills -= number
        here = seed + len(found)
        with hub(mode) as running:
            found.append(
                asyncio.run(stress(running, _PLANS[mode](number, random.Random(here)), seed=here))
            )
        print(
            f"  {found[-1].figures()}: {'WRONG' if found[-1].verdict.wrong else 'right'} (seed "
            f"{here})",
            flush=True,
        )
    return found


def _figures(report: Report, mode: str, found: list[Stress]) -> None:
    if not found:
        return
    deaths = [death for each in found for death in each.deaths]
    sums = {
        what: float(sum(each.verdict.figures.get(what, 0) for each in found))
        for what in ("referrals", "deliveries", "log entries", "heads")
    }
    report.figure(f"{mode}: kills", "", [float(len(deaths))])
    report.figure(
        f"{mode}: of these at a named crash point",
        "",
        [float(sum(1 for each in deaths if each.kill.point and each.reached))],
    )
    for what, number in sums.items():
        report.figure(f"{mode}: {what}", "", [number])
    report.figure(
        f"{mode}: found wrong (lost, repeated, unproven …)",
        "",
        [float(sum(len(each.verdict.wrong) for each in found))],
    )
    report.figure(f"{mode}: ready again after", "s", [each.back for each in deaths])


if __name__ == "__main__":
    main()
