"""A stress run: partners send, a plan of kills is carried out, and the oracle judges the rest."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.hubs import RunningHub
from tests.support.kills import Done, Kill, Reaper
from tests.support.oracle import Heads, Oracle, Verdict
from tests.support.senders import Acknowledged, Senders

_AFTERWARDS_S = 2.0


@dataclass(frozen=True, slots=True)
class Stress:
    """What was done to a hub and what the oracle found."""

    mode: str
    seed: int
    deaths: Sequence[Done]
    acknowledged: Sequence[Acknowledged]
    verdict: Verdict
    retries: str
    seconds: float

    def told(self) -> str:
        """Everything needed to understand a failure, and the seed to repeat it."""
        schedule = "\n".join(str(each) for each in self.deaths)
        wrong = "\n".join(f"- {each}" for each in self.verdict.wrong[:40]) or "- nothing"
        return (
            f"{self.mode}, HUB_KILL_SEED={self.seed}\nwrong "
            f"({len(self.verdict.wrong)}):\n{wrong}\n{self.figures()}\nschedule:\n{schedule}"
        )

    def figures(self) -> str:
        """One line."""
        reached = sum(1 for each in self.deaths if each.kill.point and each.reached)
        counts = ", ".join(f"{number} {what}" for what, number in self.verdict.figures.items())
        return (
            f"{self.mode}: {len(self.deaths)} kills ({reached} at named points) in "
            f"{self.seconds:.0f} s; {counts}; clients met {self.retries}"
        )


async def stress(hub: RunningHub, plan: Sequence[Kill], *, seed: int, rate: float = 2.5) -> Stress:
    """Carry `plan` out on a running hub that nobody else uses.

    Raises processes.NotReady when a part never comes back.
    """
    began = time.monotonic()
    senders, heads, reaper = Senders(hub, random.Random(seed), rate), Heads(hub), Reaper(hub)
    stop, end = asyncio.Event(), asyncio.Event()
    sending, watching = (
        asyncio.create_task(senders.run(stop)),
        asyncio.create_task(heads.watch(end)),
    )
    try:
        await reaper.carry_out(plan)
        await asyncio.sleep(_AFTERWARDS_S)
        stop.set()
        await sending
        verdict = await Oracle(hub, senders.acknowledged, heads).judge()
    except BaseException as error:
        error.add_note(f"{hub.mode}, HUB_KILL_SEED={seed}; so far:\n{reaper.told()}")
        raise
    finally:
        stop.set()
        end.set()
        sending.cancel()
        await asyncio.gather(sending, watching, return_exceptions=True)
    verdict.wrong += senders.wrong
    if len(senders.acknowledged) != senders.sent:
        verdict.wrong.append(
            f"{senders.sent - len(senders.acknowledged)} referrals were never acknowledged"
        )
    deaths = sorted(reaper.done, key=lambda one: one.at)
    return Stress(
        hub.mode,
        seed,
        deaths,
        senders.acknowledged,
        verdict,
        str(dict(senders.tries)),
        time.monotonic() - began,
    )
