"""kill -9 by a seeded schedule: at random moments and at named crash points, on a hub that goes on
being used."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from common import faults
from deploy.stack import processes
from tests.support.hubs import RunningHub, StackHub, environment

EVERYWHERE: Final = (
    "database.before-commit",
    "database.after-commit",
    "outbox.stored",
    "outbox.before-send",
    "outbox.after-send",
    "outbox.after-mark",
    "inbox.before-commit",
    "inbox.after-commit",
    "bus-handled",
    "audit.numbered",
)
"""Points every service passes; `bus-*` on the bus that the mode uses."""
OWN: Final = {
    "audit": (
        "audit.not-committed",
        "audit.tiles-written",
        "audit.head-signed",
        "audit.receipts-not-committed",
        "audit.receipts-committed",
        "audit.partials-written",
        "audit.published-committed",
        "audit.checkpoint-written",
        "audit.bundles-written",
        "audit.file-not-named",
    ),
    "referral": ("referral.after-commit",),
    "sharing": (
        "sharing.release-checked",
        "sharing.package-sealed",
        "sharing.after-commit",
        "sharing.read-through",
    ),
    "identity": (),
}
EMBEDDED: Final = ("bus-before-commit", "bus-after-commit")
SERVERS: Final = ("kafka", "postgres")
WHOLE: Final = "hub"
"""Standalone has one process; whichever service is meant, all of it dies."""

_REACH_S: Final = 20.0
_LATEST_PASS: Final = 6
_STARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Kill:
    """One death.

    With a `point` the process is armed when it starts and dies there at its `passes`-th pass;
    without one SIGKILL after `wait` s.
    """

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
    """Every second death at a named point, the points in an order of their own, as many as there is
    room for.
    """
    points = [*EVERYWHERE, *EMBEDDED, *(point for own in OWN.values() for point in own)]
    return _lane(WHOLE, points, kills, rng, pause=4)


def stack_plan(kills: int, rng: random.Random) -> list[Kill]:
    """Each server once in about fourteen deaths, the rest dealt over the services; sharing and
    audit, which do most, get most.
    """
    servers = [
        Kill(name, "", 1, rng.uniform(3, 25))
        for name in SERVERS
        for _ in range(max(1, kills // 14))
    ]
    order = ["sharing", "audit", "referral", "sharing", "audit", "referral", "identity"]
    victims = [order[place % len(order)] for place in range(kills - len(servers))]
    plan = servers
    for victim in OWN:
        plan += _lane(victim, [*EVERYWHERE, *OWN[victim]], victims.count(victim), rng, pause=12)
    return plan


def short_plan(mode: str, rng: random.Random) -> list[Kill]:
    """Four deaths: at random moments, at a point that is passed often, on the stack of a server."""
    if mode == "standalone":
        victim, pause = WHOLE, 4.0
        others = [Kill(WHOLE, "", 1, rng.uniform(0.3, pause)), _soon(WHOLE, rng)]
    else:
        victim, other = rng.sample(("sharing", "audit"), 2)
        pause = 12.0
        others = [
            Kill(rng.choice(SERVERS), "", 1, rng.uniform(3, 15)),
            Kill(other, "", 1, rng.uniform(0.3, pause)),
        ]
    return [Kill(victim, "", 1, rng.uniform(0.3, pause)), _soon(victim, rng), *others]


def _soon(victim: str, rng: random.Random) -> Kill:
    return Kill(victim, rng.choice(EVERYWHERE), rng.randint(1, 2), 0)


def _lane(
    victim: str, points: Sequence[str], kills: int, rng: random.Random, pause: float
) -> list[Kill]:
    deck: list[str] = []
    plan = []
    for place in range(kills):
        if not deck:
            deck = rng.sample(points, len(points))
        # The first cannot be at a point: the process that dies of it was started without one.
        point = "" if place == 0 or rng.random() < 0.4 else deck.pop()
        plan.append(Kill(victim, point, rng.randint(1, _LATEST_PASS), rng.uniform(0.3, pause)))
    return plan


@dataclass(slots=True)
class Reaper:
    """Carries a plan out.

    Each victim's deaths follow one another; those of different victims overlap.
    """

    hub: RunningHub
    done: list[Done] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _spawning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def carry_out(self, plan: Sequence[Kill]) -> None:
        """All kills; at the end everything runs again.

        Raises processes.NotReady when something does not come back.
        """
        victims = list(dict.fromkeys(kill.victim for kill in plan))
        await asyncio.gather(
            *(self._victim([kill for kill in plan if kill.victim == victim]) for victim in victims)
        )

    def told(self) -> str:
        """The deaths in order, for a failure's message."""
        return "\n".join(str(each) for each in sorted(self.done, key=lambda one: one.at))

    async def _victim(self, plan: Sequence[Kill]) -> None:
        for kill, following in zip(plan, [*plan[1:], None], strict=True):
            done = await self._die(kill)
            self.done.append(done)
            ended = time.monotonic()
            await self._start(kill.victim, following)
            done.back = time.monotonic() - ended

    async def _die(self, kill: Kill) -> Done:
        """Wait for the death that was arranged, or cause it."""
        if kill.point:
            reached = await self._died_by_itself(kill)
        else:
            reached = True
            await asyncio.sleep(kill.wait)
        at = time.monotonic() - self._began
        await asyncio.to_thread(self._kill, kill.victim)
        return Done(kill, at, reached)

    def _kill(self, victim: str) -> None:
        if isinstance(self.hub, StackHub) and victim in SERVERS:
            (self.hub.stack.kafka if victim == "kafka" else self.hub.stack.postgres).kill()
        else:
            self.hub.kill(victim)

    async def _died_by_itself(self, kill: Kill) -> bool:
        end = time.monotonic() + _REACH_S
        # A process has no event to wait for
        while self.hub.alive(kill.victim) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return self._crashed(kill.victim)

    def _crashed(self, victim: str) -> bool:
        """Whether the last thing this process said is that it reached its crash point."""
        name = "standalone" if victim == WHOLE else victim
        home = self.hub.stack.folder if isinstance(self.hub, StackHub) else self.hub.folder
        said = (home / "processes" / f"{name}.log").read_bytes()[-200:].splitlines()
        return bool(said) and said[-1].startswith(faults.REACHED.encode())

    async def _start(self, victim: str, following: Kill | None) -> None:
        """Start it as a supervisor would: again when it ends because something it needs is down
        too.
        """
        armed = following is not None and following.point
        extra = (
            {"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": f"{following.point}:{following.passes}"}
            if armed and following
            else {}
        )
        for attempt in range(_STARTS):
            try:
                await self._start_once(victim, extra)
            except processes.NotReady:
                if self.hub.alive(victim) or attempt == _STARTS - 1:
                    raise
                if armed and self._crashed(victim):
                    return  # it died as arranged, before it was ready
                await asyncio.sleep(1)
            else:
                return

    async def _start_once(self, victim: str, extra: dict[str, str]) -> None:
        if not isinstance(self.hub, StackHub):
            await asyncio.to_thread(self.hub.start, extra)
        elif victim in SERVERS:
            await asyncio.to_thread(
                (self.hub.stack.kafka if victim == "kafka" else self.hub.stack.postgres).start
            )
        else:
            await self._start_service(self.hub, victim, extra)

    async def _start_service(self, hub: StackHub, service: str, extra: dict[str, str]) -> None:
        async with self._spawning:  # the environment is the whole process's
            with environment({**hub.extra, **extra}):
                await asyncio.to_thread(hub.stack.start_service, service, wait=False)
        await asyncio.to_thread(hub.stack.wait_ready, service)
