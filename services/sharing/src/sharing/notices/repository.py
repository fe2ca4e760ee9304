"""Keeps notices, and seals each to its agency when it leaves."""

from dataclasses import fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, true, update

from common import topics
from common.access import Granted
from common.database import Prepared, Unit
from hubformats.agency_events import KeyUsed
from sharing.notice_tables import NoticeRow
from sharing.notices.model import Notice, NoticeState
from sharing.tables import RepositoryDeps, table_of

_NOTICE = table_of(NoticeRow)
_FIELDS: Final = tuple(field.name for field in fields(Notice))
_NOTICES: Final = select(*(_NOTICE.c[name] for name in _FIELDS))
# Made once: every receipt of the log asks.
_BY_RECORD: Final = Prepared(
    _NOTICES.where(_NOTICE.c.record_id == bindparam("b_record")).with_for_update()
)


class SqlNotices:
    """Fulfils `sharing.notices.ports.Notices` inside one unit of work."""

    def __init__(self, unit: Unit, deps: RepositoryDeps) -> None:
        self._unit = unit
        self._deps = deps

    def add(self, notice: Notice) -> None:
        """Insert it."""
        self._unit.connection.execute(insert(_NOTICE).values(**_values(notice)))

    def get(self, notice_id: UUID) -> Notice | None:
        """Lock it on PostgreSQL; SQLite's writer has the whole file."""
        query = _NOTICES.where(_NOTICE.c.id == notice_id).with_for_update()
        return _first(self._unit.connection.execute(query))

    def by_record(self, record_id: UUID) -> Notice | None:
        """Look it up by the audit record's id."""
        return _first(_BY_RECORD.run(self._unit.connection, {"b_record": record_id}))

    def replace(self, old: Notice, new: Notice) -> None:
        """Write what can change."""
        changed = update(_NOTICE).where(_NOTICE.c.id == old.id)
        self._unit.connection.execute(
            changed.values(state=new.state.value, log_index=new.log_index, sent_at=new.sent_at)
        )
        if new.state is NoticeState.READY:
            self._unit.after_commit(self._deps.after_proof)

    def send(self, notice: Notice) -> None:
        """Send one envelope, on the stream of everything else that the agency is sent."""
        self._deps.outbox.send(
            self._unit,
            topic=topics.disclosure(notice.agency),
            key=notice.agency,
            event=notice.to_event(),
            to=[notice.agency],
            stream=notice.agency,
            keep=False,
        )


class SqlNoticeViews:
    """Fulfils `sharing.notices.ports.NoticeViews` on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection

    def ready(self, after: UUID | None, limit: int) -> tuple[Notice, ...]:
        """List what is ready, through the index of those that wait."""
        return self._found(_NOTICE.c.state == NoticeState.READY.value, after, limit)

    def told(self, granted: Granted, after: UUID | None, limit: int) -> tuple[Notice, ...]:
        """List what the caller's agency was told."""
        own = (_NOTICE.c.agency == granted.principal.agency) & (
            _NOTICE.c.state == NoticeState.SENT.value
        )
        return self._found(own, after, limit)

    def _found(self, here: Any, after: UUID | None, limit: int) -> tuple[Notice, ...]:
        behind = true() if after is None else _NOTICE.c.id > after
        query = _NOTICES.where(here, behind).order_by(_NOTICE.c.id).limit(limit)
        return tuple(_notice(row) for row in self._conn.execute(query))


def _first(rows: Any) -> Notice | None:
    row = rows.first()
    return None if row is None else _notice(row)


def _notice(row: Any) -> Notice:
    values = dict(zip(_FIELDS, row, strict=True))
    used = None if values["used"] is None else KeyUsed.model_validate(values["used"])
    return Notice(**{**values, "state": NoticeState(values["state"]), "used": used})


def _values(notice: Notice) -> dict[str, Any]:
    used = None if notice.used is None else notice.used.model_dump(mode="json", by_alias=True)
    kept = {name: getattr(notice, name) for name in _FIELDS}
    return {**kept, "state": notice.state.value, "used": used}
