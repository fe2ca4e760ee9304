"""Keeps decisions with their alternatives, and what waits to be decided on, sealed."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from common.access import Granted
from common.database import Prepared, Unit
from common.events.case import CaseSnapshot
from common.sealed import SealRefused
from hubformats.canonical import canonical, parse
from hubformats.ids import uuid7
from sharing.case_keys import CaseKeys
from sharing.cases.model import (
    AuthorisedCase,
    CaseFile,
    Opens,
    Reason,
    Relation,
    authorised_case,
)
from sharing.context import SERVICE, ContentGone
from sharing.decisions.model import SharingDecision, Undecided
from sharing.look_tables import UndecidedRow
from sharing.tables import CaseRow, DecisionRow, RepositoryDeps, table_of

_CASE, _DECISION, _UNDECIDED = map(table_of, (CaseRow, DecisionRow, UndecidedRow))
_COUNT: Final = Prepared(
    select(func.count())
    .select_from(_DECISION)
    .where(
        _DECISION.c.case_id == bindparam("b_case"),
        _DECISION.c.snapshot_version == bindparam("b_version"),
    )
)
_NEW: Final = Prepared(insert(_DECISION), *_DECISION.c.keys())
_WAITS: Final = Prepared(select(_UNDECIDED.c.version).limit(1))
_KEY: Final = Prepared(select(_CASE.c.key_id).where(_CASE.c.case_id == bindparam("b_case")))
_MEANT: Final = Prepared(
    select(_UNDECIDED.c.key_id).where(_UNDECIDED.c.case_id == bindparam("b_case")).limit(1)
)


class SqlDecisions:
    """Fulfils `sharing.decisions.ports.Decisions` inside one unit of work."""

    def __init__(self, unit: Unit, keys: CaseKeys) -> None:
        self._conn = unit.connection
        self._keys = keys

    def add(self, decision_id: UUID, snapshot: CaseSnapshot, decision: SharingDecision) -> None:
        """Add a decision, numbered behind those there already are on this version."""
        case_id, version = snapshot.case_id, snapshot.version
        key = self._keys.of_case(case_id)
        ordinal = _COUNT.run(self._conn, {"b_case": case_id, "b_version": version}).scalar_one()
        detail = _detail(snapshot, decision)
        row = {
            "id": decision_id,
            "case_id": case_id,
            "key_id": key.subject_id,
            "snapshot_version": version,
            "ordinal": ordinal,
            "as_of": decision.as_of,
            "agreement": decision.agreement,
            "agreement_version": decision.agreement_version,
            "agreement_hash": decision.agreement_hash,
            "inputs_hash": decision.inputs_hash,
            "detail_ct": key.seal("decision", "detail_ct", decision_id, detail),
        }
        _NEW.run(self._conn, row)


class SqlUndecided:
    """Fulfils `sharing.decisions.ports.UndecidedSnapshots` inside one unit of work."""

    def __init__(self, unit: Unit, deps: RepositoryDeps, keys: CaseKeys) -> None:
        self._conn = unit.connection
        self._seal = deps.seals.undecided
        self._keys = keys

    def waits(self) -> bool:
        """Ask for one row."""
        return _WAITS.run(self._conn, {}).first() is not None

    def add(self, snapshot: CaseSnapshot) -> bool:
        """Seal it under the key of the case, or under the one that the case will have."""
        case_id, version = snapshot.case_id, snapshot.version
        if self._row(case_id, version) is not None:
            return False
        waiting = _MEANT.run(self._conn, {"b_case": case_id}).first()
        known = waiting or _KEY.run(self._conn, {"b_case": case_id}).first()
        key, place = self._keys.ensure(known.key_id if known else uuid7()), uuid7()
        text = canonical(snapshot.data()).decode()
        row = {
            "case_id": case_id,
            "version": version,
            "place": place,
            "sender": snapshot.referrer_agency,
            "urgent": snapshot.urgent,
            "key_id": key.subject_id,
            "snapshot_ct": key.seal("undecided", "snapshot_ct", place, text),
        }
        self._conn.execute(insert(_UNDECIDED), row)
        if snapshot.urgent:
            self._conn.execute(update(_UNDECIDED).where(_of(case_id)).values(urgent=True))
        return True

    def authorised(self, granted: Granted, one: Undecided) -> AuthorisedCase | None:
        """Look it up for this service alone."""
        if granted.principal.agency != SERVICE or self._row(one.case_id, one.version) is None:
            return None
        case = CaseFile(one.case_id, one.version, one.sender, (), {})
        return authorised_case(case, Relation.OWN_WORK, Reason.DECIDE)

    def snapshot(self, authorised: AuthorisedCase) -> CaseSnapshot:
        """Open it and compare it with its row. Raises NotAllowed, ContentGone, RowAltered."""
        authorised.require(Opens.SNAPSHOT)
        case = authorised.case
        row = self._row(case.case_id, case.version)
        if row is None:
            raise ContentGone("no-snapshot")
        try:
            key = self._keys.get(row.key_id)
            text = key.open("undecided", "snapshot_ct", row.place, row.snapshot_ct)
        except SealRefused:
            raise self._seal.altered(case.case_id) from None
        found = CaseSnapshot.model_validate(parse(text))
        said = (found.case_id, found.version, found.referrer_agency)
        if said != (row.case_id, row.version, row.sender):
            raise self._seal.altered(case.case_id)
        return found

    def done(self, case_id: UUID, version: int) -> bool:
        """Delete it; whoever else decides on it at this moment waits, and finds it gone."""
        this = and_(_of(case_id), _UNDECIDED.c.version == version)
        gone = delete(_UNDECIDED).where(this).returning(_UNDECIDED.c.key_id)
        key_id = self._conn.execute(gone).scalar_one_or_none()
        if key_id is not None:
            self._keys.mean(case_id, key_id)
        return key_id is not None

    def postpone(self, one: Undecided, until: datetime) -> None:
        """Write the time on it; the versions behind it wait for it anyway."""
        this = and_(_of(one.case_id), _UNDECIDED.c.version == one.version)
        self._conn.execute(update(_UNDECIDED).where(this).values(again_at=until))

    def forget(self, case_id: UUID) -> int | None:
        """Destroy the key, and delete the rows."""
        gone = delete(_UNDECIDED).where(_of(case_id))
        rows = self._conn.execute(gone.returning(_UNDECIDED.c.key_id, _UNDECIDED.c.version)).all()
        for key_id in {row.key_id for row in rows}:
            self._keys.destroy(key_id)
        return max((row.version for row in rows), default=None)

    def _row(self, case_id: UUID, version: int) -> Any:
        this = and_(_of(case_id), _UNDECIDED.c.version == version)
        return self._conn.execute(select(_UNDECIDED).where(this)).first()


class SqlUndecidedViews:
    """Fulfils `sharing.decisions.ports.UndecidedViews` on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection

    def heads(self, now: datetime, *, urgent: bool) -> tuple[Undecided, ...]:
        """Number each sender's rows by arrival and take the first of each."""
        mine, before = _UNDECIDED.c, _UNDECIDED.alias("before").c
        earlier = exists().where(before.case_id == mine.case_id, before.version < mine.version)
        names = ("case_id", "version", "sender", "urgent", "place")
        turn = func.row_number().over(partition_by=mine.sender, order_by=mine.place)
        free = or_(mine.again_at.is_(None), mine.again_at <= now)
        ready = (
            select(*(mine[name] for name in names), turn.label("turn"))
            .where(mine.urgent.is_(urgent), free, ~earlier)
            .subquery()
        )
        first = select(*(ready.c[name] for name in names)).where(ready.c.turn == 1)
        return tuple(Undecided(*row) for row in self._conn.execute(first.order_by(ready.c.place)))


def _of(case_id: UUID) -> ColumnElement[bool]:
    return _UNDECIDED.c.case_id == case_id


def _detail(snapshot: CaseSnapshot, decision: SharingDecision) -> str:
    """Write whose case it is, and the alternatives, recipient by recipient.

    So the decision can be explained and run again, and what is opened be compared with it.
    """
    told = [
        {
            "recipient": each.recipient.id,
            "type": each.recipient.type,
            "suspended": each.recipient.suspended,
            "permitted": [
                [about.category, str(about.subject or ""), clause]
                for about, clause in each.projection.permitted.items()
            ],
            "withheld": [
                [about.category, str(about.subject or ""), why]
                for about, why in each.withheld.items()
            ],
            "reason": each.reason or "",
        }
        for each in decision.recipients
    ]
    head = {
        "case": str(snapshot.case_id),
        "version": snapshot.version,
        "referrer": snapshot.referrer_agency,
    }
    return canonical({**head, "recipients": told}).decode()
