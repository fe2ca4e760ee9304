"""A whole hub as its users meet it: real processes, reached over HTTP, in either of the two modes
that exist."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import httpx2

from deploy.stack import processes
from deploy.stack.services import Stack
from hubformats import jws
from hubpartner.client import HubClient, InboxItem
from hubpartner.profile import read_profile
from tests.support import forks

T = TypeVar("T")

ROOT: Final = Path(__file__).parents[2]
SERVICES: Final = ("referral", "sharing", "audit", "identity", "portal")
PATIENCE_S: Final = 60.0


class RunningHub(Protocol):
    """One hub under test.

    `kill` is SIGKILL: of one service where each has its process, of everything where there is one.
    """

    mode: str
    folder: Path

    @property
    def profiles(self) -> Path: ...

    def url(self, service: str) -> str: ...

    def start(self, extra: Mapping[str, str] | None = None) -> None: ...

    def stop(self) -> None: ...

    def kill(self, service: str) -> None: ...

    def restart(self, service: str, extra: Mapping[str, str] | None = None) -> None: ...

    def alive(self, service: str) -> bool: ...


@dataclass
class StandaloneHub:
    """`python -m standalone` in a process of its own."""

    folder: Path
    port: int
    mode: str = "standalone"
    extra: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @property
    def profiles(self) -> Path:
        """Where the demo profiles are."""
        return self.folder / "hub" / "demo"

    def url(self, service: str) -> str:
        """Base URL of a service."""
        base = f"http://127.0.0.1:{self.port}"
        return base if service == "portal" else f"{base}/{service}"

    def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Start and wait until every service is ready."""
        env = {
            **os.environ,
            "PORT": str(self.port),
            "HUB_DIR": str(self.folder / "hub"),
            **self.extra,
            **(extra or {}),
        }
        processes.spawn(
            [self.python, "-m", "standalone"], self.folder / "processes", "standalone", env
        )
        for service in SERVICES:
            self._wait(service)

    def stop(self) -> None:
        """A clean end."""
        processes.end(self.folder / "processes", "standalone")

    def kill(self, service: str) -> None:
        """SIGKILL of the one process, whichever service is meant."""
        processes.end(self.folder / "processes", "standalone", how=processes.KILL)

    def restart(self, service: str, extra: Mapping[str, str] | None = None) -> None:
        """Start it again unless it still runs."""
        if not self.alive(service):
            self.start(extra)

    def alive(self, service: str) -> bool:
        """Whether the process lives."""
        return processes.running(self.folder / "processes", "standalone") is not None

    def _wait(self, service: str) -> None:
        log = self.folder / "processes" / "standalone.log"

        def ready() -> bool:
            if not self.alive(service):
                raise processes.NotReady(
                    "the hub ended while starting; its log ends "
                    f"with:\n{log.read_text(errors='replace')[-3000:]}"
                )
            return answers(f"{self.url(service)}/readyz")

        processes.wait_until(ready, PATIENCE_S, f"{service} of the standalone hub", log)


@dataclass
class StackHub:
    """The production topology: Kafka, PostgreSQL, one process per service."""

    folder: Path
    port: int
    mode: str = "stack"
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        """The stack in this hub's folder."""
        return Stack(self.folder / "stack", self.port)

    @property
    def profiles(self) -> Path:
        """Where the demo profiles are."""
        return self.stack.profiles

    def url(self, service: str) -> str:
        """Base URL of a service."""
        return self.stack.urls[service]

    def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Start everything and wait."""
        with environment({**self.extra, **(extra or {})}):
            self.stack.start()

    def stop(self) -> None:
        """A clean end of everything."""
        self.stack.stop()

    def kill(self, service: str) -> None:
        """SIGKILL of one service's process."""
        self.stack.kill_service(service)

    def restart(self, service: str, extra: Mapping[str, str] | None = None) -> None:
        """Start one service again and wait for it."""
        with environment({**self.extra, **(extra or {})}):
            self.stack.start_service(service)

    def alive(self, service: str) -> bool:
        """Whether that service's process lives."""
        return processes.running(self.stack.folder / "processes", service) is not None


class environment:  # noqa: N801 - used as a function
    """Variables set for the processes started inside the block."""

    def __init__(self, extra: Mapping[str, str]) -> None:
        self._extra = extra
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._extra}
        os.environ.update(self._extra)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def answers(url: str) -> bool:
    """Whether a GET gives 200."""
    try:
        return httpx2.get(url, timeout=2.0).status_code == 200
    except httpx2.HTTPError:
        return False


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str


def hubctl(hub: RunningHub, agency: str, *words: str, folder: Path | None = None) -> Said:
    """Run `hubctl` under an agency's profile."""
    command = [
        str(forks.SCRIPT),
        "--profile",
        str(hub.profiles / f"{agency}.toml"),
        *words,
    ]
    done = forks.run(command, folder or ROOT, 120)
    return Said(done.returncode, done.stdout, done.stderr)


async def as_agency(hub: RunningHub, agency: str, work: Callable[[HubClient], Awaitable[T]]) -> T:
    """Run `work` with a client of that agency."""
    async with httpx2.AsyncClient(timeout=30.0) as http:
        return await work(HubClient(read_profile(hub.profiles / f"{agency}.toml"), http))


async def wait_for(
    work: Callable[[], Awaitable[T]], until: Callable[[T], bool], *, seconds: float = PATIENCE_S
) -> T:
    """Repeat `work` until its answer satisfies `until`, less and less often.

    Raises AssertionError with the last answer's type when it never does.
    """
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + seconds, 0.1
    while True:
        answer = await work()
        if until(answer):
            return answer
        if loop.time() > end:
            raise AssertionError(
                f"not reached in {seconds} s; last was a {type(answer).__name__}: {_brief(answer)}"
            )
        await asyncio.sleep(pause)
        pause = min(pause * 1.3, 0.4)


def served_keys(hub: RunningHub) -> dict[str, int]:
    """How many opening keys of each service the directory serves."""
    answer = httpx2.get(f"{hub.url('identity')}/v1/directory/keys", timeout=20.0).json()
    sets = {owner.removeprefix("svc:"): text for owner, text in answer["keySets"].items()}
    return {name: len(jws.claims_of(sets[name])["keys"]) for name in SERVICES if name in sets}


async def whole_inbox(client: HubClient) -> list[InboxItem]:
    """Every delivery of the agency, all pages."""
    items: list[InboxItem] = []
    cursor: str | None = None
    while True:
        page = await client.inbox(cursor=cursor, limit=100)
        items.extend(page.items)
        if len(page.items) < 100:
            return items
        cursor = page.cursor


def _brief(answer: Any) -> str:
    return str(answer)[:300]
