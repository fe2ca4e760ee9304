"""Refused intakes: known again by keyed hashes of key and reference, never by what they held."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, bindparam, delete, false, func, insert, or_, select, update

from common.database import Prepared
from common.ids import uuid7
from common.sealed import blind_index
from referral.ports import RefusedIntake
from referral.storage.tables import RefusedIntake as RefusedRow
from referral.storage.tables import table_of

_REFUSED = table_of(RefusedRow)
_LIMIT: Final = 1_000
"""Open alarms kept per agency: a desk with so many needs to know that, not each."""


# Made once: each accepted intake runs one of these.
_OWN = _REFUSED.c.agency == bindparam("sender")
_BY_KEY = _REFUSED.c.key_mark == bindparam("key")
_CORRECT_KEY = Prepared(delete(_REFUSED).where(_OWN, _BY_KEY))
_CORRECT = Prepared(delete(_REFUSED).where(_OWN, or_(_BY_KEY, _REFUSED.c.reference_mark == bindparam("reference"))))


class RefusedIntakes:
    """The table inside one transaction."""

    def __init__(self, connection: Connection, index_key: bytes) -> None:
        self._conn = connection
        self._key = index_key

    def note(self, agency: str, code: str, at: datetime, key_mark: bytes | None, external_reference: str | None) -> None:
        """One row per intake: a machine that keeps trying the same thing raises one alarm, from its first try."""
        reference = self._reference_mark(agency, external_reference)
        again = [row.id for row in self._conn.execute(select(_REFUSED.c.id).where(*self._same(agency, key_mark, reference)))]
        if again:
            known = _REFUSED.c.id.in_(again)
            self._conn.execute(update(_REFUSED).where(known).values(code=code))
            if reference is not None:
                self._conn.execute(update(_REFUSED).where(known, _REFUSED.c.reference_mark.is_(None)).values(reference_mark=reference))
            return
        if self._count(agency) < _LIMIT:
            row = {"id": uuid7(), "agency": agency, "code": code, "at": at, "key_mark": key_mark, "reference_mark": reference}
            self._conn.execute(insert(_REFUSED).values(**row))

    def correct(self, agency: str, key_mark: bytes, external_reference: str | None) -> None:
        """Those of the same key or reference end."""
        reference = self._reference_mark(agency, external_reference)
        marks = {"sender": agency, "key": key_mark}
        if reference is None:
            _CORRECT_KEY.run(self._conn, marks)
        else:
            _CORRECT.run(self._conn, {**marks, "reference": reference})

    def acknowledge(self, agency: str, refused_id: UUID) -> RefusedIntake | None:
        """One predicate, id and agency, so that another's and none at all are the same work."""
        here = (_REFUSED.c.id == refused_id, _REFUSED.c.agency == agency)
        row = self._conn.execute(select(_REFUSED.c.id, _REFUSED.c.at, _REFUSED.c.code).where(*here)).first()
        self._conn.execute(delete(_REFUSED).where(*here))
        return None if row is None else RefusedIntake(row.id, row.at, row.code)

    def open(self, agency: str) -> tuple[RefusedIntake, ...]:
        """Oldest first."""
        query = select(_REFUSED.c.id, _REFUSED.c.at, _REFUSED.c.code).where(_REFUSED.c.agency == agency)
        return tuple(RefusedIntake(row.id, row.at, row.code) for row in self._conn.execute(query.order_by(_REFUSED.c.at, _REFUSED.c.id)))

    def _same(self, agency: str, key_mark: bytes | None, reference: bytes | None) -> tuple[ColumnElement[bool], ...]:
        marks = ((_REFUSED.c.key_mark, key_mark), (_REFUSED.c.reference_mark, reference))
        return (_REFUSED.c.agency == agency, or_(false(), *(column == mark for column, mark in marks if mark is not None)))

    def _reference_mark(self, agency: str, external_reference: str | None) -> bytes | None:
        return None if not external_reference else blind_index(self._key, "referral.refused", f"{agency}\0{external_reference}")

    def _count(self, agency: str) -> int:
        found: int = self._conn.execute(select(func.count()).select_from(_REFUSED).where(_REFUSED.c.agency == agency)).scalar_one()
        return found
