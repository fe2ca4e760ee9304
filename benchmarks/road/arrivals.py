"""Open-loop arrivals: referrals on a schedule, and the moment each recipient could fetch its
package, from the intended start."""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from benchmarks import measuring
from hubformats.canonical import canonical
from hubpartner.client import HubClient, InboxItem
from hubpartner.profile import read_profile

RECIPIENTS: Final = ("northmoor-idva", "northmoor-social-care", "northmoor-victim-support")
SENDER: Final = "northmoor-police"
FORM: Final[dict[str, Any]] = json.loads(
    (measuring.ROOT / "examples/referral-full.json").read_text("utf-8")
)
PATIENCE_S: Final = 60.0
_NUMBERS: Final = itertools.count(200_000 + int(time.time()) % 700_000)
"""Runs that share a hub begin at different seconds, so that none repeats another's references."""


@dataclass(slots=True)
class Flight:
    """What one round of arrivals saw. Times in seconds; a delivery that never came is missing."""

    planned: int
    delivered: dict[str, list[float]] = field(default_factory=dict)
    answered: list[float] = field(default_factory=list)
    late_start: float = 0.0

    @property
    def pooled(self) -> list[float]:
        """Every delivery to every recipient."""
        return [value for values in self.delivered.values() for value in values]

    @property
    def missing(self) -> int:
        """Deliveries that did not come in time."""
        return self.planned * len(RECIPIENTS) - len(self.pooled)


class Partners:
    """The sending agency and the receiving ones, with their connections, tokens and places in their
    inboxes kept between rounds.
    """

    def __init__(self, profiles: Path, http: httpx2.AsyncClient) -> None:
        self.sender = HubClient(read_profile(profiles / f"{SENDER}.toml"), http)
        self.readers = {
            name: HubClient(read_profile(profiles / f"{name}.toml"), http) for name in RECIPIENTS
        }
        self._cursors: dict[str, str | None] = dict.fromkeys(RECIPIENTS)

    async def fly(self, rate: float, count: int) -> Flight:
        """Send `count` referrals, `rate` a second, while every recipient waits at its inbox."""
        marks = [self._mark() for _ in range(count)]
        flight = Flight(count)
        seen: dict[str, list[tuple[float, InboxItem]]] = {name: [] for name in RECIPIENTS}
        watchers = [
            asyncio.create_task(self._watch(name, count, seen[name])) for name in RECIPIENTS
        ]
        await asyncio.sleep(0.3)  # the long polls are held before the first referral comes
        began = time.perf_counter() + 0.05
        due = [began + number / rate for number in range(count)]
        await asyncio.gather(
            *(self._send(mark, at, flight) for mark, at in zip(marks, due, strict=True))
        )
        _, waiting = await asyncio.wait(watchers, timeout=PATIENCE_S)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        for name in RECIPIENTS:
            flight.delivered[name] = self._latencies(
                name, seen[name], dict(zip(marks, due, strict=True))
            )
        return flight

    async def send(self, count: int, rate: float) -> None:
        """Send on schedule without anybody reading."""
        began = time.perf_counter()
        flight = Flight(count)
        await asyncio.gather(
            *(self._send(self._mark(), began + number / rate, flight) for number in range(count))
        )

    async def settle(self, quiet_s: float) -> None:
        """Read on at every recipient until nothing has come for that many seconds: what was sent
        before is not counted later.
        """
        await asyncio.gather(*(self._drain(name, quiet_s) for name in RECIPIENTS))

    async def _drain(self, name: str, quiet_s: float) -> None:
        while True:
            page = await self.readers[name].inbox(
                cursor=self._cursors[name], limit=100, wait=max(1, int(quiet_s))
            )
            self._cursors[name] = page.cursor
            if not page.items:
                return

    def _mark(self) -> str:
        """Letters that stand in the names of one referral's people and nowhere else."""
        return "".join(chr(ord("a") + int(digit)) for digit in str(next(_NUMBERS)))

    async def _send(self, mark: str, at: float, flight: Flight) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        flight.late_start = max(flight.late_start, time.perf_counter() - at)
        people = [
            {**person, "name": {**person["name"], "full": f"{person['name']['full']} Q{mark}z"}}
            for person in FORM["people"]
        ]
        number = "".join(str(ord(letter) - ord("a")) for letter in mark)
        await self.sender.submit_referral(
            {**FORM, "externalReference": f"NP-2026-{number}", "people": people}
        )
        flight.answered.append(time.perf_counter() - at)

    async def _watch(self, name: str, count: int, seen: list[tuple[float, InboxItem]]) -> None:
        left = count
        while left > 0:
            page = await self.readers[name].inbox(cursor=self._cursors[name], limit=100, wait=20)
            now = time.perf_counter()
            seen += [(now, item) for item in page.items]
            left -= len(page.items)
            self._cursors[name] = page.cursor

    def _latencies(
        self, name: str, seen: Sequence[tuple[float, InboxItem]], due: dict[str, float]
    ) -> list[float]:
        """Open each package (after the clock has stopped) and find whose it is."""
        found = []
        for at, item in seen:
            text = canonical(dict(self.readers[name].open(item).verdict.content)).decode()
            found += [at - due[mark] for mark in due if f"Q{mark}z" in text]
        return found
