"""Lists disclosures for the release worker and the hub's desk."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    func,
    or_,
    select,
    true,
    union_all,
)

from common.database import Prepared
from sharing.disclosures.model.disclosure import Hold, State
from sharing.disclosures.ports import Due, Stuck
from sharing.disclosures.repository.rows import CASE, DISCLOSURE, IN_CASE, NO_WORD
from sharing.tables import NOT_SAVED, ON_PROMISE

_DUES: Final = select(
    DISCLOSURE.c.id, DISCLOSURE.c.case_id, DISCLOSURE.c.snapshot_version, CASE.c.vetting
).join(CASE, IN_CASE)
# Made once: the worker looks after every commit.
_DUE: Final = Prepared(
    _DUES.where(
        DISCLOSURE.c.state == State.PROVEN.value, DISCLOSURE.c.next_at <= bindparam("b_now")
    )
    .order_by(DISCLOSURE.c.next_at, DISCLOSURE.c.id)
    .limit(bindparam("b_limit"))
)
_NEXT_DUE: Final = Prepared(
    select(func.min(DISCLOSURE.c.next_at)).where(DISCLOSURE.c.state == State.PROVEN.value)
)
_NOT_LEFT: Final = (State.AWAITING_RECEIPT.value, State.PROVEN.value, State.BLOCKED.value)


class SqlDisclosureViews:
    """Fulfils `sharing.disclosures.ports.DisclosureViews` on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection

    def due(self, now: datetime, limit: int) -> tuple[Due, ...]:
        """List what is due, oldest first."""
        return _dues(_DUE.run(self._conn, {"b_now": now, "b_limit": limit}))

    def next_due(self) -> datetime | None:
        """Return the earliest time of all proven ones."""
        found: datetime | None = _NEXT_DUE.run(self._conn).scalar_one()
        return found

    def promised_with_proof(self, after: UUID | None, limit: int) -> tuple[Due, ...]:
        """List promises whose notice with the proof has not gone yet."""
        here = and_(ON_PROMISE, DISCLOSURE.c.proof.is_not(None), _behind(after))
        return self._due(here, limit)

    def promises_due(self, now: datetime, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """List promises past their hour, told of already or not."""
        query = (
            select(DISCLOSURE.c.id)
            .where(_overdue(now), _behind(after))
            .order_by(DISCLOSURE.c.id)
            .limit(limit)
        )
        return tuple(self._conn.execute(query).scalars())

    def overdue_promises(self, now: datetime) -> int:
        """Count what is promised and past the hour."""
        query = select(func.count()).select_from(DISCLOSURE).where(_overdue(now))
        found: int = self._conn.execute(query).scalar_one()
        return found

    def sealed_to_old_keys(
        self, current: Mapping[str, str], after: UUID | None, limit: int
    ) -> tuple[Due, ...]:
        """Look recipient by recipient, because each has its own current key.

        Below and above that key: an index finds what is greater or less, never what is different.
        """
        if not current:
            return ()
        sealed_to = DISCLOSURE.c.sealed_to
        old = union_all(
            *(
                select(DISCLOSURE.c.id).where(
                    NOT_SAVED, DISCLOSURE.c.recipient == who, other, _behind(after)
                )
                for who, kid in current.items()
                for other in (sealed_to < kid, sealed_to > kid)
            )
        )
        return self._due(DISCLOSURE.c.id.in_(old), limit)

    def unanswered(self, now: datetime, after: UUID | None, limit: int) -> tuple[UUID, ...]:
        """List overdue answers that nobody was told of yet."""
        here = and_(_late(now), DISCLOSURE.c.unanswered_at.is_(None), _behind(after))
        query = select(DISCLOSURE.c.id).where(here).order_by(DISCLOSURE.c.id).limit(limit)
        return tuple(self._conn.execute(query).scalars())

    def overdue_answers(self, now: datetime) -> int:
        """Count them, told of or not."""
        query = select(func.count()).select_from(DISCLOSURE).where(_late(now))
        found: int = self._conn.execute(query).scalar_one()
        return found

    def stuck(self) -> tuple[Stuck, ...]:
        """Count waiting and blocked ones by state and reason."""
        shown = (DISCLOSURE.c.state, DISCLOSURE.c.reason)
        query = (
            select(*shown, func.count(), func.min(DISCLOSURE.c.decided_at))
            .where(DISCLOSURE.c.state.in_(_NOT_LEFT))
            .group_by(*shown)
            .order_by(*shown)
        )
        return tuple(
            Stuck(State(state), _hold(reason), count, oldest)
            for state, reason, count, oldest in self._conn.execute(query)
        )

    def blocked(self, deliveries: Collection[UUID], reason: str, limit: int) -> tuple[UUID, ...]:
        """Name each case once."""
        case_id = DISCLOSURE.c.case_id
        here = and_(
            DISCLOSURE.c.state == State.BLOCKED.value,
            or_(DISCLOSURE.c.id.in_(deliveries), DISCLOSURE.c.reason == reason),
        )
        query = select(case_id).where(here).distinct().order_by(case_id).limit(limit)
        return tuple(self._conn.execute(query).scalars())

    def _due(self, here: ColumnElement[bool], limit: int) -> tuple[Due, ...]:
        return _dues(self._conn.execute(_DUES.where(here).order_by(DISCLOSURE.c.id).limit(limit)))


def _hold(word: str) -> Hold | None:
    """Read the reason a row gives; one that is no word of ours was put there by somebody else."""
    if word == NO_WORD:
        return None
    return Hold(word) if word in set(Hold) else Hold.ALTERED


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
    return and_(ON_PROMISE, DISCLOSURE.c.proof_due < now)


def _late(now: datetime) -> ColumnElement[bool]:
    return and_(
        DISCLOSURE.c.state == State.RELEASED.value,
        DISCLOSURE.c.answer_due < now,
        DISCLOSURE.c.answered_at.is_(None),
    )


def _behind(after: UUID | None) -> ColumnElement[bool]:
    return true() if after is None else DISCLOSURE.c.id > after
