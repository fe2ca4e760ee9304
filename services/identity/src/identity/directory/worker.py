"""Closes a suspended agency's topic at the broker within moments, and opens it again."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from common.telemetry import describe
from identity.agencies.ports import AgencyStore
from identity.directory.ports import TopicAccess, TopicAccessUnavailable
from identity.directory.use_cases import settle

_log = logging.getLogger("hub.identity")


class TopicAccessKeeper:
    """Tries again at every beat until the broker agrees with who is suspended."""

    def __init__(
        self, store: AgencyStore, access: TopicAccess, disconnect: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._access = access
        self._disconnect = disconnect
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with what changed while nobody looked."""
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="identity-topic-access")

    async def stop(self) -> None:
        """End; rules at the broker stay as they are."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._disconnect()

    def wake(self) -> None:
        """Look again: somebody was suspended or restored, or it is time. Call on the loop."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                closed, opened = await settle(self._store, self._access)
            except TopicAccessUnavailable as error:
                _log.error(
                    "topics of suspended agencies not closed",
                    extra={"alarm": "topics-stay-open", "reason": str(error)},
                )
            # The next beat tries again; nothing may end this task
            except Exception as error:  # noqa: BLE001
                _log.error(
                    "topics of suspended agencies not closed",
                    extra={"alarm": "topics-stay-open", "error": describe(error)},
                )
            else:
                for agency in sorted(closed | opened):
                    _log.warning(
                        "own topic closed" if agency in closed else "own topic opened",
                        extra={"agency": agency},
                    )
