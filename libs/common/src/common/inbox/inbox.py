"""The consumer framework: from a bus batch to one committed transaction, with nothing dropped and
nothing done twice."""

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, tuple_

from common import topics as topic_names
from common.bus import Bus, Consumption, Incoming, Outgoing
from common.database import Database, Unit
from common.events import Event
from common.faults import crash_point
from common.inbox import quarantine
from common.inbox.batch import Batch, Handling, NeedsCare, Tally
from common.inbox.quarantine import Waiting, Wanted
from common.inbox.received import Item, Opener, Opening, Received, Senders, envelope_digest
from common.inbox.tables import INBOX
from common.outbox import Outbox
from hubformats.clock import Clock
from hubformats.envelope import EnvelopeRefused, reseal, sealed_to
from hubformats.keys import KeySource, RecipientKey

_log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)
ToldAside = Callable[[Unit, Received, str, str], None]

_CLOCKS_DIFFER: Final = timedelta(days=1)
REPLAY_LIMIT: Final = 1_000
"""One replay is one call of an operator, who waits for its answer."""


class Inbox:
    """Opens envelopes addressed to `me` and hands their events to the service's handlers.

    One database transaction per batch; the bus may commit its offset only after it. `opening`
    answers our opening keys now. Every type that may come must be given to `on` or to `ignore`: an
    authentic event nobody understands is quarantined.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        *,
        clock: Clock,
        me: str,
        opening: Opening,
        keys: KeySource,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._opening = opening
        self._opener = Opener(me=me, opening=opening, keys=keys, clock=clock)
        self._handlers: dict[type[Event], Handling] = {}
        self._told_aside: list[ToldAside] = []
        self._consumptions: list[Consumption] = []
        self._speakers: dict[str, Senders | None] = {}
        self.tally = Tally()

    def on(
        self,
        event_type: type[E],
        handler: Callable[[Unit, Received, E], None],
        *,
        repeats: bool = False,
    ) -> None:
        """Call `handler` for these events, in the writing transaction, in their stream's order.

        It may run again for the same event if the transaction fails, so it must only touch the
        unit. Raising Transient keeps the offset; raising Refused or anything else quarantines the
        event. With `repeats` it also sees events it saw before.
        """
        self._handlers[event_type] = Handling(handler, repeats)

    def ignore(self, *event_types: type[Event]) -> None:
        """Ignore events of these classes: they are known and of no use here."""
        for event_type in event_types:
            self._handlers[event_type] = Handling(None)

    def on_set_aside(self, told: ToldAside) -> None:
        """Call `told` with each authentic envelope that is set aside, its digest and the reason.

        Once, in the transaction that sets it aside.
        """
        self._told_aside.append(told)

    async def consume(
        self,
        bus: Bus,
        *,
        group: str,
        topics: Sequence[str],
        low_priority: Sequence[str] = (),
        others: bool = False,
        senders: Senders | None = None,
    ) -> Consumption:
        """Join `group`.

        Its name is also the consumer under which repeats are recognised, so it must never change.

        `others`: the topics also carry envelopes for other readers, to be skipped. `senders` names,
        for a topic, who may speak on it. Anybody else's envelope is quarantined and holds nothing.
        A replay asks the same. Raises what Bus.consume raises.
        """
        self._speakers[group] = senders
        handler = partial(self._handle, group, others, senders)
        consumption = await bus.consume(group, topics, handler, low_priority=low_priority)
        self._consumptions.append(consumption)
        return consumption

    async def stop(self) -> None:
        """Stop consuming; what is in hand is finished or comes again."""
        consumptions, self._consumptions = self._consumptions, []
        for consumption in consumptions:
            await consumption.stop()

    def held(
        self,
        connection: Connection,
        *,
        key: bytes | str | None = None,
        stream: str | None = None,
        topics: Collection[str] = (),
    ) -> bool:
        """Tell whether an authentic envelope of this key or stream waits: release nothing on it.

        With `topics`, only what came by one of these counts.
        """
        return quarantine.held(
            connection,
            key=key.encode() if isinstance(key, str) else key,
            stream=stream,
            topics=topics,
        )

    def forget(self, unit: Unit, *, before: datetime, limit: int = 1_000) -> int:
        """Delete the marks of events applied before then that no key of ours opens any more.

        Returns how many. An event is sealed to a key that had begun when it was applied, give or
        take the clocks. Once each of those is destroyed, it can be replayed and not opened.
        """
        oldest = min((key.begins for key in self._opening().values()), default=0)
        before = min(before, datetime.fromtimestamp(oldest, UTC) - _CLOCKS_DIFFER)
        old = (
            select(*INBOX.primary_key.columns)
            .where(INBOX.c.state == "done", INBOX.c.at < before)
            .limit(limit)
        )
        return unit.connection.execute(
            delete(INBOX).where(tuple_(*INBOX.primary_key.columns).in_(old))
        ).rowcount

    def first(self, unit: Unit, consumer: str, source: str, event_id: UUID) -> bool:
        """Mark an act that is to have its effect once, like an event; False when it was marked."""
        place = {"consumer": consumer, "source": source, "event_id": event_id}
        if unit.connection.execute(select(INBOX).filter_by(**place)).first() is not None:
            return False
        row = {**place, "state": "done", "at": self._clock.now()}
        unit.connection.execute(insert(INBOX), row)
        return True

    def reseal(self, unit: Unit, kid: str, key: RecipientKey) -> Sequence[Waiting]:
        """Seal what was set aside under a key of ours that goes to another, ours too.

        Authentic envelopes alone: only who can open them changes, and they go on holding releases.
        Returns what is lost with that key all the same.
        """
        lost, wanted, old = list[Waiting](), Wanted(authentic=True), {kid: self._opening()[kid]}
        while rows := quarantine.waiting(unit.connection, wanted, REPLAY_LIMIT):
            for row in rows:
                kept = self._outbox.stored(unit.connection, row.place)
                if kept is not None and kid in sealed_to(kept.value):
                    try:
                        again = reseal(kept.value, me=key.owner, opening=old, key=key)
                        quarantine.replace(unit, row, again)
                    except EnvelopeRefused:
                        lost.append(row)
            wanted = replace(wanted, after=rows[-1].place)
        return lost

    def waiting(
        self,
        connection: Connection,
        *,
        topic: str | None,
        reason: str | None,
        after: UUID | None = None,
        limit: int,
    ) -> Sequence[Waiting]:
        """List what was set aside and not replayed, oldest first, from behind the place `after`."""
        wanted = Wanted(topic=topic, reason=reason, after=after)
        return quarantine.waiting(connection, wanted, limit)

    async def replay_quarantine(
        self,
        bus: Bus,
        topic: str | None = None,
        *,
        reason: str | None = None,
        digests: Sequence[str] = (),
        begin: Callable[[Unit, int], None] | None = None,
    ) -> Tally:
        """Try again what was set aside: by topic, reason or digest; at most 1,000.

        Each is opened and checked like a new arrival, by the senders its own group gave to
        `consume`. A group that is gone replays nothing. What succeeds is applied (late), holds
        nothing any more and is never applied twice; the rest stays where it is. `begin` is
        committed first, with how many will be tried, if any. Raises what Bus.pieces raises, and
        what may pass.
        """
        wanted = Wanted(topic=topic, reason=reason, digests=digests)
        rows = await self._database.read(
            lambda connection: quarantine.waiting(connection, wanted, REPLAY_LIMIT)
        )
        if begin is not None and rows:
            await self._database.write(lambda unit: begin(unit, len(rows)))
        whole, loose = Tally(), list[Waiting]()
        for row in rows:
            kept = await self._database.read(partial(self._outbox.stored, message_id=row.place))
            if kept is None and not row.holds:
                loose.append(row)
            else:
                whole.add(await self._again(row, kept))
        whole.add(await self._loose(bus, loose))
        return whole

    def discard(
        self,
        unit: Unit,
        topic: str,
        *,
        digests: Sequence[str] = (),
        reason: str | None = None,
        limit: int,
    ) -> Sequence[Waiting]:
        """Let go, in this transaction, of what can never be applied, oldest first.

        What is let go holds nothing, is in no list and is not replayed; our copy of its bytes goes.
        An authentic envelope is let go only by its digest. The same bytes are not set aside again,
        but one that turns out authentic later is a new arrival.
        """
        authentic = None if digests else False
        wanted = Wanted(topic, reason, digests, authentic=authentic)
        return quarantine.discard(unit, self._outbox, self._clock, wanted, limit)

    async def _again(self, row: Waiting, kept: Outgoing | Incoming | None) -> Tally:
        if kept is None:
            return Tally(absent=1)
        if row.consumer not in self._speakers:
            return Tally(quarantined=1)
        record = quarantine.restored(row, kept.value, kept.headers)
        items = await self._opener.open(
            [record], others=False, senders=self._speakers[row.consumer]
        )
        return await self._database.write(partial(self._apply, row.consumer, items, True, True))

    async def _loose(self, bus: Bus, rows: Sequence[Waiting]) -> Tally:
        """Look for a forger's bytes where they were put, while that topic keeps them.

        They are read piece by piece and tried as they are met. Whoever floods a topic must not fill
        our memory.
        """
        whole = Tally()
        for topic in sorted({row.topic for row in rows}):
            wanted: dict[str, list[Waiting]] = {}
            for row in rows:
                if row.topic == topic:
                    wanted.setdefault(row.digest, []).append(row)
            async with aclosing(bus.pieces(topic_names.quarantine(topic))) as pieces:
                async for piece in pieces:
                    for record in piece:
                        for row in wanted.pop(envelope_digest(record), ()):
                            whole.add(await self._again(row, record))
                    if not wanted:
                        break
            whole.add(Tally(absent=sum(map(len, wanted.values()))))
        return whole

    async def _handle(
        self, group: str, others: bool, senders: Senders | None, records: Sequence[Incoming]
    ) -> None:
        """Handle a batch; return only when it is durable.

        Raising keeps the offset: a consumer that cannot record must stop.
        """
        items = await self._opener.open(records, others=others, senders=senders)
        if not items:
            return
        try:
            tally = await self._database.write(partial(self._apply, group, items, False, False))
        except NeedsCare:
            tally = await self._database.write(partial(self._apply, group, items, True, False))
        # Dying here repeats the batch: every event in it is recognised as seen.
        crash_point("inbox.after-commit")
        self.tally.add(tally)

    def _apply(
        self, group: str, items: Sequence[Item], careful: bool, replay: bool, unit: Unit
    ) -> Tally:
        batch = Batch(
            unit, group, self._handlers, outbox=self._outbox, clock=self._clock, careful=careful
        )
        tally = batch.apply(items, replay=replay)
        for got, digest, reason in batch.set_aside:
            for told in self._told_aside:
                told(unit, got, digest, reason)
        crash_point("inbox.before-commit")
        return tally
