"""kill -9 by a seeded schedule: at random moments and at named crash points, on a hub that goes on being used."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.stack import processes
from tests.support.hubs import RunningHub, StackHub, environment

EVERYWHERE: Final = (
    "database.before-commit", "database.after-commit", "outbox.stored", "outbox.before-send", "outbox.after-send", "outbox.after-mark",
    "inbox.before-commit", "inbox.after-commit", "bus-handled", "audit.numbered",
)  # fmt: skip
"""Points every service passes; `bus-*` on the bus that the mode uses."""
OWN: Final = {
    "audit": (
        "audit.not-committed", "audit.tiles-written", "audit.head-signed", "audit.receipts-not-committed", "audit.receipts-committed",
        "audit.partials-written", "audit.published-committed", "audit.checkpoint-written", "audit.bundles-written", "audit.file-not-named",
    ),
    "referral": ("referral.after-commit",),
    "sharing": ("sharing.release-checked", "sharing.package-sealed", "sharing.after-commit"),
    "identity": (),
}  # fmt: skip
EMBEDDED: Final = ("bus-before-commit", "bus-after-commit")
SERVERS: Final = ("kafka", "postgres")
WHOLE: Final = "hub"
"""Standalone has one process; whichever service is meant, all of it dies."""

_REACH_S: Final = 20.0
_LATEST_PASS: Final = 6


@dataclass(frozen=True, slots=True)
class Kill:
    """One death. With a `point` the process is armed when it starts and dies there at its `passes`-th pass; without one SIGKILL after `wait` s."""

    victim: str
    point: str
    passes: int
    wait: float

    def __str__(self) -> str:
        how = f"at {self.point}:{self.passes}" if self.point else f"after {self.wait:.2f} s"
        return f"{self.victim} {how}"


@dataclass(slots=True)
class Done:
    """What happened to one planned kill."""

    kill: Kill
    at: float
    reached: bool
    back: float = 0.0

    def __str__(self) -> str:
        note = "" if self.reached else ", point not passed: killed there and then"
        return f"{self.at:6.1f} s  {self.kill}{note}; ready {self.back:.1f} s later"


def standalone_plan(kills: int, rng: random.Random) -> list[Kill]:
    """Every second death at a named point, the points in an order of their own, as many as there is room for."""
    points = [*EVERYWHERE, *EMBEDDED, *(point for own in OWN.values() for point in own)]
    return _lane(WHOLE, points, kills, rng)


def stack_plan(kills: int, rng: random.Random) -> list[Kill]:
    """Each server once in about fourteen deaths, the rest dealt over the services; sharing and audit, which do most, get most."""
    servers = [Kill(name, "", 1, rng.uniform(1, 6)) for name in SERVERS for _ in range(max(1, kills // 14))]
    order = ["sharing", "audit", "referral", "sharing", "audit", "referral", "identity"]
    victims = [order[place % len(order)] for place in range(kills - len(servers))]
    plan = servers
    for victim in OWN:
        plan += _lane(victim, [*EVERYWHERE, *OWN[victim]], victims.count(victim), rng)
    return plan


def _lane(victim: str, points: Sequence[str], kills: int, rng: random.Random) -> list[Kill]:
    deck: list[str] = []
    plan = []
    for place in range(kills):
        if not deck:
            deck = rng.sample(points, len(points))
        # The first cannot be at a point: the process that dies of it was started without one.
        point = "" if place == 0 or rng.random() < 0.4 else deck.pop()
        plan.append(Kill(victim, point, rng.randint(1, _LATEST_PASS), rng.uniform(0.3, 4)))
    return plan


@dataclass(slots=True)
class Reaper:
    """Carries a plan out. Each victim's deaths follow one another; those of different victims overlap, two starts at a time."""

    hub: RunningHub
    done: list[Done] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _spawning: asyncio.Lock = field(default_factory=asyncio.Lock)
    _starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    async def carry_out(self, plan: Sequence[Kill]) -> None:
        """All kills; at the end everything runs again. Raises processes.NotReady when something does not come back."""
        victims = list(dict.fromkeys(kill.victim for kill in plan))
        await asyncio.gather(*(self._victim([kill for kill in plan if kill.victim == victim]) for victim in victims))

    def told(self) -> str:
        """The deaths in order, for a failure's message."""
        return "\n".join(str(each) for each in sorted(self.done, key=lambda one: one.at))

    async def _victim(self, plan: Sequence[Kill]) -> None:
        for kill, following in zip(plan, [*plan[1:], None], strict=True):
            done = await self._die(kill)
            self.done.append(done)
            ended = time.monotonic()
            async with self._starts:
                await self._start(kill.victim, following)
            done.back = time.monotonic() - ended

    async def _die(self, kill: Kill) -> Done:
        reached = True
        if kill.point:
            reached = await self._died_by_itself(kill.victim)
        else:
            await asyncio.sleep(kill.wait)
        at = time.monotonic() - self._began
        await asyncio.to_thread(self._kill, kill.victim)
        return Done(kill, at, reached)

    def _kill(self, victim: str) -> None:
        if isinstance(self.hub, StackHub) and victim in SERVERS:
            (self.hub.stack.kafka if victim == "kafka" else self.hub.stack.postgres).kill()
        else:
            self.hub.kill(victim)

    async def _died_by_itself(self, victim: str) -> bool:
        end = time.monotonic() + _REACH_S
        while self.hub.alive(victim):
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _start(self, victim: str, following: Kill | None) -> None:
        armed = following is not None and following.point
        extra = {"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": f"{following.point}:{following.passes}"} if armed and following else {}
        try:
            if not isinstance(self.hub, StackHub):
                await asyncio.to_thread(self.hub.start, extra)
            elif victim in SERVERS:
                await asyncio.to_thread((self.hub.stack.kafka if victim == "kafka" else self.hub.stack.postgres).start)
            else:
                await self._start_service(self.hub, victim, extra)
        except processes.NotReady:
            # Armed, it may well die before it is ready; unarmed it has to come back.
            if not armed or self.hub.alive(victim):
                raise

    async def _start_service(self, hub: StackHub, service: str, extra: dict[str, str]) -> None:
        async with self._spawning:  # the environment is the whole process's
            with environment({**hub.extra, **extra}):
                await asyncio.to_thread(hub.stack.start_service, service, wait=False)
        await asyncio.to_thread(hub.stack.wait_ready, service)
