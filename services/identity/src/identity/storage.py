"""Tables of identity and the transaction over them. No name of a person is stored here; secrets are
kept as SHA-256 only."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from common.bootstrap import SERVICES
from common.database import Database, JsonDocument, Unit, UtcDateTime, new_metadata
from common.events import Event
from common.topics import IDENTITY
from common.web.frame import frame_tables
from hubformats.audit_record import AuditEntry
from hubformats.clock import Clock
from identity.domain import SHIFT, AgencyState, Code, Issued, Pushed, TokenFamily
from identity.ports import Tx

T = TypeVar("T")
metadata: Final = new_metadata()

_seen = Table(
    "seen_once",
    metadata,
    Column("purpose", String(16), primary_key=True),
    Column("value", String(600), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

_pushed = Table(
    "pushed_request",
    metadata,
    Column("handle", String(43), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("parameters", JsonDocument, nullable=False),
    Column("jkt", String(43), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("completed", Boolean, nullable=False, default=False),
)

_code = Table(
    "authorization_code",
    metadata,
    Column("digest", String(43), primary_key=True),
    Column("grant_id", String(43), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("subject", String(100), nullable=False),
    Column("code_challenge", String(128), nullable=False),
    Column("jkt", String(43), nullable=False),
    Column("resource", Text, nullable=False),
    Column("acr", String(100), nullable=False),
    Column("auth_time", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used", Boolean, nullable=False, default=False),
)

_family = Table(
    "token_family",
    metadata,
    Column("id", String(43), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("agency", String(100), nullable=False, index=True),
    Column("scope", Text, nullable=False),
    Column("jkt", String(43), nullable=False),
    Column("resource", Text, nullable=False),
    Column("acr", String(100), nullable=False),
    Column("auth_time", Integer, nullable=False),
    Column("refresh_digest", String(43), nullable=False, unique=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked", Boolean, nullable=False, default=False),
)

_issued = Table(
    "access_token",
    metadata,
    Column("jti", String(43), primary_key=True),
    Column("family_id", String(43), nullable=False, index=True),
    Column("client_id", String(100), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("agency", String(100), nullable=False, index=True),
    Column("audience", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("revoked", Boolean, nullable=False, default=False),
)

_agency = Table(
    "agency",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("type", String(64), nullable=False),
    Column("area", String(64), nullable=False),
    Column("root", JsonDocument, nullable=False),
    Column("key_set", Text, nullable=False),
    Column("custodial", Boolean, nullable=False),
    Column("suspended_at", UtcDateTime, nullable=True),
    Column("reason_code", String(64), nullable=False, default=""),
)

_epoch = Table(
    "directory_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
)

Index("ix_agency_suspended", _agency.c.suspended_at)

TABLES: Final = frame_tables(metadata)

_OTHERS: Final = tuple(f"svc:{name}" for name in SERVICES if name != "identity")


class Sender(Protocol):
    """The outbox, as far as identity uses it."""

    def send(self, unit: Unit, *, topic: str, key: str, event: Event, to: tuple[str, ...]) -> Any:
        """Seal the event to its recipients and keep it for the relay."""
        ...


class Trail(Protocol):
    """The audit trail, as far as identity uses it."""

    def record(self, unit: Unit, entry: AuditEntry) -> Any:
        """Record what happened, durable with the unit."""
        ...


def _row(table: Table, thing: object, **more: object) -> dict[str, Any]:
    return {
        column.name: getattr(thing, column.name)
        for column in table.c
        if column.name not in more and hasattr(thing, column.name)
    } | more


class Tables:
    """Reading and changing the tables on one connection."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def claim_once(self, purpose: str, value: str, expires_at: datetime) -> bool:
        """True the first time; one INSERT … ON CONFLICT DO NOTHING, so two transactions never both
        see True.
        """
        maker = (
            postgresql.insert if self._connection.dialect.name == "postgresql" else sqlite.insert
        )
        wanted = (
            maker(_seen)
            .values(purpose=purpose, value=value, expires_at=expires_at)
            .on_conflict_do_nothing()
        )
        return self._connection.execute(wanted.returning(_seen.c.value)).first() is not None

    def save_pushed(self, pushed: Pushed) -> None:
        """Keep a pushed request."""
        self._connection.execute(
            insert(_pushed).values(_row(_pushed, pushed, parameters=dict(pushed.parameters)))
        )

    def pushed(self, handle: str) -> Pushed | None:
        """A pushed request neither completed nor expired."""
        found = self._first(
            select(_pushed).where(
                _pushed.c.handle == handle,
                ~_pushed.c.completed,
                _pushed.c.expires_at > self._clock.now(),
            )
        )
        return (
            Pushed(**{name: value for name, value in found.items() if name != "completed"})
            if found
            else None
        )

    def complete_pushed(self, handle: str) -> bool:
        """True for exactly one caller."""
        wanted = (
            update(_pushed)
            .where(
                _pushed.c.handle == handle,
                ~_pushed.c.completed,
                _pushed.c.expires_at > self._clock.now(),
            )
            .values(completed=True)
        )
        return self._connection.execute(wanted.returning(_pushed.c.handle)).first() is not None

    def save_code(self, code: Code) -> None:
        """Keep a fresh code."""
        self._connection.execute(insert(_code).values(_row(_code, code)))

    def consume_code(self, digest: str) -> Code | None:
        """The code for exactly one caller; an expired one is used up too and answers None."""
        wanted = (
            update(_code)
            .where(_code.c.digest == digest, ~_code.c.used)
            .values(used=True)
            .returning(*_code.c)
        )
        found = self._connection.execute(wanted).mappings().first()
        return (
            _as_code(dict(found))
            if found is not None and found["expires_at"] > self._clock.now()
            else None
        )

    def used_code(self, digest: str) -> Code | None:
        """A code that was used before."""
        found = self._first(select(_code).where(_code.c.digest == digest, _code.c.used))
        return _as_code(found) if found else None

    def save_family(self, family: TokenFamily) -> None:
        """Keep a token family."""
        self._connection.execute(insert(_family).values(_row(_family, family)))

    def family(self, family_id: str) -> TokenFamily | None:
        """A token family, revoked or not."""
        found = self._first(select(_family).where(_family.c.id == family_id))
        return TokenFamily(**found) if found else None

    def family_by_refresh(self, refresh_digest: str) -> TokenFamily | None:
        """The family of a refresh token."""
        found = self._first(select(_family).where(_family.c.refresh_digest == refresh_digest))
        return TokenFamily(**found) if found else None

    def revoke_family(self, family_id: str) -> None:
        """End a family and every access token of it."""
        self._connection.execute(
            update(_family).where(_family.c.id == family_id).values(revoked=True)
        )
        self._connection.execute(
            update(_issued).where(_issued.c.family_id == family_id).values(revoked=True)
        )

    def save_issued(self, token: Issued) -> None:
        """Keep an access token's identity."""
        self._connection.execute(insert(_issued).values(_row(_issued, token)))

    def issued(self, jti: str) -> Issued | None:
        """An access token, revoked or not."""
        found = self._first(select(_issued).where(_issued.c.jti == jti))
        return Issued(**found) if found else None

    def revoke_issued(self, jti: str) -> None:
        """End one access token."""
        self._connection.execute(update(_issued).where(_issued.c.jti == jti).values(revoked=True))

    def revoke_agency(self, agency: str) -> int:
        """End every living family and access token of an agency."""
        ended = [
            self._connection.execute(
                update(table).where(table.c.agency == agency, ~table.c.revoked).values(revoked=True)
            ).rowcount
            for table in (_family, _issued)
        ]
        return sum(ended)

    def agency(self, agency: str) -> AgencyState | None:
        """One agency."""
        found = self._first(select(_agency).where(_agency.c.id == agency))
        return AgencyState(**found) if found else None

    def agencies(self) -> list[AgencyState]:
        """Every agency, by id."""
        return [
            AgencyState(**row)
            for row in self._connection.execute(select(_agency).order_by(_agency.c.id)).mappings()
        ]

    def add_agency(self, agency: AgencyState) -> bool:
        """Store an agency unless it is known."""
        if self.agency(agency.id) is not None:
            return False
        self._connection.execute(
            insert(_agency).values(_row(_agency, agency, root=dict(agency.root)))
        )
        return True

    def set_suspended(self, agency: str, at: datetime | None, reason_code: str) -> bool:
        """Suspend or restore; False when it already was so."""
        was = (
            _agency.c.suspended_at.is_(None)
            if at is not None
            else _agency.c.suspended_at.is_not(None)
        )
        changed = (
            update(_agency)
            .where(_agency.c.id == agency, was)
            .values(suspended_at=at, reason_code=reason_code)
        )
        return self._connection.execute(changed.returning(_agency.c.id)).first() is not None

    def state_epoch(self) -> int:
        """Changes so far."""
        return self._connection.execute(select(_epoch.c.epoch)).scalar() or 0

    def advance_epoch(self) -> int:
        """One more change."""
        moved = self._connection.execute(
            update(_epoch).values(epoch=_epoch.c.epoch + 1).returning(_epoch.c.epoch)
        ).scalar()
        if moved is None:
            self._connection.execute(insert(_epoch).values(id=1, epoch=1))
            return 1
        return int(moved)

    def purge(self, now: datetime) -> int:
        """Delete what can no longer be presented; used codes stay for a shift, so that a replay
        ends its family.
        """
        stale = (
            delete(_seen).where(_seen.c.expires_at <= now),
            delete(_pushed).where(_pushed.c.expires_at <= now),
            delete(_code).where(_code.c.expires_at <= now - SHIFT),
            delete(_family).where(_family.c.expires_at <= now),
            delete(_issued).where(_issued.c.expires_at <= now),
        )
        return sum(self._connection.execute(each).rowcount for each in stale)

    def _first(self, wanted: Any) -> dict[str, Any] | None:
        found = self._connection.execute(wanted).mappings().first()
        return dict(found) if found is not None else None


def _as_code(found: Mapping[str, Any]) -> Code:
    return Code(**{name: value for name, value in found.items() if name != "used"})


class Transaction(Tables):
    """The port `Tx` around one unit of a group commit; without a unit it only reads."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        *,
        unit: Unit | None,
        outbox: Sender | None,
        trail: Trail | None,
    ) -> None:
        super().__init__(connection, clock)
        self._unit = unit
        self._outbox = outbox
        self._trail = trail

    def publish(self, event: Event) -> Any:
        """Send an event to every other service; answers the outbox's reference to it."""
        if self._unit is None or self._outbox is None:
            raise RuntimeError("a read cannot publish")
        return self._outbox.send(
            self._unit, topic=IDENTITY, key="directory", event=event, to=_OTHERS
        )

    def record(self, entry: AuditEntry) -> None:
        """Record what happened, durable with this transaction."""
        if self._unit is None or self._trail is None:
            raise RuntimeError("a read cannot record")
        self._trail.record(self._unit, entry)


class SqlStore:
    """The port `Store` over the service's database."""

    def __init__(self, database: Database, clock: Clock, outbox: Sender, trail: Trail) -> None:
        self._database = database
        self._clock = clock
        self._outbox = outbox
        self._trail = trail

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction of the writer thread; returns after the group's commit."""

        def run(unit: Unit) -> T:
            return work(
                Transaction(
                    unit.connection, self._clock, unit=unit, outbox=self._outbox, trail=self._trail
                )
            )

        return await self._database.write(run)

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on a snapshot that cannot be written to."""
        return await self._database.read(
            lambda connection: work(
                Transaction(connection, self._clock, unit=None, outbox=None, trail=None)
            )
        )
