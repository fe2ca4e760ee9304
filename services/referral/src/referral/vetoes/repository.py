"""Liftings in the database: who asked, and why, is sealed under the case's key."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, insert, select, true, update

from common.access import Granted
from common.database import Unit
from common.events.case import SecondLookDue
from common.outbox import Outbox
from common.sealed import SubjectKey, SubjectKeys
from common.topics import CASE
from hubformats.ids import uuid7
from referral.cases.model.authority import (
    AuthorisedCase,
    NotAllowed,
    Opens,
    Relation,
    relation_of,
)
from referral.tables import VetoLifting, not_barred, table_of
from referral.vetoes.model import (
    Grounds,
    Lapsed,
    Lifting,
    LiftingOver,
    LiftState,
    Party,
    VetoKind,
)

_LIFTING: Final = table_of(VetoLifting)
_TABLE, _DETAIL = "veto_lifting", "detail_ct"
"""What the seal is bound to; they stay when a table or column is renamed."""


class SqlLiftings:
    """Fulfils `vetoes.ports.Liftings` inside one unit of work."""

    def __init__(self, connection: Connection, keys: SubjectKeys) -> None:
        self._conn = connection
        self._keys = keys

    def add(self, proof: AuthorisedCase, lifting: Lifting) -> None:
        """Seal and insert."""
        proof.require(Opens.REVISION)
        if lifting.case_id != proof.case_id:
            raise NotAllowed("the proof is about another case")
        self._conn.execute(insert(_LIFTING).values(id=lifting.id, **self._row(lifting)))

    def case_of(self, lifting_id: UUID) -> UUID | None:
        """Read nothing else."""
        query = select(_LIFTING.c.case_id).where(_LIFTING.c.id == lifting_id)
        found: UUID | None = self._conn.execute(query).scalar_one_or_none()
        return found

    def get(self, proof: AuthorisedCase, lifting_id: UUID) -> Lifting | None:
        """Look by id and case."""
        proof.require(Opens.OUTLINE)
        query = select(_LIFTING).where(
            _LIFTING.c.id == lifting_id, _LIFTING.c.case_id == proof.case_id
        )
        row = self._conn.execute(query).mappings().first()
        return None if row is None else self._opened([dict(row)], proof.case_id).get(lifting_id)

    def of_case(self, proof: AuthorisedCase) -> tuple[Lifting, ...]:
        """Read a case's liftings, oldest first: ids are in the order of time."""
        proof.require(Opens.OUTLINE)
        query = select(_LIFTING).where(_LIFTING.c.case_id == proof.case_id).order_by(_LIFTING.c.id)
        rows = self._conn.execute(query).mappings().all()
        return tuple(self._opened(map(dict, rows), proof.case_id).values())

    def replace(self, proof: AuthorisedCase, old: Lifting, new: Lifting) -> None:
        """Swap where the state is still the known one."""
        proof.require(Opens.REVISION)
        if new.case_id != proof.case_id or new.id != old.id:
            raise NotAllowed("the proof is about another case")
        swapped = self._conn.execute(
            update(_LIFTING)
            .where(_LIFTING.c.id == old.id, _LIFTING.c.state == old.state.value)
            .values(**self._row(new))
        )
        if swapped.rowcount != 1:
            raise LiftingOver

    def waiting(self, granted: Granted, now: datetime, limit: int) -> tuple[UUID, ...]:
        """Ask by state, and for whom it is."""
        agency = granted.principal.agency
        is_officer = relation_of(granted) is Relation.PRIVACY_OFFICER
        query = (
            select(_LIFTING.c.id)
            .where(
                _LIFTING.c.state == LiftState.ASKED.value,
                _LIFTING.c.lapses_at > now,
                true() if is_officer else _LIFTING.c.agency == agency,
                not_barred(_LIFTING.c.case_id, agency),
            )
            .order_by(_LIFTING.c.id)
            .limit(limit)
        )
        return tuple(self._conn.execute(query).scalars())

    def lapse(self, now: datetime, limit: int) -> tuple[Lapsed, ...]:
        """Change the columns in the clear; what is sealed says nothing of it."""
        due = (_LIFTING.c.state == LiftState.ASKED.value, _LIFTING.c.lapses_at <= now)
        query = select(_LIFTING.c.id, _LIFTING.c.case_id, _LIFTING.c.agency).where(*due)
        rows = self._conn.execute(query.order_by(_LIFTING.c.id).limit(limit)).all()
        if rows:
            these = _LIFTING.c.id.in_([row.id for row in rows])
            lapsed = update(_LIFTING).where(*due, these)
            self._conn.execute(lapsed.values(state=LiftState.LAPSED.value, settled_at=now))
        return tuple(Lapsed(row.id, row.case_id, row.agency) for row in rows)

    def lapsed(self, granted: Granted, since: datetime, limit: int) -> tuple[UUID, ...]:
        """Ask by state and agency."""
        agency = granted.principal.agency
        query = (
            select(_LIFTING.c.id)
            .where(
                _LIFTING.c.state == LiftState.LAPSED.value,
                _LIFTING.c.lapses_at > since,
                _LIFTING.c.agency == agency,
                not_barred(_LIFTING.c.case_id, agency),
            )
            .order_by(_LIFTING.c.id.desc())
            .limit(limit)
        )
        return tuple(self._conn.execute(query).scalars())

    def _row(self, lifting: Lifting) -> dict[str, Any]:
        key = self._keys.get(self._conn, lifting.case_id)
        return {
            "case_id": lifting.case_id,
            "agency": lifting.asked_by.agency,
            "state": lifting.state.value,
            "asked_at": lifting.asked_at,
            "lapses_at": lifting.lapses_at,
            "settled_at": lifting.settled_at,
            "detail_ct": key.seal(_TABLE, _DETAIL, lifting.id, json.dumps(_detail(lifting))),
        }

    def _opened(self, rows: Iterable[Mapping[str, Any]], case_id: UUID) -> dict[UUID, Lifting]:
        """Open them; none of a case whose key was destroyed."""
        key = self._keys.load(self._conn, {case_id}).get(case_id)
        return {} if key is None else {row["id"]: _lifting(row, key) for row in rows}


class BusSecondLooks:
    """Fulfils `vetoes.ports.SecondLooks` by an event to sharing."""

    def __init__(self, unit: Unit, outbox: Outbox) -> None:
        self._unit = unit
        self._outbox = outbox

    def file(self, lifting: Lifting, act: str, code: str, at: datetime) -> None:
        """Send it on the case's stream. Whoever asked and whoever settled it both took part."""
        parties = [each for each in (lifting.asked_by, lifting.settled_by) if each is not None]
        due = SecondLookDue(
            look_id=uuid7(),
            case_id=lifting.case_id,
            act=act,
            reason_code=code,
            actors=tuple((each.subject, each.agency, each.role) for each in parties),
            at=at,
        )
        stream = str(lifting.case_id)
        self._outbox.send(
            self._unit, topic=CASE, key=stream, event=due, to=["svc:sharing"], stream=stream
        )


def _lifting(row: Mapping[str, Any], key: SubjectKey) -> Lifting:
    raw = json.loads(key.open(_TABLE, _DETAIL, row["id"], row["detail_ct"]))
    return Lifting(
        id=row["id"],
        case_id=row["case_id"],
        veto_id=UUID(raw["veto"]),
        kind=VetoKind(raw["kind"]),
        asked_by=Party(**raw["asked_by"]),
        grounds=Grounds(**raw["grounds"]),
        asked_at=row["asked_at"],
        lapses_at=row["lapses_at"],
        state=LiftState(row["state"]),
        settled_by=None if raw["settled_by"] is None else Party(**raw["settled_by"]),
        settled_at=row["settled_at"],
        asked_as=Relation(raw.get("asked_as", Relation.SENDER)),
        settled_code=raw.get("settled_code", ""),
    )


def _detail(lifting: Lifting) -> dict[str, Any]:
    settled = lifting.settled_by
    return {
        "veto": str(lifting.veto_id),
        "kind": lifting.kind.value,
        "asked_by": _party(lifting.asked_by),
        "grounds": {"code": lifting.grounds.code, "words": lifting.grounds.words},
        "settled_by": None if settled is None else _party(settled),
        "asked_as": lifting.asked_as.value,
        "settled_code": lifting.settled_code,
    }


def _party(party: Party) -> dict[str, str]:
    return {"subject": party.subject, "agency": party.agency, "role": party.role}
