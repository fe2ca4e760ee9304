"""The heartbeat: every fifteen seconds each service hears who is suspended."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from common.directory import DirectoryState
from common.events.identity import DirectoryHeartbeat
from common.telemetry import describe
from hubformats.bootstrap import Bootstrap
from hubformats.clock import Clock, rest
from identity.agencies import use_cases
from identity.agencies.model import AgencyState
from identity.agencies.ports import AgencyStore

BEAT_SECONDS: Final = 15.0
_REPLACED: Final = timedelta(seconds=60)
_log = logging.getLogger("hub.identity")


class Pulse:
    """Fulfils `Heartbeat`. If it stops, the services deny within sixty seconds."""

    def __init__(
        self,
        store: AgencyStore,
        directory: DirectoryState,
        bootstrap: Bootstrap,
        clock: Clock,
        after_beat: Callable[[Sequence[AgencyState]], None],
    ) -> None:
        """`directory` is our own copy of the state; `after_beat` gets the agencies, on the loop."""
        self._store = store
        self._directory = directory
        self._bootstrap = bootstrap
        self._clock = clock
        self._after_beat = after_beat
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Enrol new agencies of the bootstrap file, beat once, go on beating."""
        await self.enrol()
        await self.beat()
        self._task = asyncio.create_task(self._every_beat())

    async def stop(self) -> None:
        """Beat no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def enrol(self) -> None:
        """Store the agencies of the bootstrap file that are new."""
        await self._store.write(lambda tx: use_cases.enrol(tx, self._bootstrap))

    async def beat(self) -> DirectoryHeartbeat:
        """Publish the state and take it in ourselves; sweep what expired."""
        event = await self._store.write(lambda tx: use_cases.beat(tx, self._clock))
        self._directory.apply(event)
        self._after_beat(await self._store.read(lambda tx: tx.agencies.all()))
        await self._store.forget_heartbeats(self._clock.now() - _REPLACED)
        return event

    async def _every_beat(self) -> None:
        while True:
            await rest(self._clock, BEAT_SECONDS)
            try:
                await self.beat()
            # The next beat tries again; silence denies, which is safe
            except Exception as error:  # noqa: BLE001
                _log.error("heartbeat not sent", extra={"error": describe(error)})
