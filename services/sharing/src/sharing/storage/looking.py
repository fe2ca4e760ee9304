"""What the release worker and the desk look at without a writing transaction: states, times and
counts, no person."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select, true

from common.database import Prepared
from sharing.ports import Due, Stuck, Withheld
from sharing.storage.tables import DELIVERY, PASSED_OVER, CaseRow, DisclosureRow, table_of

_CASE = table_of(CaseRow)
_DISCLOSURE = table_of(DisclosureRow)

# Made once: the worker looks after every commit, a waiting reader after every delivery.
_DUES: Final = select(
    _DISCLOSURE.c.id, _DISCLOSURE.c.case_id, _DISCLOSURE.c.snapshot_version, _CASE.c.vetting
).join(_CASE, _CASE.c.case_id == _DISCLOSURE.c.case_id)
_DUE: Final = Prepared(
    _DUES.where(_DISCLOSURE.c.state == "proven", _DISCLOSURE.c.next_at <= bindparam("b_now"))
    .order_by(_DISCLOSURE.c.next_at, _DISCLOSURE.c.id)
    .limit(bindparam("b_limit"))
)
_NEXT_DUE: Final = Prepared(
    select(func.min(_DISCLOSURE.c.next_at)).where(_DISCLOSURE.c.state == "proven")
)
_NEXT_DELIVERY: Final = Prepared(
    select(DELIVERY.c.visible_at)
    .where(DELIVERY.c.agency == bindparam("b_agency"), DELIVERY.c.position > bindparam("b_after"))
    .order_by(DELIVERY.c.position)
    .limit(1)
)


class SqlView:
    """Fulfils `sharing.ports.View` on one snapshot."""

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
        """The notice with the proof has not gone yet."""
        here = and_(
            _DISCLOSURE.c.state == "released",
            _DISCLOSURE.c.standing == "promised",
            _DISCLOSURE.c.proof.is_not(None),
        )
        return self._due(and_(here, _behind(after)), limit)

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
        """Promised, and past the hour."""
        found: int = self._conn.execute(
            select(func.count()).select_from(_DISCLOSURE).where(_overdue(now))
        ).scalar_one()
        return found

    def sealed_to_old_keys(
        self, current: Mapping[str, str], after: UUID | None, limit: int
    ) -> tuple[Due, ...]:
        """Recipient by recipient, because each has its own current key."""
        if not current:
            return ()
        old = or_(
            *(
                and_(_DISCLOSURE.c.recipient == who, _DISCLOSURE.c.sealed_to != kid)
                for who, kid in current.items()
            )
        )
        left = and_(
            _DISCLOSURE.c.state == "released", _DISCLOSURE.c.standing.in_(("proven", "promised"))
        )
        here = and_(left, _DISCLOSURE.c.saved_at.is_(None), old)
        return self._due(and_(here, _behind(after)), limit)

    def has_delivery(self, agency: str, after: int, now: datetime) -> bool:
        """Only the very next one counts: a reader's place must not jump over it."""
        visible: datetime | None = _NEXT_DELIVERY.run(
            self._conn, {"b_agency": agency, "b_after": after}
        ).scalar_one_or_none()
        return visible is not None and visible <= now

    def stuck(self) -> tuple[Stuck, ...]:
        """Waiting and blocked ones by state and reason."""
        shown = (_DISCLOSURE.c.state, _DISCLOSURE.c.reason)
        query = select(*shown, func.count(), func.min(_DISCLOSURE.c.decided_at)).where(
            _DISCLOSURE.c.state.in_(("awaiting_receipt", "proven", "blocked"))
        )
        return tuple(
            Stuck(*row) for row in self._conn.execute(query.group_by(*shown).order_by(*shown))
        )

    def blocked(self, deliveries: Collection[UUID], reason: str, limit: int) -> tuple[UUID, ...]:
        """Each case once."""
        case_id = _DISCLOSURE.c.case_id
        here = and_(
            _DISCLOSURE.c.state == "blocked",
            or_(_DISCLOSURE.c.id.in_(deliveries), _DISCLOSURE.c.reason == reason),
        )
        return tuple(
            self._conn.execute(
                select(case_id).where(here).distinct().order_by(case_id).limit(limit)
            ).scalars()
        )

    def withheld_while_suspended(self) -> tuple[Withheld, ...]:
        """By agency."""
        query = select(PASSED_OVER.c.agency, func.count(), func.min(PASSED_OVER.c.since)).group_by(
            PASSED_OVER.c.agency
        )
        return tuple(
            Withheld(*row) for row in self._conn.execute(query.order_by(PASSED_OVER.c.agency))
        )

    def passed_over(
        self, agencies: Collection[str], after: UUID | None, limit: int
    ) -> tuple[UUID, ...]:
        """Each case once, whichever of the agencies it is."""
        case_id = PASSED_OVER.c.case_id
        here = and_(
            PASSED_OVER.c.agency.in_(agencies), true() if after is None else case_id > after
        )
        return tuple(
            self._conn.execute(
                select(case_id).where(here).distinct().order_by(case_id).limit(limit)
            ).scalars()
        )

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
    return and_(_DISCLOSURE.c.standing == "promised", _DISCLOSURE.c.proof_due < now)


def _behind(after: UUID | None) -> ColumnElement[bool]:
    return true() if after is None else _DISCLOSURE.c.id > after
