"""Agencies and the count of changes to who may act, in their tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from common.database import Unit
from common.outbox.tables import OUTBOX
from common.topics import IDENTITY
from identity.agencies.model import AgencyState
from identity.tables import AGENCY, EPOCH, SERVICE_KEYS


class Confirms(Protocol):
    """The outbox, as far as forgetting goes."""

    def confirm(self, unit: Unit, ids: Sequence[UUID]) -> Any:
        """Forget what need not be sent again."""
        ...


class SqlAgencies:
    """Fulfils `Agencies`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, agency: str) -> AgencyState | None:
        """Find one agency."""
        found = self._first(select(AGENCY).where(AGENCY.c.id == agency))
        return AgencyState(**found) if found else None

    def all(self) -> list[AgencyState]:
        """List every agency, by id."""
        return [
            AgencyState(**row)
            for row in self._connection.execute(select(AGENCY).order_by(AGENCY.c.id)).mappings()
        ]

    def add(self, agency: AgencyState) -> bool:
        """Store an agency unless it is known."""
        if self.find(agency.id) is not None:
            return False
        self._connection.execute(
            insert(AGENCY).values(asdict(replace(agency, root=dict(agency.root))))
        )
        return True

    def set_suspended(self, agency: str, at: datetime | None, reason_code: str) -> bool:
        """Suspend or restore; False when it already was so."""
        was = (
            AGENCY.c.suspended_at.is_(None)
            if at is not None
            else AGENCY.c.suspended_at.is_not(None)
        )
        changed = (
            update(AGENCY)
            .where(AGENCY.c.id == agency, was)
            .values(suspended_at=at, reason_code=reason_code)
        )
        return self._connection.execute(changed.returning(AGENCY.c.id)).first() is not None

    def set_key_set(self, agency: str, key_set: str) -> None:
        """Serve this set from now on."""
        self._connection.execute(
            update(AGENCY).where(AGENCY.c.id == agency).values(key_set=key_set)
        )

    def epoch(self) -> int:
        """Count the changes so far."""
        return self._connection.execute(select(EPOCH.c.epoch)).scalar() or 0

    def advance_epoch(self) -> int:
        """Count one more change; return the new count."""
        moved = self._connection.execute(
            update(EPOCH).values(epoch=EPOCH.c.epoch + 1).returning(EPOCH.c.epoch)
        ).scalar()
        if moved is None:
            self._connection.execute(insert(EPOCH).values(id=1, epoch=1))
            return 1
        return int(moved)

    def _first(self, wanted: Any) -> dict[str, Any] | None:
        found = self._connection.execute(wanted).mappings().first()
        return dict(found) if found is not None else None


class SqlServiceKeySets:
    """Fulfils `ServiceKeySets`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> Mapping[str, str]:
        """Return the key sets, by owner."""
        return {row.owner: row.key_set for row in self._connection.execute(select(SERVICE_KEYS))}

    def put(self, owner: str, key_set: str) -> None:
        """Store an owner's key set in place of an earlier one."""
        postgres = self._connection.dialect.name == "postgresql"
        new = (postgresql.insert if postgres else sqlite.insert)(SERVICE_KEYS)
        changed = new.on_conflict_do_update(
            index_elements=["owner"], set_={"key_set": new.excluded.key_set}
        )
        self._connection.execute(changed, {"owner": owner, "key_set": key_set})


def forget_heartbeats(unit: Unit, outbox: Confirms, before: datetime) -> None:
    """Confirm heartbeats that the bus took before a moment.

    Nobody confirms one: once the bus has it, a later one says all that it said.
    """
    old = OUTBOX.c.body.is_not(None) & (OUTBOX.c.topic == IDENTITY) & (OUTBOX.c.sent_at < before)
    found = select(OUTBOX.c.id).where(old).limit(1_000)
    outbox.confirm(unit, unit.connection.execute(found).scalars().all())
