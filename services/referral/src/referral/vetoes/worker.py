"""Lets requests to lift a veto lapse when nobody confirms them in time."""

import asyncio
import contextlib
import logging
from datetime import timedelta
from functools import partial
from typing import Final

from common.telemetry import describe
from hubformats.clock import rest
from referral.vetoes.ports import VetoStore
from referral.vetoes.use_cases import asking
from referral.vetoes.use_cases.setting import VetoContext

_EVERY: Final = timedelta(seconds=60)
_log = logging.getLogger("hub.referral")


class Lapses:
    """A part that looks every minute. What is due stands in the database, so a crash loses none."""

    def __init__(self, store: VetoStore, given: VetoContext) -> None:
        self._store = store
        self._given = given
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="referral-lapses")

    async def stop(self) -> None:
        """End."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def step(self) -> int:
        """Let lapse what is due; how many."""
        return await self._store.write(partial(asking.lapse_liftings, given=self._given))

    async def _run(self) -> None:
        clock = self._given.context.clock
        while True:
            try:
                while await self.step():
                    pass
            # The next minute tries again; a request that has lapsed is never confirmed meanwhile
            except Exception as error:  # noqa: BLE001
                _log.error("requests to lift not let lapse", extra={"error": describe(error)})
            await rest(clock, _EVERY.total_seconds())
