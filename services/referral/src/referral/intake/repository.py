"""Refused intakes in the database: known again by keyed hashes of key and reference, never by what
they held."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    true,
    union_all,
)
from sqlmodel import col
from sqlmodel import select as select_rows

from common.access import Granted
from common.database import Prepared, Unit
from common.database.session import session
from common.sealed import blind_index
from hubformats.ids import uuid7
from referral.intake.model.refused import IntakeMarks, RefusedIntake, RefusedPage, RefusedPlace
from referral.tables import RefusedIntake as Row
from referral.tables import table_of

_REFUSED: Final = table_of(Row)
MANY: Final = 1_000
"""Open alarms of one agency at which a person is told that its desk can no longer be following
them.
"""

# Made once: each accepted intake runs one of these.
_OWN = _REFUSED.c.agency == bindparam("sender")
_BY_KEY = _REFUSED.c.key_mark == bindparam("key")
_CORRECT_KEY = Prepared(delete(_REFUSED).where(_OWN, _BY_KEY))
_BY_REFERENCE = _REFUSED.c.reference_mark == bindparam("reference")
# A union, because an OR may go through all of the agency's rows, and the slow sender is the one
# with many.
_SAME = union_all(
    select(_REFUSED.c.id).where(_OWN, _BY_KEY), select(_REFUSED.c.id).where(_OWN, _BY_REFERENCE)
)
_CORRECTION = delete(_REFUSED).where(_REFUSED.c.id.in_(_SAME))
_CORRECT = Prepared(_CORRECTION)


class SqlRefused:
    """Fulfils `intake.ports.Refused` inside one unit of work.

    What every accepted intake runs is prepared; what a desk does by hand uses the session.
    """

    def __init__(self, unit: Unit, index_key: bytes) -> None:
        self._unit = unit
        self._key = index_key

    def note(self, agency: str, code: str, at: datetime, marks: IntakeMarks) -> bool:
        """Keep one row per intake: a machine that keeps trying the same thing raises one alarm,
        from its first try.

        Rows are as small as the audit entry of the same refusal, and nothing may be dropped. So
        there is no most. Each ends when it is corrected or acknowledged.
        """
        reference = self._reference_mark(agency, marks.external_reference)
        known = {"sender": agency, "key": marks.key_mark, "reference": reference}
        # A mark that is None equals no row's.
        again = self._unit.connection.execute(_SAME, known).scalars().all()
        with session(self._unit) as rows:
            for row in rows.exec(select_rows(Row).where(col(Row.id).in_(again))) if again else ():
                row.code = code
                row.reference_mark = row.reference_mark or reference
            if not again:
                new = Row(id=uuid7(), agency=agency, code=code, at=at)
                new.key_mark, new.reference_mark = marks.key_mark, reference
                rows.add(new)
        return not again and self._up_to_one_more(agency) == MANY

    def correct(self, granted: Granted, marks: IntakeMarks) -> None:
        """End those of the same key or reference, of the caller's agency."""
        agency = granted.principal.agency
        reference = self._reference_mark(agency, marks.external_reference)
        known = {"sender": agency, "key": marks.key_mark}
        if reference is None:
            _CORRECT_KEY.run(self._unit.connection, known)
        else:
            _CORRECT.run(self._unit.connection, {**known, "reference": reference})

    def acknowledge(self, granted: Granted, refused_id: UUID) -> RefusedIntake | None:
        """Look by one predicate, id and agency: another's and none at all are the same work."""
        agency = granted.principal.agency
        with session(self._unit) as rows:
            own = select_rows(Row).where(Row.id == refused_id, Row.agency == agency)
            row = rows.exec(own).first()
            if row is None:
                return None
            ended = RefusedIntake(row.id, row.at, row.code)
            rows.delete(row)
        return ended

    def open(self, granted: Granted, after: RefusedPlace | None, limit: int) -> RefusedPage:
        """List behind a place; how many there are in all is counted at the same moment."""
        own = Row.agency == granted.principal.agency
        query = (
            select_rows(Row)
            .where(own, true() if after is None else _behind(*after))
            .order_by(col(Row.at), col(Row.id))
            .limit(limit + 1)
        )
        with session(self._unit) as rows:
            found = [RefusedIntake(row.id, row.at, row.code) for row in rows.exec(query)]
            total = rows.exec(select_rows(func.count()).select_from(Row).where(own)).one()
        return RefusedPage(tuple(found[:limit]), more=len(found) > limit, total=total)

    def _reference_mark(self, agency: str, external_reference: str | None) -> bytes | None:
        if not external_reference:
            return None
        return blind_index(self._key, "referral.refused", f"{agency}\0{external_reference}")

    def _up_to_one_more(self, agency: str) -> int:
        """Count them no further than needed: a sender that does nothing but fail must not make
        each failure dearer.
        """
        some = select(_REFUSED.c.id).where(_REFUSED.c.agency == agency).limit(MANY + 1).subquery()
        counted = select(func.count()).select_from(some)
        found: int = self._unit.connection.execute(counted).scalar_one()
        return found


def _behind(at: datetime, refused_id: UUID) -> ColumnElement[bool]:
    return or_(col(Row.at) > at, and_(col(Row.at) == at, col(Row.id) > refused_id))
