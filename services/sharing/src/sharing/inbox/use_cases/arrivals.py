"""Wakes the long polls of an agency when something was committed for it."""

import asyncio
from contextlib import suppress
from typing import Final

from hubformats.clock import Clock

_LOOK_AGAIN: Final = 1.0
"""Seconds after which a waiting reader looks by itself: another process may have released, or a
delivery became visible.
"""


class Arrivals:
    """One event per agency with waiting readers. Tells that there is something, never what."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._events: dict[str, asyncio.Event] = {}

    def arrived(self, agency: str) -> None:
        """Wake the agency's readers. Call on the loop."""
        found = self._events.pop(agency, None)
        if found is not None:
            found.set()

    async def wait(self, agency: str, seconds: float) -> None:
        """Return when something came, or it is time to look again."""
        event = self._events.setdefault(agency, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _LOOK_AGAIN)):
                await event.wait()
