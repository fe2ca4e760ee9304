"""Ask the owner of the vetoes before a page of an inbox is shown, and page when it is silent."""

import logging
from typing import Final
from uuid import UUID

from hubformats.clock import Clock
from sharing.disclosures.ports import ReleaseChecks
from sharing.disclosures.use_cases.last_look import CheckUnanswered
from sharing.inbox.use_cases.receiving import Checked

_log = logging.getLogger("hub.sharing")

AGAIN: Final = 60.0
"""Seconds between two alarms while looks are refused."""


class VetoQuestions:
    """Asks about the vetoes on what an agency looks at. One per process."""

    def __init__(self, checks: ReleaseChecks, clock: Clock) -> None:
        self._checks = checks
        self._clock = clock
        self._refused = 0
        self._told: float | None = None

    async def about(self, cases: frozenset[UUID]) -> Checked:
        """Ask once for all cases of a page.

        Raises CheckUnanswered: without an answer nothing is shown, and a person is paged.
        """
        states = await self._checks.check_all(cases) if cases else {}
        if states is None:
            self._page()
            raise CheckUnanswered
        return Checked(cases, states)

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
