"""One batch in one transaction: repeats recognised, streams followed, handlers called, the
unprocessable set aside."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from opentelemetry import metrics
from sqlalchemy import Connection, Insert, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from common.database import Prepared, Unit, among
from common.events import Event, EventMalformed, EventUnknown, parse
from common.events.routes import strays
from common.inbox import quarantine
from common.inbox.errors import Refused, passing
from common.inbox.received import Item, Received, envelope_digest
from common.inbox.tables import INBOX, INBOX_STREAM
from common.outbox import Outbox
from common.telemetry import describe
from hubformats.clock import Clock

_log = logging.getLogger(__name__)
_meter = metrics.get_meter("hub.inbox")
_gaps = _meter.create_counter(
    "hub_inbox_gaps", description="Numbers missing in a stream when a later one came"
)
_late = _meter.create_counter(
    "hub_inbox_late", description="Events that came after their successors"
)
_repeats = _meter.create_counter("hub_inbox_repeats", description="Events seen before")

# Made once: every batch of every consumer runs them. They name the source too, though others' rows
# would be no harm: without the
# middle of the key a database reads all that the consumer has ever seen.
_SEEN: Final = Prepared(
    lambda dialect: select(INBOX.c.source, INBOX.c.event_id, INBOX.c.state).where(
        INBOX.c.consumer == bindparam("b_consumer"),
        among(INBOX.c.source, "b_sources", dialect),
        among(INBOX.c.event_id, "b_ids", dialect),
    )
)
_STREAMS: Final = Prepared(
    lambda dialect: select(INBOX_STREAM).where(
        INBOX_STREAM.c.consumer == bindparam("b_consumer"),
        among(INBOX_STREAM.c.source, "b_sources", dialect),
        among(INBOX_STREAM.c.stream, "b_streams", dialect),
    )
)
_MARKED: Final = Prepared(insert(INBOX), *INBOX.c.keys())


def _following(dialect: str) -> Insert:
    new = sqlite.insert(INBOX_STREAM) if dialect == "sqlite" else postgresql.insert(INBOX_STREAM)
    changed = {"last": new.excluded.last, "missing": new.excluded.missing}
    return new.on_conflict_do_update(index_elements=["consumer", "source", "stream"], set_=changed)


_FOLLOWED: Final = Prepared(_following, *INBOX_STREAM.c.keys())

Call = Callable[[Unit, Received, Any], None]


class NeedsCare(Exception):
    """A handler failed: run the batch again with a savepoint around each event."""


@dataclass(frozen=True, slots=True)
class Handling:
    """What a service does with one event type; `call` is None when it ignores it."""

    call: Call | None
    repeats: bool = False


@dataclass(slots=True)
class Tally:
    """What a batch came to."""

    applied: int = 0
    repeats: int = 0
    quarantined: int = 0
    gaps: int = 0
    late: int = 0
    absent: int = 0  # asked to replay, and its bytes are kept nowhere any more

    def add(self, other: "Tally") -> None:
        """Count another batch in."""
        self.applied += other.applied
        self.repeats += other.repeats
        self.quarantined += other.quarantined
        self.gaps += other.gaps
        self.late += other.late
        self.absent += other.absent


@dataclass(slots=True)
class _Stream:
    last: int
    missing: int
    touched: bool = False


class Batch:
    """Applies the items of one batch for one consumer. Made anew for every attempt."""

    def __init__(
        self,
        unit: Unit,
        consumer: str,
        handlers: Mapping[type[Event], Handling],
        *,
        outbox: Outbox,
        clock: Clock,
        careful: bool,
    ) -> None:
        self._unit = unit
        self._consumer = consumer
        self._handlers = handlers
        self._outbox = outbox
        self._clock = clock
        self._careful = careful
        self._seen: dict[tuple[str, UUID], str] = {}
        self._fresh: dict[tuple[str, UUID], str] = {}
        self._replayed: list[tuple[str, UUID]] = []
        self._streams: dict[tuple[str, str], _Stream] = {}
        self.tally = Tally()
        self.set_aside: list[tuple[Received, str, str]] = []

    def apply(self, items: Sequence[Item], *, replay: bool = False) -> Tally:
        """Apply what can be applied.

        With `replay`, events that are held get another try. Raises what may pass, and NeedsCare.
        """
        received = [item.received for item in items if item.received is not None]
        self._load(received)
        for item in items:
            if item.received is None:
                self._set_aside(item, item.reason)
            else:
                self._one(item, item.received, replay=replay)
        self._save()
        return self.tally

    def _one(self, item: Item, got: Received, *, replay: bool) -> None:
        identity = (got.source, got.id)
        state = self._fresh.get(identity) or self._seen.get(identity)
        if state == "done":
            self._repeat(got)
            if replay:
                self._let_go(item)
            return
        if state == "held" and not replay:
            self.tally.repeats += 1
            return
        got = self._follow(got) if state is None else replace(got, late=True)
        try:
            event, handling = self._understand(got)
            if handling.call is not None:
                self._call(handling.call, got, event)
        except Refused as refused:
            if state is None:
                self._fresh[identity] = "held"
            self._set_aside(item, refused.code)
            return
        self.tally.applied += 1
        if state is None:
            self._fresh[identity] = "done"
        else:
            self._replayed.append(identity)
        if replay:
            self._let_go(item)

    def _let_go(self, item: Item) -> None:
        quarantine.release(
            self._unit, self._outbox, self._clock, self._consumer, envelope_digest(item.record)
        )

    def _repeat(self, got: Received) -> None:
        """Handle a repeat: silently, unless the handler asked for repeats.

        One that fails changes nothing that was done the first time.
        """
        self.tally.repeats += 1
        try:
            event, handling = self._understand(got)
            if handling.repeats and handling.call is not None:
                self._call(handling.call, replace(got, repeat=True), event)
        except Refused as refused:
            _log.warning(
                "a repeated event was refused",
                extra={"reason": refused.code, "consumer": self._consumer},
            )

    def _set_aside(self, item: Item, reason: str) -> None:
        self.tally.quarantined += 1
        new = quarantine.put(self._unit, self._outbox, self._clock, self._consumer, item, reason)
        if new and item.received is not None:
            self.set_aside.append((item.received, envelope_digest(item.record), reason))

    def _understand(self, got: Received) -> tuple[Event, Handling]:
        try:
            event = parse(got.type, got.version, got.data)
        except EventUnknown:
            raise Refused("event-unknown") from None
        except EventMalformed:
            raise Refused("event-malformed") from None
        handling = self._handlers.get(type(event))
        if handling is None:
            raise Refused("event-not-handled")
        if handling.call is not None and strays(type(event), got.topic):
            # Handlers of one service serve all its topics, and not everybody who may write to one
            # may say everything.
            raise Refused("wrong-topic")
        return event, handling

    def _call(self, call: Call, got: Received, event: Event) -> None:
        """Call it; raise Refused when final, NeedsCare for traces, and what may pass as it is."""
        try:
            if self._careful:
                with self._unit.attempt():
                    call(self._unit, got, event)
            else:
                call(self._unit, got, event)
        except Exception as error:
            if passing(error):
                raise
            if not self._careful:
                raise NeedsCare from error
            if isinstance(error, Refused):
                raise
            _log.error(
                "a handler failed", extra={"error": describe(error), "consumer": self._consumer}
            )
            raise Refused("handler-failed") from None

    def _follow(self, got: Received) -> Received:
        """Note the event's place in its stream.

        A gap is accepted and flagged; what fills it later is late.
        """
        place = (got.source, got.stream)
        stream = self._streams.setdefault(place, _Stream(0, 0))
        stream.touched = True
        if got.seq > stream.last:
            skipped = got.seq - stream.last - 1
            stream.last, stream.missing = got.seq, stream.missing + skipped
            if skipped:
                self.tally.gaps += skipped
                self._unit.after_commit(lambda: _flag_gap(self._consumer, got.source, skipped))
            return got
        stream.missing = max(stream.missing - 1, 0)
        self.tally.late += 1
        self._unit.after_commit(
            lambda: _late.add(1, {"consumer": self._consumer, "source": got.source})
        )
        return replace(got, late=True)

    def _load(self, received: Sequence[Received]) -> None:
        if not received:
            return
        connection = self._unit.connection
        wanted = {"b_consumer": self._consumer, "b_sources": list({got.source for got in received})}
        seen = _SEEN.run(connection, {**wanted, "b_ids": list({got.id for got in received})})
        self._seen = {(row.source, row.event_id): row.state for row in seen}
        streams = _STREAMS.run(
            connection, {**wanted, "b_streams": list({got.stream for got in received})}
        )
        self._streams = {
            (row.source, row.stream): _Stream(row.last, row.missing) for row in streams
        }

    def _save(self) -> None:
        connection, now = self._unit.connection, self._clock.now()
        if self._fresh:
            rows = [
                {
                    "consumer": self._consumer,
                    "source": source,
                    "event_id": event_id,
                    "state": state,
                    "at": now,
                }
                for (source, event_id), state in self._fresh.items()
            ]
            _MARKED.run_many(connection, rows)
            self._save_streams(connection)
        if self._replayed:
            done = update(INBOX).where(
                INBOX.c.consumer == self._consumer,
                INBOX.c.source == bindparam("b_source"),
                INBOX.c.event_id == bindparam("b_event"),
            )
            connection.execute(
                done.values(state="done"),
                [{"b_source": source, "b_event": event} for source, event in self._replayed],
            )
        repeats = self.tally.repeats
        if repeats:
            self._unit.after_commit(lambda: _repeats.add(repeats, {"consumer": self._consumer}))

    def _save_streams(self, connection: Connection) -> None:
        rows = [
            {
                "consumer": self._consumer,
                "source": source,
                "stream": name,
                "last": stream.last,
                "missing": stream.missing,
            }
            for (source, name), stream in self._streams.items()
            if stream.touched
        ]
        _FOLLOWED.run_many(connection, rows)


def _flag_gap(consumer: str, source: str, skipped: int) -> None:
    _gaps.add(skipped, {"consumer": consumer, "source": source})
    _log.warning(
        "a stream has a gap", extra={"consumer": consumer, "source": source, "count": skipped}
    )
