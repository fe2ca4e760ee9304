"""Ask the owner of the vetoes before a page of an inbox is shown, and page when it is silent."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from hubformats.clock import Clock
from sharing.disclosures.ports import CaseState, ReleaseChecks
from sharing.disclosures.use_cases.last_look import CheckUnanswered
from sharing.inbox.use_cases.receiving import Checked

_log = logging.getLogger("hub.sharing")

AGAIN: Final = 60.0
"""Seconds between two alarms while looks are refused."""
SHARES: Final = 0.02
"""Seconds that a question waits at most for the one before it, to gather those who come meanwhile.
"""

States = Mapping[UUID, CaseState]


def _future() -> asyncio.Future[States | None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class _Question:
    """One question that has not left yet, and everybody who waits for its answer."""

    cases: set[UUID] = field(default_factory=set)
    answer: asyncio.Future[States | None] = field(default_factory=_future)


class VetoQuestions:
    """Asks about the vetoes on what an agency looks at. One per process.

    Looks that come at the same time share a question. A package reaches several agencies at once,
    and each looks twice. An answer counts only for who came before its question left.
    """

    def __init__(self, checks: ReleaseChecks, clock: Clock) -> None:
        self._checks = checks
        self._clock = clock
        self._refused = 0
        self._told: float | None = None
        self._gathering: _Question | None = None
        self._out: asyncio.Task[None] | None = None

    async def about(self, cases: frozenset[UUID]) -> Checked:
        """Ask once for all cases of a page.

        Raises CheckUnanswered: without an answer nothing is shown, and a person is paged.
        """
        if not cases:
            return Checked(cases, {})
        states = await self._answer(cases)
        if states is None:
            self._page()
            raise CheckUnanswered
        return Checked(cases, states)

    async def _answer(self, cases: frozenset[UUID]) -> States | None:
        """Join the question that gathers, or begin one; who goes away takes nobody's answer."""
        question = self._gathering
        if question is None:
            question = self._gathering = _Question()
            self._out = asyncio.create_task(self._send(question, self._out))
        question.cases |= cases
        return await asyncio.shield(question.answer)

    async def _send(self, question: _Question, before: asyncio.Task[None] | None) -> None:
        """Send it when the one before is answered, and soon in any case."""
        if before is not None:
            await asyncio.wait({before}, timeout=SHARES)
        self._gathering = None  # who comes from here on is not answered by this one
        states: States | None = None
        try:
            states = await self._checks.check_all(frozenset(question.cases))
        finally:
            question.answer.set_result(states)

    def _page(self) -> None:
        """Say how many looks were refused since the last alarm: at once, then once a minute."""
        self._refused += 1
        now = self._clock.monotonic()
        if self._told is not None and now - self._told < AGAIN:
            return
        _log.error(
            "inboxes are not shown: vetoes cannot be asked about",
            extra={"alarm": "inbox-unchecked", "count": self._refused},
        )
        self._told, self._refused = now, 0
