"""Questions and answers over the search rows. Every statement leads with what is asked and ends
with the place, newest first."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, TextClause, func, insert, select

from audit.domain import Filter, Purpose
from audit.ports import Found, Producer, QueryTx, QueryView, Question
from audit.storage.log import read_state
from audit.storage.rebuild import index_differences, rebuild_index
from audit.storage.tables import EMERGENCY, ENTRY, EPOCH, GAP, KINDS, LOOKUP, PRODUCER, QUERY, TOKEN
from common.attempts import Answer, Attempt
from common.audit_trail import AuditTrail
from common.database import Database, Unit
from common.web.idempotency import Idempotency
from hubformats.audit_record import AuditEntry
from hubformats.canonical import b64u, unb64u

T = TypeVar("T")
_FOUND: Final = (
    ENTRY.c.idx,
    ENTRY.c.leaf,
    ENTRY.c.record,
    ENTRY.c.salt,
    ENTRY.c.service,
    ENTRY.c.rejected,
    ENTRY.c.flags,
)
_TOKENS: Final = ("case", "actor", "subject")


class SqlQueryTx:
    """Fulfils `QueryTx` on a unit."""

    def __init__(self, unit: Unit, trail: AuditTrail, idempotency: Idempotency) -> None:
        self._unit = unit
        self._trail = trail
        self._idempotency = idempotency

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Run `work` once per idempotency key."""
        return self._idempotency.once(self._unit.connection, attempt, work)

    def record(self, entry: AuditEntry) -> None:
        """Record an act of this service; durable with the transaction."""
        self._trail.record(self._unit, entry)

    def log_size(self) -> int:
        """Entries in the log."""
        return _log_size(self._unit.connection)

    def keep(self, question: Question) -> None:
        """Store a question."""
        row = {
            "id": question.id,
            "asker": question.asker,
            "agency": question.agency,
            "asked_at": question.asked_at,
            "size": question.size,
            "query": json.dumps({"purpose": question.purpose, "filter": _written(question.filter)}),
        }
        self._unit.connection.execute(insert(QUERY), row)

    def rebuild_index(self) -> int:
        """Write every search row anew from the entries."""
        return rebuild_index(self._unit.connection)


class SqlQueryView:
    """Fulfils `QueryView` on a snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def question(self, question_id: UUID) -> Question | None:
        """A question by id."""
        row = self._connection.execute(select(QUERY).where(QUERY.c.id == question_id)).one_or_none()
        return None if row is None else _question(row)

    def latest_question(self, asker: str, since: int) -> Question | None:
        """The asker's newest question since a moment."""
        newest = (
            select(QUERY)
            .where(QUERY.c.asker == asker, QUERY.c.asked_at >= since)
            .order_by(QUERY.c.asked_at.desc())
            .limit(1)
        )
        row = self._connection.execute(newest).one_or_none()
        return None if row is None else _question(row)

    def search(self, question: Question, below: int, limit: int) -> list[Found]:
        """Matching entries with index < `below`, newest first."""
        agency = question.agency
        if agency is None:
            return self._newest(question.filter, [], below, limit)
        # Two searches that each follow an index, because one with OR would sort everything the
        # agency ever did.
        acted = self._newest(question.filter, [LOOKUP.c.org == agency], below, limit)
        received = self._newest(question.filter, [LOOKUP.c.rcp == agency], below, limit)
        found = {entry.index: entry for entry in (*acted, *received)}
        return [found[index] for index in sorted(found, reverse=True)[:limit]]

    def _newest(
        self, wanted: Filter, own: list[ColumnElement[bool]], below: int, limit: int
    ) -> list[Found]:
        lead: ColumnElement[int] = LOOKUP.c.idx
        statement = select(*_FOUND).select_from(LOOKUP).join(ENTRY, ENTRY.c.idx == LOOKUP.c.idx)
        for kind in _TOKENS:
            token = getattr(wanted, kind)
            if token is not None:
                mine = TOKEN.alias(f"by_{kind}")
                statement = statement.join(
                    mine,
                    (mine.c.idx == LOOKUP.c.idx)
                    & (mine.c.kind == KINDS[kind])
                    & (mine.c.token == token),
                )
                lead = (
                    mine.c.idx
                )  # bounded and ordered by the index that is followed, a page costs no sort
        statement = statement.where(
            lead < below, *own, *_conditions(wanted), *self._time_bounds(wanted, lead)
        )
        return [
            Found(*row)
            for row in self._connection.execute(statement.order_by(lead.desc()).limit(limit))
        ]

    def entry(self, index: int, agency: str | None) -> Found | None:
        """One entry, if this agency may see it."""
        row = self._connection.execute(_visible(agency).where(ENTRY.c.idx == index)).one_or_none()
        return None if row is None else Found(*row)

    def producers(self) -> list[Producer]:
        """Every producer epoch with its gaps."""
        gaps: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for row in self._connection.execute(
            select(GAP.c.src, GAP.c.ep, GAP.c.first, GAP.c.last).order_by(GAP.c.first)
        ):
            gaps.setdefault((row.src, row.ep), []).append((row.first, row.last))
        known = select(
            PRODUCER.c.service, EPOCH.c.src, EPOCH.c.ep, EPOCH.c.highest, EPOCH.c.heard
        ).join(EPOCH, EPOCH.c.src == PRODUCER.c.src)
        rows = self._connection.execute(known.order_by(PRODUCER.c.service, EPOCH.c.src, EPOCH.c.ep))
        return [Producer(*row, gaps=tuple(gaps.get((row.src, row.ep), ()))) for row in rows]

    def log_size(self) -> int:
        """Entries in the log."""
        return _log_size(self._connection)

    def index_differences(self) -> list[int]:
        """Entries whose search rows are not what the entry says."""
        return index_differences(self._connection)

    def _time_bounds(self, wanted: Filter, lead: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Log time never goes back, so a bound in time is a bound in place: two searches by
        bisection, no index on time.
        """
        size = _log_size(self._connection)
        found = []
        if wanted.since is not None:
            found.append(lead >= self._first_at(wanted.since, size))
        if wanted.until is not None:
            found.append(lead < self._first_at(wanted.until, size))
        return found

    def _first_at(self, moment: int, size: int) -> int:
        """The first index logged at `moment` or later."""
        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            logged = self._connection.execute(
                select(ENTRY.c.tr).where(ENTRY.c.idx == middle)
            ).scalar_one()
            low, high = (middle + 1, high) if logged < moment else (low, middle)
        return low


class SqlAuditStore:
    """Fulfils `AuditStore`."""

    def __init__(self, database: Database, trail: AuditTrail, idempotency: Idempotency) -> None:
        self._database = database
        self._trail = trail
        self._idempotency = idempotency

    async def write(self, work: Callable[[QueryTx], T]) -> T:
        """Run `work`, commit, and return when durable."""
        return await self._database.write(
            lambda unit: work(SqlQueryTx(unit, self._trail, self._idempotency))
        )

    async def read(self, work: Callable[[QueryView], T]) -> T:
        """Run `work` on one snapshot."""
        return await self._database.read(lambda connection: work(SqlQueryView(connection)))


def _visible(agency: str | None) -> Select[Any]:
    """Entries this agency acted in or received; all of them for None.

    The one predicate behind every read.
    """
    statement = select(*_FOUND).join(LOOKUP, LOOKUP.c.idx == ENTRY.c.idx)
    return (
        statement
        if agency is None
        else statement.where((LOOKUP.c.org == agency) | (LOOKUP.c.rcp == agency))
    )


def _conditions(wanted: Filter) -> list[ColumnElement[bool] | TextClause]:
    found: list[ColumnElement[bool] | TextClause] = []
    if wanted.recipient is not None:
        found.append(LOOKUP.c.rcp == wanted.recipient)
    if wanted.delivery is not None:
        found.append(LOOKUP.c.dl == wanted.delivery)
    if wanted.operation is not None:
        found.append(LOOKUP.c.op == wanted.operation)
    if wanted.emergency:
        found.append(EMERGENCY)
    return found


def _log_size(connection: Connection) -> int:
    state = read_state(connection)
    return 0 if state is None else state.size


def _written(wanted: Filter) -> dict[str, Any]:
    tokens = {kind: b64u(token) for kind in _TOKENS if (token := getattr(wanted, kind)) is not None}
    plain = {
        name: getattr(wanted, name)
        for name in ("recipient", "delivery", "operation", "since", "until", "emergency")
    }
    return {**tokens, **plain}


def _question(row: Row[Any]) -> Question:
    kept = json.loads(row.query)
    parts: dict[str, Any] = {
        name: unb64u(value) if name in _TOKENS else value for name, value in kept["filter"].items()
    }
    purpose: Purpose = kept["purpose"]
    return Question(row.id, row.asker, row.agency, purpose, Filter(**parts), row.size, row.asked_at)


def entry_count(connection: Connection) -> int:
    """Rows in the table of entries: what a check compares with the state row."""
    return int(connection.execute(select(func.count()).select_from(ENTRY)).scalar_one())
