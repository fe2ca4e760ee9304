"""Decide on what waits, sender by sender, and anew for agencies that may act again."""

import asyncio
import logging
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from common.database import DatabaseStopped, DatabaseUnavailable
from common.faults import crash_point
from common.telemetry import describe
from sharing.context import Store
from sharing.decisions.model import Undecided, whose_turn
from sharing.decisions.ports import DecisionTx, DecisionView
from sharing.decisions.use_cases import waiting
from sharing.decisions.use_cases.redeciding import decide_for_restored
from sharing.decisions.use_cases.run import DecisionContext

_log = logging.getLogger("hub.sharing")
_PAGE: Final = 16
_EVERY: Final = timedelta(seconds=30)
_LOOK_AGAIN: Final = 5.0
_AFTER_FAILURE: Final = 1.0
_LEAVES_IN: Final = 0.5
_STANDS_BACK: Final = 2.0
"""Seconds that an urgent form takes to leave once it was decided on, and that reading any other
form through stands back for such in all.
"""


class Restored:
    """A round goes over all such cases, a page at a time.

    So what is due for release never waits long behind it. What is due stands in the database and
    ends with the decision. The next round makes up for a crash, or for a restoration we never heard
    announced. A round begins when an agency may act that could not, and every thirty seconds.
    """

    def __init__(self, store: Store[DecisionTx, DecisionView], context: DecisionContext) -> None:
        self._store = store
        self._context = context
        self._acting: frozenset[str] = frozenset()
        self._next = context.now()
        self._under_way = False
        self._after: UUID | None = None

    async def step(self) -> int:
        """Decide on one page of cases; how many there were.

        Nothing while nobody can say who is suspended.
        """
        if not self._context.directory.fresh():
            return 0
        self._begin()
        if not self._under_way:
            return 0
        page = await self._store.read(
            lambda view: view.cases.that_skipped(self._acting, self._after, _PAGE)
        )
        for case_id in page:
            await self._again(case_id)
            self._after = case_id
        self._under_way = len(page) == _PAGE
        return len(page)

    def _begin(self) -> None:
        acting = frozenset(
            agency.id for agency in self._context.directory.agencies() if not agency.suspended
        )
        now = self._context.now()
        if acting - self._acting or now >= self._next:
            self._under_way, self._after, self._next = True, None, now + _EVERY
        self._acting = acting

    async def _again(self, case_id: UUID) -> None:
        """Decide in one transaction; what fails must not keep the others, and is tried again."""
        try:
            done = await self._store.write(
                partial(decide_for_restored, context=self._context, case_id=case_id)
            )
        except (DatabaseUnavailable, DatabaseStopped):
            raise
        except Exception as error:  # noqa: BLE001 - tried again at the next round, loudly
            _log.error(
                "deciding again failed",
                extra={"alarm": "decide-again-failed", "error": describe(error)},
            )
        else:
            prepared = 0 if done is None else len(done.prepared)
            _log.info("decided again after a restoration", extra={"prepared": prepared})


class Turns:
    """Decides on what waits, one snapshot of each sender in turn.

    Urgent ones and others each have a task of their own, so that danger waits for no other form.
    What waits stands in the database, so a crash loses nothing. Whose turn it was is lost, and the
    oldest goes first after a start.
    """

    def __init__(self, store: Store[DecisionTx, DecisionView], context: DecisionContext) -> None:
        self._store = store
        self._context = context
        self._wakes = {True: asyncio.Event(), False: asyncio.Event()}
        self._running = asyncio.Event()
        self._running.set()
        self._served: dict[bool, dict[str, int]] = {True: {}, False: {}}
        self._danger_until = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def wake(self) -> None:
        """Note that a snapshot waits. Call on the loop."""
        for each in self._wakes.values():
            each.set()

    async def start(self) -> None:
        """Begin; what an earlier process left waiting goes first."""
        self._tasks = [
            asyncio.create_task(self._run(urgent), name=f"sharing-turns-{urgent}")
            for urgent in self._wakes
        ]

    async def stop(self) -> None:
        """End after the transaction under way."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def pause(self) -> None:
        """Decide on nothing more that waits until `resume`; a step under way ends first."""
        self._running.clear()

    def resume(self) -> None:
        """Go on."""
        self._running.set()
        self.wake()

    async def step(self, *, urgent: bool) -> Undecided | None:
        """Decide on the snapshot whose turn it is; None when none waits.

        One that fails must not keep the others: it holds its case and is tried again, loudly.
        """
        now = self._context.now()
        heads = await self._store.read(lambda view: view.undecided.heads(now, urgent=urgent))
        if not heads:
            self._served[urgent].clear()
            return None
        served = self._served[urgent]
        one = whose_turn(heads, served)
        served[one.sender] = max(served.values(), default=0) + 1
        if urgent:
            self._danger_until = time.monotonic() + _LEAVES_IN
        try:
            await self._decide(one)
        except (DatabaseUnavailable, DatabaseStopped):
            raise
        except Exception as error:  # noqa: BLE001 - tried again after a pause
            _log.error(
                "deciding failed", extra={"alarm": "deciding-failed", "error": describe(error)}
            )
            await self._store.write(partial(waiting.postpone, context=self._context, one=one))
        return one

    async def _decide(self, one: Undecided) -> None:
        """Read it through in a thread, so that neither the loop nor the writer waits for that."""
        context, store = self._context, self._store
        snapshot = await store.write(partial(waiting.open_undecided, context=context, one=one))
        if snapshot is None:
            return
        until = time.monotonic() + (0 if one.urgent else _STANDS_BACK)
        reader = await asyncio.to_thread(
            waiting.read_through, context, snapshot, partial(self._stand_back, until)
        )
        # Crash here: nothing was written of it, and it still waits.
        crash_point("sharing.read-through")
        await store.write(partial(waiting.decide_in_turn, context=context, one=one, reader=reader))

    def _stand_back(self, until: float) -> None:
        """Leave the processor to danger that is under way, but no longer than `until`."""
        while time.monotonic() < min(self._danger_until, until):
            time.sleep(0.01)

    async def _run(self, urgent: bool) -> None:
        wake = self._wakes[urgent]
        while True:
            try:
                await self._running.wait()
                wake.clear()  # before reading: a commit from here on wakes us again
                if await self.step(urgent=urgent) is None:
                    # Not `wait_for`: Python 3.11's loses a cancellation that comes with the wake
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_AGAIN):
                            await wake.wait()
            except DatabaseStopped:
                return
            # Nothing may end this task while snapshots wait; loud and slow instead
            except Exception as error:  # noqa: BLE001
                _log.error(
                    "deciding failed", extra={"alarm": "deciding-failed", "error": describe(error)}
                )
                await asyncio.sleep(_AFTER_FAILURE)
