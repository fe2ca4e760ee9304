"""The consumer framework: from a bus batch to one committed transaction, with nothing dropped and nothing done twice."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, delete, select, tuple_

from common import topics as topic_names
from common.bus import Bus, Consumption, Incoming
from common.clock import Clock
from common.database import Database, Unit
from common.events import Event
from common.faults import crash_point
from common.inbox import quarantine
from common.inbox.batch import Batch, Handling, NeedsCare, Tally
from common.inbox.quarantine import Quarantined
from common.inbox.received import Item, Opener, Opening, Received, Senders
from common.inbox.tables import INBOX
from common.keys import KeySource
from common.outbox import Outbox

_log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)


class Inbox:
    """Opens envelopes addressed to `me` and hands their events to the service's handlers.

    One database transaction per batch; the bus may commit its offset only after it. `opening` answers our opening keys now.
    Every type that may come must be given to `on` or to `ignore`: an authentic event nobody understands is quarantined.
    """

    def __init__(self, database: Database, outbox: Outbox, *, clock: Clock, me: str, opening: Opening, keys: KeySource) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._opener = Opener(me=me, opening=opening, keys=keys, clock=clock)
        self._handlers: dict[type[Event], Handling] = {}
        self._consumptions: list[Consumption] = []
        self.tally = Tally()

    def on(self, event_type: type[E], handler: Callable[[Unit, Received, E], None], *, repeats: bool = False) -> None:
        """Call `handler` for events of this class, in the writing transaction, in order within a stream.

        It may run again for the same event if the transaction fails, so it must only touch the unit. Raising Transient keeps
        the offset; raising Refused or anything else quarantines the event. With `repeats` it also sees events it saw before.
        """
        self._handlers[event_type] = Handling(handler, repeats)

    def ignore(self, *event_types: type[Event]) -> None:
        """These classes are known and of no use here."""
        for event_type in event_types:
            self._handlers[event_type] = Handling(None)

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
        """Join `group`. Its name is also the consumer under which repeats are recognised, so it must never change.

        `others`: the topics also carry envelopes for other readers, to be skipped. `senders` names, for a topic, who may
        speak on it; anybody else's envelope is quarantined and holds nothing. Raises what Bus.consume raises.
        """
        handler = partial(self._handle, group, others, senders)
        consumption = await bus.consume(group, topics, handler, low_priority=low_priority)
        self._consumptions.append(consumption)
        return consumption

    async def stop(self) -> None:
        """Stop consuming; what is in hand is finished or comes again."""
        consumptions, self._consumptions = self._consumptions, []
        for consumption in consumptions:
            await consumption.stop()

    def pause(self) -> None:
        """Take no further batch until `resume`."""
        for consumption in self._consumptions:
            consumption.pause()

    def resume(self) -> None:
        """Consume again."""
        for consumption in self._consumptions:
            consumption.resume()

    def held(self, connection: Connection, *, key: bytes | str | None = None, stream: str | None = None) -> bool:
        """Whether an authentic envelope of this bus key or stream waits unapplied in quarantine: nothing may be released on it."""
        return quarantine.held(connection, key=key.encode() if isinstance(key, str) else key, stream=stream)

    def quarantined(self, connection: Connection) -> Sequence[Quarantined]:
        """What this service set aside, oldest first, replayed or not."""
        return quarantine.listing(connection)

    def forget(self, unit: Unit, *, before: datetime, limit: int = 1_000) -> int:
        """Delete the marks of events applied before then; how many. `before` lies further back than any topic's retention."""
        old = select(*INBOX.primary_key.columns).where(INBOX.c.state == "done", INBOX.c.at < before).limit(limit)
        return unit.connection.execute(delete(INBOX).where(tuple_(*INBOX.primary_key.columns).in_(old))).rowcount

    async def replay_quarantine(self, bus: Bus, topic: str, *, senders: Senders | None = None) -> Tally:
        """Try again what this service set aside from `topic`: after a fix, a new version or a key that became known.

        What succeeds is applied (late), holds nothing any more and is never applied twice; the rest stays where it is.
        """
        whole = Tally()
        for record in await bus.read(topic_names.quarantine(topic)):
            consumer, original = quarantine.returning(record, topic)
            if not await self._database.read(partial(quarantine.waits, consumer=consumer, record=original)):
                continue
            items = await self._opener.open([original], others=False, senders=senders)
            tally = await self._database.write(partial(self._apply, consumer, items, True, True))
            whole.add(tally)
        return whole

    async def _handle(self, group: str, others: bool, senders: Senders | None, records: Sequence[Incoming]) -> None:
        """Returns only when the batch is durable. Raising keeps the offset: a consumer that cannot record must stop."""
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

    def _apply(self, group: str, items: Sequence[Item], careful: bool, replay: bool, unit: Unit) -> Tally:
        batch = Batch(unit, group, self._handlers, outbox=self._outbox, clock=self._clock, careful=careful)
        tally = batch.apply(items, replay=replay)
        crash_point("inbox.before-commit")
        return tally
