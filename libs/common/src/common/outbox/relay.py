"""The relay: stored bytes to the bus, in order, until the bus says that it has them."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from opentelemetry import metrics
from sqlalchemy import Connection, bindparam, case, exists, func, null, or_, select, update

from common.bus import Bus, BusUnavailable, MessageTooLarge, NotAllowed, Outgoing, TopicUnknown
from common.clock import Clock
from common.database import Database, DatabaseStopped, DatabaseUnavailable, Listener, ProcessLock, Unit, UtcDateTime, announce
from common.faults import crash_point
from common.outbox.tables import OUTBOX
from common.telemetry import describe

_log = logging.getLogger(__name__)

BATCH: Final = 64
CHANNEL: Final = "hub_outbox"
SAFETY_POLL_S: Final = 1.0
"""How long a message may wait if every word of its commit was lost; a commit wakes the relay at once, another process's too."""
_STANDBY_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_REFUSED_TOPIC_S: Final = 30.0

_meter = metrics.get_meter("hub.outbox")
_sent = _meter.create_counter("hub_outbox_sent", description="Messages the bus has taken")
_failures = _meter.create_counter("hub_outbox_failures", description="Attempts that the bus did not take, by reason")

_COLUMNS: Final = (OUTBOX.c.seq, OUTBOX.c.topic, OUTBOX.c.key, OUTBOX.c.headers, OUTBOX.c.body)

# Made once: building a statement costs more than running it, and each commit with a message in it runs these.
_NOW: Final = bindparam("now", type_=UtcDateTime())
_NEXT_DELAYED: Final = select(func.min(OUTBOX.c.not_before)).where(OUTBOX.c.sent_at.is_(None), OUTBOX.c.not_before > _NOW)
_MAY_GO: Final = (OUTBOX.c.sent_at.is_(None), OUTBOX.c.body.is_not(None), or_(OUTBOX.c.not_before.is_(None), OUTBOX.c.not_before <= _NOW))
_NEXT: Final = select(*_COLUMNS).where(*_MAY_GO).order_by(OUTBOX.c.seq).limit(BATCH)
# What nobody will confirm is forgotten with the bus's own word for it.
_MARK: Final = (
    update(OUTBOX)
    .where(OUTBOX.c.seq.in_(bindparam("gone", expanding=True)), OUTBOX.c.sent_at.is_(None))
    .values(sent_at=_NOW, body=case((OUTBOX.c.confirmed_at.is_not(None), null()), else_=OUTBOX.c.body))
)


@dataclass(frozen=True, slots=True)
class _Waiting:
    seq: int
    message: Outgoing


def encoded_headers(headers: Sequence[tuple[str, bytes]]) -> list[list[str]]:
    """Headers as JSON; bytes keep their value as Latin-1 text."""
    return [[name, value.decode("latin-1")] for name, value in headers]


def decoded_headers(stored: Any) -> tuple[tuple[str, bytes], ...]:
    """The inverse of `encoded_headers`."""
    return tuple((name, value.encode("latin-1")) for name, value in stored)


class Relay:
    """One task per process; of all processes on one database only the holder of the lock sends.

    A holder that stalls and wakes up later can repeat messages, never reorder new ones: recipients drop repeats by id.
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
        self.longest_pause = _LONGEST_PAUSE_S
        self.sent = 0
        self.holding = False

    def wake(self) -> None:
        """Something was committed. Call on the loop."""
        self._wake.set()

    def stored(self, unit: Unit) -> None:
        """A message was stored in this unit: with its commit, wake whichever process relays."""
        unit.after_commit(self.wake)
        if not self.holding:
            announce(unit.connection, CHANNEL)

    def pause(self) -> None:
        """Send nothing more until `resume`; a batch under way ends first."""
        self._running.clear()

    def resume(self) -> None:
        """Send again."""
        self._running.set()
        self._wake.set()

    async def start(self) -> None:
        """Begin relaying in the background."""
        if self._task is None:
            self._lock = self._database.lock("outbox-relay")
            self._listener = self._database.listen(CHANNEL, self.wake)
            self._task = asyncio.create_task(self._run(self._lock), name=f"{self._database.name}-relay")

    async def stop(self) -> None:
        """End after the batch under way, and let another process take over."""
        task, self._task = self._task, None
        if task is None:
            return
        # Cancelled in the middle of a publish, a message may be out and not marked: the next start repeats it.
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self.holding = False
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
                    await asyncio.sleep(_STANDBY_S)
                    continue
                self.holding = True
                self._wake.clear()  # before reading: a commit from here on wakes us again
                more, again = await self._step()
                failures = 0
                if not more:
                    await self._rest(again)
            except (BusUnavailable, DatabaseUnavailable) as error:
                failures += 1
                _failures.add(1, {"reason": type(error).__name__})
                _log.warning("outbox relay waits", extra={"reason": type(error).__name__, "attempts": failures})
                await asyncio.sleep(min(_FIRST_PAUSE_S * 2 ** min(failures, 10), self.longest_pause))
            except DatabaseStopped:
                return
            except Exception as error:  # noqa: BLE001
                # Nothing may end this task while messages wait; an error we did not foresee is retried slowly and loudly.
                failures += 1
                _failures.add(1, {"reason": "unforeseen"})
                _log.error("outbox relay failed", extra={"error": describe(error)})
                await asyncio.sleep(self.longest_pause)

    async def _rest(self, again: datetime | None) -> None:
        limit = SAFETY_POLL_S if self._database.dialect == "postgresql" or self._refused else None
        if again is not None:
            due = max((again - self._clock.now()).total_seconds(), 0.001)
            limit = due if limit is None else min(due, limit)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._wake.wait()

    async def _step(self) -> tuple[bool, datetime | None]:
        """Send one batch. Returns whether more may be waiting that no commit will wake us for, and when the next delayed message is due."""
        now = self._clock.now()
        closed = self._closed_topics()
        waiting, again = await self._database.read(lambda connection: _due(connection, now, closed))
        if not waiting:
            return False, again
        crash_point("outbox.before-send")
        gone = await self._publish(waiting)
        # Dying here repeats the batch after the restart: same bytes, same ids.
        crash_point("outbox.after-send")
        if gone:
            await self._database.write(lambda unit: self._mark(unit, gone))
            crash_point("outbox.after-mark")
        self.sent += len(gone)
        _sent.add(len(gone))
        return bool(gone) and (len(waiting) == BATCH or len(gone) < len(waiting)), again

    async def _publish(self, waiting: Sequence[_Waiting]) -> list[int]:
        try:
            await self._bus.publish([each.message for each in waiting])
        except (TopicUnknown, NotAllowed, MessageTooLarge):
            return await self._publish_by_topic(waiting)
        return [each.seq for each in waiting]

    async def _publish_by_topic(self, waiting: Sequence[_Waiting]) -> list[int]:
        """One topic is closed to us; the others must not wait for it. Its messages stay and are tried again."""
        gone: list[int] = []
        for topic in dict.fromkeys(each.message.topic for each in waiting):
            mine = [each for each in waiting if each.message.topic == topic]
            try:
                await self._bus.publish([each.message for each in mine])
            except (TopicUnknown, NotAllowed, MessageTooLarge) as error:
                self._refused[topic] = self._clock.monotonic() + _REFUSED_TOPIC_S
                _failures.add(1, {"reason": type(error).__name__})
                _log.error("the bus refuses a topic; its messages wait", extra={"topic": topic, "reason": type(error).__name__})
            else:
                gone.extend(each.seq for each in mine)
        return gone

    def _closed_topics(self) -> list[str]:
        now = self._clock.monotonic()
        self._refused = {topic: until for topic, until in self._refused.items() if until > now}
        return list(self._refused)

    def _mark(self, unit: Unit, gone: Sequence[int]) -> None:
        unit.connection.execute(_MARK, {"gone": list(gone), "now": self._clock.now()})


def _due(connection: Connection, now: datetime, closed: Sequence[str]) -> tuple[list[_Waiting], datetime | None]:
    """The next batch in order, leaving out what is behind a delayed message of its stream, and when the first delay ends."""
    again = connection.execute(_NEXT_DELAYED, {"now": now}).scalar_one()
    query = _NEXT
    if again is not None:
        ahead = OUTBOX.alias("ahead")
        delayed = exists().where(
            ahead.c.sent_at.is_(None), ahead.c.not_before > now, ahead.c.stream == OUTBOX.c.stream, ahead.c.seq < OUTBOX.c.seq
        )
        query = query.where(~delayed)
    if closed:
        query = query.where(OUTBOX.c.topic.not_in(closed))
    rows = connection.execute(query, {"now": now})
    return [_Waiting(row.seq, Outgoing(row.topic, row.key, row.body, decoded_headers(row.headers))) for row in rows], again
