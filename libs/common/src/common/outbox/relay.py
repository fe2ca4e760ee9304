"""The relay: stored bytes to the bus, in order, until the bus says that it has them."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from opentelemetry import metrics

from common.bus import Bus, BusUnavailable, MessageTooLarge, NotAllowed, TopicUnknown
from common.database import (
    Database,
    DatabaseStopped,
    DatabaseUnavailable,
    GroupCommit,
    Listener,
    ProcessLock,
    Unit,
    announce,
)
from common.faults import crash_point
from common.outbox.waiting import BATCH, MARK, Stored, due
from common.telemetry import describe
from hubformats.clock import Clock, longest

_log = logging.getLogger(__name__)

CHANNEL: Final = "hub_outbox"
SAFETY_POLL_S: Final = 1.0
"""How long a message may wait if every word of its commit was lost."""
_STANDBY_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_REFUSED_TOPIC_S: Final = 30.0
_HELD_S: Final = 1.0
_MARK_WITHIN_S: Final = 0.05
"""How long a mark waits for a commit to join; dying before it only repeats what was sent."""
_HANDED_MOST: Final = 256
_STREAMS_KNOWN: Final = 10_000
Held = Callable[[Sequence[UUID]], Awaitable[Collection[UUID]]]  # of these, what must wait

_meter = metrics.get_meter("hub.outbox")
_sent = _meter.create_counter("hub_outbox_sent", description="Messages the bus has taken")
_failures = _meter.create_counter(
    "hub_outbox_failures", description="Attempts that the bus did not take, by reason"
)


class Relay:
    """One task per process; of all processes on one database only the holder of the lock sends.

    What this process committed is handed over in memory, as long as it is the next of its stream.
    Everything else is read from the table, in order. That is after a start, a failure or a delay,
    or from another process. A holder that stalls and wakes up later can repeat messages, never
    reorder new ones: recipients drop repeats by id.
    """

    def __init__(self, database: Database, bus: Bus, *, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._lock: ProcessLock | None = None
        self._listener: Listener | None = None
        self._wake = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()
        self._task: asyncio.Task[None] | None = None
        self._refused: dict[str, float] = {}
        self._held: dict[UUID, float] = {}
        self.ask_again: tuple[timedelta, Held] | None = None  # of what waited longer than this
        self._look = True
        self._looked = clock.monotonic()
        self._again: datetime | None = None
        self._handed: list[Stored] = []
        self._streams: OrderedDict[str, int] = OrderedDict()
        self.unmarked: dict[UUID, datetime] = {}
        database.before_commit(self._mark_along)
        self.longest_pause = _LONGEST_PAUSE_S
        self.sent = 0  # and marked as sent
        self.holding = False

    def wake(self) -> None:
        """Look at the table again: it may hold what was not handed over. Call on the loop."""
        self._look = True
        self._wake.set()

    def stored(self, unit: Unit, stored: Stored | None = None) -> None:
        """Send a stored message with the unit's commit, or wake the process that relays."""
        unit.after_commit(self.wake if stored is None else partial(self._take, stored))
        if not self.holding:
            announce(unit.connection, CHANNEL)

    def _take(self, stored: Stored) -> None:
        full = len(self._handed) >= _HANDED_MOST
        if self._look or full or not (self.holding and self._running.is_set()):
            self._look = True  # it stands in the table, behind what must be read from there first
        else:
            self._handed.append(stored)
        self._wake.set()

    def pause(self) -> None:
        """Send nothing more until `resume`; a batch under way ends first."""
        self._running.clear()

    def resume(self) -> None:
        """Send again."""
        self._running.set()
        self.wake()

    async def start(self) -> None:
        """Begin relaying in the background."""
        if self._task is None:
            self._look = True
            self._lock = self._database.lock("outbox-relay")
            self._listener = self._database.listen(CHANNEL, self.wake)
            self._task = asyncio.create_task(
                self._run(self._lock), name=f"{self._database.name}-relay"
            )

    async def stop(self) -> None:
        """End after the batch under way, and let another process take over."""
        task, self._task = self._task, None
        if task is None:
            return
        # Cancelled in the middle of a publish, a message may be out and not marked: the next start
        # repeats it.
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self.holding = False
        with suppress(DatabaseUnavailable, DatabaseStopped):  # not marked, it is repeated
            await self._mark_now()
        if self._listener is not None:
            await self._listener.stop()
        if self._lock is not None:
            await self._lock.release()

    async def _run(self, lock: ProcessLock) -> None:
        failures = 0
        while True:
            try:
                await self._running.wait()
                if not (await lock.held() or await lock.acquire()):
                    self.holding = False
                    self._look = True
                    await asyncio.sleep(_STANDBY_S)
                    continue
                self.holding = True
                self._wake.clear()  # before looking: a commit from here on wakes us again
                if not await self._step():
                    await self._rest()
                failures = 0
            except (BusUnavailable, DatabaseUnavailable) as error:
                failures += 1
                self._look = True
                _failures.add(1, {"reason": type(error).__name__})
                facts = {"reason": type(error).__name__, "attempts": failures}
                _log.warning("outbox relay waits", extra=facts)
                pause = _FIRST_PAUSE_S * 2 ** min(failures, 10)
                await asyncio.sleep(min(pause, self.longest_pause))
            except DatabaseStopped:
                return
            except Exception as error:  # noqa: BLE001
                # Nothing may end this task while messages wait; an error we did not foresee is
                # retried slowly and loudly.
                failures += 1
                self._look = True
                _failures.add(1, {"reason": "unforeseen"})
                _log.error("outbox relay failed", extra={"error": describe(error)})
                await asyncio.sleep(self.longest_pause)

    async def _rest(self) -> None:
        """Wait for a commit.

        A mark that found no company is made by itself. A delay that ends, or too long a silence,
        means a look.
        """
        if self.unmarked and not await self._woken(_MARK_WITHIN_S):
            await self._mark_now()
        limit = SAFETY_POLL_S if self._polls else None
        if self._again is not None:
            wait = max((self._again - self._clock.now()).total_seconds(), 0.001)
            wait = longest(self._clock, wait)
            limit = wait if limit is None else min(wait, limit)
        if not await self._woken(limit):
            self._look = True

    @property
    def _polls(self) -> bool:
        """Whether something may come to wait in the table without a word to us."""
        return self._database.dialect == "postgresql" or bool(self._refused or self._held)

    def _is_due(self) -> bool:
        """Tell whether the table must be looked at now, however busy hand-overs keep us."""
        if self._again is not None and self._again <= self._clock.now():
            return True
        return self._polls and self._clock.monotonic() - self._looked >= SAFETY_POLL_S

    async def _woken(self, seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _step(self) -> bool:
        """Send what was handed over, or a batch from the table.

        Returns whether to go on at once: nobody would wake us for the rest.
        """
        self._look = self._look or self._is_due()
        waiting = [] if self._look else self._next_handed()
        if not waiting and self._look:
            await self._mark_now()  # what is out but not marked must not be read as waiting
            self._look = False
            self._handed.clear()  # committed before this, so it is in the table
            now, closed = self._clock.now(), self._closed_topics()
            self._looked = self._clock.monotonic()
            waiting, self._again = await self._database.read(
                lambda connection: due(connection, now, closed, list(self._held))
            )
            self._look = self._look or len(waiting) == BATCH
        if not waiting:
            return self._look
        ready = await self._asked(waiting)
        crash_point("outbox.before-send")
        gone = await self._publish(ready)
        # Dying here repeats the batch after the restart: same bytes, same ids.
        crash_point("outbox.after-send")
        now = self._clock.now()
        for each in gone:
            self.unmarked[each.id] = now
            self._follow(each)
        self._look = self._look or len(gone) < len(waiting)
        return self._look and bool(gone or len(ready) < len(waiting))

    async def _asked(self, waiting: Sequence[Stored]) -> Sequence[Stored]:
        """Leave out what waited long and must not leave yet; it is asked of again soon."""
        if self.ask_again is None:
            return waiting
        after, held = self.ask_again
        late = [each.id for each in waiting if each.since + after < self._clock.now()]
        wait = await held(late) if late else ()
        until = self._clock.monotonic() + _HELD_S
        self._held.update(dict.fromkeys(wait, until))
        return [each for each in waiting if each.id not in wait]

    def _next_handed(self) -> list[Stored]:
        """Return what was handed over and is the next of its stream.

        Anything else is left to the table, where all that is ahead of it stands.
        """
        handed, self._handed = self._handed, []
        if not handed:
            return []
        now, closed = self._clock.now(), self._closed_topics()
        last: dict[str, int] = {}
        ready = []
        for each in handed:
            before = last.get(each.stream, self._streams.get(each.stream, 0))
            early = each.not_before is not None and each.not_before > now
            if each.number == before + 1 and not early and each.message.topic not in closed:
                last[each.stream] = each.number
                ready.append(each)
            elif each.number > before or not each.number:
                self._look = True
        return ready

    def _follow(self, sent: Stored) -> None:
        """Remember how far its stream was sent; of old streams the table says."""
        if sent.number:
            self._streams[sent.stream] = max(sent.number, self._streams.get(sent.stream, 0))
            self._streams.move_to_end(sent.stream)
            if len(self._streams) > _STREAMS_KNOWN:
                self._streams.popitem(last=False)

    async def _publish(self, waiting: Sequence[Stored]) -> Sequence[Stored]:
        try:
            await self._bus.publish([each.message for each in waiting])
        except (TopicUnknown, NotAllowed, MessageTooLarge):
            return await self._publish_by_topic(waiting)
        return waiting

    async def _publish_by_topic(self, waiting: Sequence[Stored]) -> Sequence[Stored]:
        """Publish topic by topic: if one is closed to us, the others must not wait for it.

        Its messages stay and are tried again.
        """
        gone: list[Stored] = []
        for topic in dict.fromkeys(each.message.topic for each in waiting):
            mine = [each for each in waiting if each.message.topic == topic]
            try:
                await self._bus.publish([each.message for each in mine])
            except (TopicUnknown, NotAllowed, MessageTooLarge) as error:
                self._refused[topic] = self._clock.monotonic() + _REFUSED_TOPIC_S
                _failures.add(1, {"reason": type(error).__name__})
                facts = {"topic": topic, "reason": type(error).__name__}
                _log.error("the bus refuses a topic; its messages wait", extra=facts)
            else:
                gone.extend(mine)
        return gone

    def _closed_topics(self) -> list[str]:
        now = self._clock.monotonic()
        kept = {topic: until for topic, until in self._refused.items() if until > now}
        if len(kept) < len(self._refused):
            # What it refused waits in the table, and nobody will hand it over again.
            self._look = True
        self._refused = kept
        self._held = {message: until for message, until in self._held.items() if until > now}
        return list(kept)

    def _mark_along(self, group: GroupCommit) -> None:
        """Mark what is out before any commit, in the writer's thread, at no cost of its own."""
        sent = list(self.unmarked.items())
        if sent:
            rows = [{"message": message, "now": at} for message, at in sent]
            MARK.run_many(group.connection, rows)
            group.after_commit(partial(self._marked, [message for message, _ in sent]))

    async def _mark_now(self) -> None:
        if self.unmarked:
            await self._database.write(_nothing_else)

    def _marked(self, messages: Sequence[UUID]) -> None:
        crash_point("outbox.after-mark")
        known = len(self.unmarked)
        for message in messages:
            self.unmarked.pop(message, None)
        # Two commits in a row may both have marked it.
        self.sent += known - len(self.unmarked)
        _sent.add(known - len(self.unmarked))


def _nothing_else(_: Unit) -> None:
    """Do nothing: this unit is there for the hook before its commit."""
