"""Lists disclosures for the release worker and the desk; writes nothing."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select, true

from common.database import Prepared
from sharing.disclosures.model.disclosure import PROMISED, Hold, Standing, State
from sharing.disclosures.ports import Due, Stuck
from sharing.tables import CaseRow, DisclosureRow, table_of

_CASE = table_of(CaseRow)
_DISCLOSURE = table_of(DisclosureRow)
_IN_CASE: Final = _CASE.c.case_id == _DISCLOSURE.c.case_id
_NO_WORD: Final = ""
_IN_PROMISED: Final = and_(
    _DISCLOSURE.c.state == PROMISED.state.value,
    _DISCLOSURE.c.standing == Standing.PROMISED.value,
)


_DUES: Final = select(
    _DISCLOSURE.c.id, _DISCLOSURE.c.case_id, _DISCLOSURE.c.snapshot_version, _CASE.c.vetting
).join(_CASE, _IN_CASE)
# Made once: the worker looks after every commit.
_DUE: Final = Prepared(
    _DUES.where(
        _DISCLOSURE.c.state == State.PROVEN.value, _DISCLOSURE.c.next_at <= bindparam("b_now")
    )
    .order_by(_DISCLOSURE.c.next_at, _DISCLOSURE.c.id)
    .limit(bindparam("b_limit"))
)
_NEXT_DUE: Final = Prepared(
    select(func.min(_DISCLOSURE.c.next_at)).where(_DISCLOSURE.c.state == State.PROVEN.value)
)
_NOT_LEFT: Final = (State.AWAITING_RECEIPT.value, State.PROVEN.value, State.BLOCKED.value)


class SqlDisclosureViews:
    """Fulfils `sharing.disclosures.ports.DisclosureViews` on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection

    def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        """Oldest first."""
        return _dues(_DUE.run(self._conn, {"b_now": now, "b_limit": limit}))

    def next_due(self) -> datetime | None:
        """The earliest time of all proven ones."""
        found: datetime | None = _NEXT_DUE.run(self._conn).scalar_one()
        return found

    def promised_with_proof(self, after: UUID | None, limit: int) -> tuple[Due, ...]:
        """Those whose notice with the proof has not gone yet."""
        here = and_(_IN_PROMISED, _DISCLOSURE.c.proof.is_not(None), _behind(after))
        return self._due(here, limit)

    def promises_due(self, now: datetime, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """Told of already or not."""
        query = (
            select(_DISCLOSURE.c.id)
            .where(_overdue(now), _behind(after))
            .order_by(_DISCLOSURE.c.id)
            .limit(limit)
        )
        return tuple(self._conn.execute(query).scalars())

    def overdue_promises(self, now: datetime) -> int:
        """Count what is promised and past the hour."""
        query = select(func.count()).select_from(_DISCLOSURE).where(_overdue(now))
        found: int = self._conn.execute(query).scalar_one()
        return found

    def sealed_to_old_keys(
        self, current: Mapping[str, str], after: UUID | None, limit: int
    ) -> tuple[Due, ...]:
        """Look recipient by recipient, because each has its own current key."""
        if not current:
            return ()
        old = or_(
            *(
                and_(_DISCLOSURE.c.recipient == who, _DISCLOSURE.c.sealed_to != kid)
                for who, kid in current.items()
            )
        )
        here = and_(
            _DISCLOSURE.c.state == State.RELEASED.value,
            _DISCLOSURE.c.standing != _NO_WORD,
            _DISCLOSURE.c.saved_at.is_(None),
            old,
            _behind(after),
        )
        return self._due(here, limit)

    def stuck(self) -> tuple[Stuck, ...]:
        """Count waiting and blocked ones by state and reason."""
        shown = (_DISCLOSURE.c.state, _DISCLOSURE.c.reason)
        query = (
            select(*shown, func.count(), func.min(_DISCLOSURE.c.decided_at))
            .where(_DISCLOSURE.c.state.in_(_NOT_LEFT))
            .group_by(*shown)
            .order_by(*shown)
        )
        return tuple(
            Stuck(State(state), Hold(reason) if reason else None, count, oldest)
            for state, reason, count, oldest in self._conn.execute(query)
        )

    def blocked(self, deliveries: Collection[UUID], reason: str, limit: int) -> tuple[UUID, ...]:
        """Name each case once."""
        case_id = _DISCLOSURE.c.case_id
        here = and_(
            _DISCLOSURE.c.state == State.BLOCKED.value,
            or_(_DISCLOSURE.c.id.in_(deliveries), _DISCLOSURE.c.reason == reason),
        )
        query = select(case_id).where(here).distinct().order_by(case_id).limit(limit)
        return tuple(self._conn.execute(query).scalars())

    def _due(self, here: ColumnElement[bool], limit: int) -> tuple[Due, ...]:
        return _dues(self._conn.execute(_DUES.where(here).order_by(_DISCLOSURE.c.id).limit(limit)))


def _dues(rows: Iterable[Any]) -> tuple[Due, ...]:
    return tuple(
        Due(
            row.id,
            row.case_id,
            row.snapshot_version,
            tuple(UUID(one) for one in row.vetting["subjects"]),
        )
        for row in rows
    )


def _overdue(now: datetime) -> ColumnElement[bool]:
    return and_(_DISCLOSURE.c.standing == Standing.PROMISED.value, _DISCLOSURE.c.proof_due < now)


def _behind(after: UUID | None) -> ColumnElement[bool]:
    return true() if after is None else _DISCLOSURE.c.id > after
