"""The outbox: an event is sealed and numbered in the transaction that caused it, and leaves as
exactly those bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Required, TypedDict, Unpack
from uuid import UUID, uuid4

from sqlalchemy import Connection, Insert, bindparam, delete, func, insert, null, select, update
from sqlalchemy.dialects import postgresql, sqlite

from common.bus import Bus, Outgoing
from common.database import Database, Prepared, Unit, UtcDateTime
from common.events import Event
from common.faults import crash_point
from common.outbox.relay import Relay
from common.outbox.tables import OUTBOX, STREAM_SEQUENCE
from common.outbox.waiting import Stored, decoded_headers, encoded_headers
from hubformats.clock import Clock
from hubformats.envelope import SEALED_TYPE, Message, Metadata, digest, peek, routing_headers, seal
from hubformats.ids import uuid7
from hubformats.keys import KeySource, RecipientKey, SigningKey

_INSERT: Final = Prepared(
    insert(OUTBOX).inline(),
    *("id", "topic", "key", "headers", "body", "stream"),
    *("created_at", "not_before", "confirmed_at"),
)
_NOW: Final = bindparam("now", type_=UtcDateTime())
_CONFIRMED: Final = Prepared(
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("message"))
    .values(confirmed_at=_NOW, body=null(), sent_at=func.coalesce(OUTBOX.c.sent_at, _NOW))
)
_SERVICE: Final = "svc:"


def _numbering(dialect: str) -> Insert:
    """Take the next number of a stream, starting at 1, and keep its row locked until the commit."""
    insert_in = sqlite.insert if dialect == "sqlite" else postgresql.insert
    first = insert_in(STREAM_SEQUENCE).values(
        sender=bindparam("sender"), stream=bindparam("stream"), last=1
    )
    next_one = first.on_conflict_do_update(
        index_elements=["sender", "stream"], set_={"last": STREAM_SEQUENCE.c.last + 1}
    )
    return next_one.returning(STREAM_SEQUENCE.c.last)


_NUMBER: Final = Prepared(_numbering)


class RecipientUnknown(LookupError):
    """The directory holds no key to seal to one of the recipients; nothing was written.

    Carries the owner, which is no secret.
    """

    def __init__(self, owner: str) -> None:
        super().__init__(f"no key to seal to {owner}")
        self.owner = owner


@dataclass(frozen=True, slots=True)
class SentRef:
    """One sealed message: its event id, its number in its stream, and the bytes of its envelope."""

    id: UUID
    seq: int
    value: bytes

    @property
    def digest(self) -> str:
        """The digest of the envelope, for who records what was sent; few do."""
        return digest(self.value)


class Letter(TypedDict, total=False):
    """What is sent. `key` and `stream` travel in clear: opaque ids only."""

    topic: Required[str]
    key: Required[bytes | str]
    event: Required[Event]
    to: Required[Sequence[str]]
    stream: str | None
    """Numbered without a gap; by default ``<topic>/<key>``."""
    not_before: datetime | None
    """Neither this nor what follows in the stream leaves earlier."""
    keep: bool
    """Until `confirm` (the default); else until the bus has it, as for a heartbeat."""
    id: UUID | None
    data: Mapping[str, Any] | None
    """What `event.data()` answered, from a caller who has it."""


def _new_id(to: Sequence[str]) -> UUID:
    # Ids inside the hub follow time. One that an outside agency or the broker sees must not: two
    # agencies told in one moment would hold neighbouring ids, whatever the spread of their sends.
    return uuid7() if all(owner.startswith(_SERVICE) for owner in to) else uuid4()


class Outbox:
    """Seals, numbers and stores events; a relay hands the stored bytes to the bus in order.

    `keys` answers the recipients' current keys. One outbox per database; of several processes one
    relays.
    """

    def __init__(
        self, database: Database, bus: Bus, *, clock: Clock, sender: SigningKey, keys: KeySource
    ) -> None:
        self.clock = clock
        self._sender = sender
        self._keys = keys
        self._relay = Relay(database, bus, clock=clock)

    @property
    def relay(self) -> Relay:
        """The relay, for its counters and state."""
        return self._relay

    def send(self, unit: Unit, **letter: Unpack[Letter]) -> SentRef:
        """Seal the letter's event to its recipients' current keys and store the bytes.

        All of it becomes durable with the unit, or none.

        Raises RecipientUnknown, EnvelopeTooLarge, CanonicalError.
        """
        topic, key, event, to = letter["topic"], letter["key"], letter["event"], letter["to"]
        raw_key = key.encode() if isinstance(key, str) else key
        stream = letter.get("stream")
        if stream is None:
            stream = f"{topic}/{key if isinstance(key, str) else key.hex()}"
        recipients = [self._recipient(owner) for owner in to]
        # The counter row stays locked until the commit: numbers are gapless, and row order is
        # stream order between processes too.
        parameters = {"sender": self._sender.owner, "stream": stream}
        seq: int = _NUMBER.run(unit.connection, parameters).scalar_one()
        data = letter.get("data")
        said = event.data() if data is None else data
        place = (stream, seq, letter.get("id") or _new_id(to))
        value, headers = self._sealed(event, said, recipients, place)
        sealed, delay = Outgoing(topic, raw_key, value, headers), letter.get("not_before")
        stored = Stored(place[2], stream, seq, sealed, self.clock.now(), delay)
        self._store(unit, stored, keep=letter.get("keep", True))
        return SentRef(stored.id, seq, value)

    def replace(self, unit: Unit, message_id: UUID, event: Event) -> bool:
        """Put an event in the place of one that has not left; False when that one left.

        Raises RecipientUnknown.
        """
        here = (OUTBOX.c.id == message_id, OUTBOX.c.sent_at.is_(None), OUTBOX.c.body.is_not(None))
        body = unit.connection.execute(select(OUTBOX.c.body).where(*here)).scalar_one_or_none()
        if body is None or message_id in self._relay.unmarked:
            return False
        old = peek(body)
        readers, new_id = [self._recipient(owner) for owner in old.to], _new_id(old.to)
        place = (old.stream, old.seq, new_id)
        value, headers = self._sealed(event, event.data(), readers, place)
        changed = {"id": new_id, "body": value, "headers": encoded_headers(headers)}
        self._relay.stored(unit)
        return bool(unit.connection.execute(update(OUTBOX).where(*here), changed).rowcount)

    def forward(self, unit: Unit, message: Outgoing, *, stream: str, keep: bool = True) -> UUID:
        """Send bytes that are not ours to seal again, such as an envelope for quarantine.

        Returns the id to confirm it by.
        """
        row_id = uuid7()
        self._store(unit, Stored(row_id, stream, 0, message, self.clock.now()), keep=keep)
        return row_id

    def confirm(self, unit: Unit, ids: Sequence[UUID]) -> None:
        """Forget the bodies of messages that the other end has.

        A broker's acknowledgement is not enough reason to call this.
        """
        if not ids:
            return
        now = self.clock.now()
        _CONFIRMED.run_many(
            unit.connection, [{"message": each, "now": now} for each in sorted(ids)]
        )

    def resend(self, unit: Unit, ids: Sequence[UUID]) -> int:
        """Hand the stored bytes to the bus once more; how many still had bytes.

        Recipients recognise the repeat by its id.
        """
        if not ids:
            return 0
        wanted = OUTBOX.c.id.in_(ids) & OUTBOX.c.body.is_not(None) & OUTBOX.c.sent_at.is_not(None)
        again = update(OUTBOX).where(wanted).values(sent_at=null())
        changed = unit.connection.execute(again).rowcount
        self._relay.stored(unit)
        return changed

    def unanswered(
        self, connection: Connection, *, topic: str, sent_before: datetime
    ) -> Sequence[UUID]:
        """List messages of `topic` sent before then and not confirmed, oldest first, up to 100."""
        late = (OUTBOX.c.topic == topic, OUTBOX.c.body.is_not(None), OUTBOX.c.sent_at < sent_before)
        query = select(OUTBOX.c.id).where(*late).order_by(OUTBOX.c.seq).limit(100)
        return connection.execute(query).scalars().all()

    def stored(self, connection: Connection, message_id: UUID) -> Outgoing | None:
        """Return the message as stored; None when unknown, or when its body was forgotten."""
        columns = (OUTBOX.c.topic, OUTBOX.c.key, OUTBOX.c.body, OUTBOX.c.headers)
        row = connection.execute(select(*columns).where(OUTBOX.c.id == message_id)).one_or_none()
        if row is None or row.body is None:
            return None
        return Outgoing(row.topic, row.key, row.body, decoded_headers(row.headers))

    def forget(self, unit: Unit, *, before: datetime, limit: int = 1_000) -> int:
        """Delete rows sent before then whose bodies are gone; how many.

        What was never confirmed stays, and stays visible.
        """
        settled = select(OUTBOX.c.seq).where(OUTBOX.c.body.is_(None), OUTBOX.c.sent_at < before)
        old = settled.order_by(OUTBOX.c.sent_at).limit(limit).scalar_subquery()
        return unit.connection.execute(delete(OUTBOX).where(OUTBOX.c.seq.in_(old))).rowcount

    async def start(self) -> None:
        """Start the relay; messages left by an earlier process go first."""
        await self._relay.start()

    async def stop(self) -> None:
        """Stop the relay; what is stored stays for the next start."""
        await self._relay.stop()

    def pause(self) -> None:
        """Send nothing more until `resume`; storing goes on."""
        self._relay.pause()

    def resume(self) -> None:
        """Send again."""
        self._relay.resume()

    def _recipient(self, owner: str) -> RecipientKey:
        key = self._keys.recipient(owner)
        if key is None:
            raise RecipientUnknown(owner)
        return key

    def _sealed(
        self,
        event: Event,
        data: Mapping[str, Any],
        to: Sequence[RecipientKey],
        place: tuple[str, int, UUID],
    ) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
        """Seal an event for its place, stream, number and id; its bytes and headers."""
        stream, seq, new_id = place
        now, kind = self.clock.now(), (event.TYPE, event.VERSION)
        message = Message(*kind, data=data, stream=stream, seq=seq, id=new_id, issued_at=now)
        readers = tuple(key.owner for key in to)
        clear = Metadata(new_id, SEALED_TYPE, self._sender.owner, readers, stream, seq, "")
        return seal(message, sender=self._sender, recipients=to), routing_headers(clear)

    def _store(self, unit: Unit, stored: Stored, *, keep: bool) -> None:
        now, message = stored.since, stored.message
        row = {
            "id": stored.id,
            "topic": message.topic,
            "key": message.key,
            "headers": encoded_headers(message.headers),
            "body": message.value,
            "stream": stored.stream,
            "created_at": now,
            "not_before": stored.not_before,
            "confirmed_at": None if keep else now,
        }
        _INSERT.run(unit.connection, row)
        crash_point("outbox.stored")
        self._relay.stored(unit, stored)
