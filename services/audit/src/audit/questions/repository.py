"""Questions and answers over the search rows.

Every statement leads with what is asked and ends with the place, newest first.
"""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, TextClause, insert, select

from audit.questions.model import (
    AuthorisedLook,
    Entitlements,
    EntryNotFound,
    Filter,
    Found,
    Purpose,
    PurposeRequired,
    Question,
    QuestionNotFound,
    Sight,
    as_seen,
    asker_of,
    involves,
)
from audit.questions.ports import QuestionTx, QuestionView
from audit.tables import EMERGENCY, ENTRY, KINDS, LOG_STATE, LOOKUP, QUERY, TOKEN
from common.access import Granted
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
    ENTRY.c.held,
)
_TOKENS: Final = ("case", "actor", "subject")


class SqlQuestions:
    """Fulfils `Questions` on a unit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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
        self._connection.execute(insert(QUERY), row)


class SqlLooks:
    """Fulfils `Looks` on a snapshot."""

    def __init__(self, connection: Connection, entitlements: Entitlements) -> None:
        self._connection = connection
        self._entitlements = entitlements

    def by_question(self, granted: Granted, question_id: UUID) -> AuthorisedLook:
        """Authorise a look by a question's id."""
        own = _own(granted, self._entitlements.sight(granted))
        asked = select(QUERY).where(QUERY.c.id == question_id, *own)
        row = self._connection.execute(asked).one_or_none()
        if row is None:
            raise QuestionNotFound("no question of this caller")
        return self._entitlements.look(granted, _question(row))

    def by_latest(self, granted: Granted) -> AuthorisedLook:
        """Authorise a look by the caller's newest question."""
        own = _own(granted, self._entitlements.sight(granted))
        newest = select(QUERY).where(*own).order_by(QUERY.c.asked_at.desc()).limit(1)
        row = self._connection.execute(newest).one_or_none()
        if row is None:
            raise PurposeRequired("nothing was asked")
        return self._entitlements.look(granted, _question(row))


class SqlEntries:
    """Fulfils `Entries` on a snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def search(self, look: AuthorisedLook, below: int, limit: int) -> list[Found]:
        """Find what the look's question asks for with index < `below`, newest first."""
        question = look.question
        agency = question.agency
        if agency is None:
            return self._newest(question.filter, [], below, limit)
        # Two searches that each follow an index, because one with OR would sort everything the
        # agency ever did.
        acted = self._newest(question.filter, [LOOKUP.c.org == agency], below, limit)
        received = self._newest(question.filter, [LOOKUP.c.rcp == agency], below, limit)
        found = {entry.index: entry for entry in (*acted, *received) if involves(entry, agency)}
        newest = sorted(found, reverse=True)[:limit]
        return [as_seen(found[index], agency) for index in newest]

    def entry(self, look: AuthorisedLook, index: int) -> Found:
        """Open one entry that the look's agency acted in or received; any for a mandate."""
        statement = (
            select(*_FOUND).join(LOOKUP, LOOKUP.c.idx == ENTRY.c.idx).where(ENTRY.c.idx == index)
        )
        agency = look.question.agency
        if agency is not None:
            statement = statement.where((LOOKUP.c.org == agency) | (LOOKUP.c.rcp == agency))
        row = self._connection.execute(statement).one_or_none()
        found = None if row is None else Found(*row)
        if found is None or (agency is not None and not involves(found, agency)):
            raise EntryNotFound("no entry for this caller")
        return as_seen(found, agency)

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

    def _time_bounds(self, wanted: Filter, lead: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Turn bounds in time into bounds in place, by bisection.

        Log time never goes back, so no index on time is needed.
        """
        size = _log_size(self._connection)
        found = []
        if wanted.since is not None:
            found.append(lead >= self._first_at(wanted.since, size))
        if wanted.until is not None:
            found.append(lead < self._first_at(wanted.until, size))
        return found

    def _first_at(self, moment: int, size: int) -> int:
        """Find the first index logged at `moment` or later."""
        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            logged = self._connection.execute(
                select(ENTRY.c.tr).where(ENTRY.c.idx == middle)
            ).scalar_one()
            low, high = (middle + 1, high) if logged < moment else (low, middle)
        return low


class SqlQuestionTx:
    """Fulfils `QuestionTx` on a unit."""

    def __init__(self, unit: Unit, trail: AuditTrail, idempotency: Idempotency) -> None:
        self._unit = unit
        self._trail = trail
        self._idempotency = idempotency
        self.questions = SqlQuestions(unit.connection)

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Run `work` once per idempotency key."""
        return self._idempotency.once(self._unit.connection, attempt, work)

    def record(self, entry: AuditEntry) -> None:
        """Record an act of this service; durable with the transaction."""
        self._trail.record(self._unit, entry)

    def log_size(self) -> int:
        """Count the entries of the log."""
        return _log_size(self._unit.connection)


class SqlQuestionView:
    """Fulfils `QuestionView` on a snapshot."""

    def __init__(self, connection: Connection, entitlements: Entitlements) -> None:
        self.looks = SqlLooks(connection, entitlements)
        self.entries = SqlEntries(connection)


class SqlQuestionStore:
    """Fulfils `QuestionStore`."""

    def __init__(
        self,
        database: Database,
        trail: AuditTrail,
        idempotency: Idempotency,
        entitlements: Entitlements,
    ) -> None:
        self._database = database
        self._trail = trail
        self._idempotency = idempotency
        self._entitlements = entitlements

    async def write(self, work: Callable[[QuestionTx], T]) -> T:
        """Run `work`, commit, and return when durable."""
        return await self._database.write(
            lambda unit: work(SqlQuestionTx(unit, self._trail, self._idempotency))
        )

    async def read(self, work: Callable[[QuestionView], T]) -> T:
        """Run `work` on one snapshot."""
        return await self._database.read(
            lambda connection: work(SqlQuestionView(connection, self._entitlements))
        )


def _own(granted: Granted, sight: Sight) -> list[ColumnElement[bool]]:
    """Match the caller's own questions, asked with the sight they have now."""
    return [QUERY.c.asker == asker_of(granted), QUERY.c.agency.is_not_distinct_from(sight.agency)]


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
    return connection.execute(select(LOG_STATE.c.size)).scalar_one_or_none() or 0


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
