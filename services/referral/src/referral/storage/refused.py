"""Refused intakes: known again by keyed hashes of key and reference, never by what they held."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    union_all,
    update,
)

from common.database import Prepared
from common.sealed import blind_index
from hubformats.ids import uuid7
from referral.ports import RefusedIntake, RefusedPage, RefusedPlace
from referral.storage.tables import RefusedIntake as RefusedRow
from referral.storage.tables import table_of

_REFUSED = table_of(RefusedRow)
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


class RefusedIntakes:
    """The table inside one transaction."""

    def __init__(self, connection: Connection, index_key: bytes) -> None:
        self._conn = connection
        self._key = index_key

    def note(
        self,
        agency: str,
        code: str,
        at: datetime,
        key_mark: bytes | None,
        external_reference: str | None,
    ) -> bool:
        """One row per intake, however many there are: a machine that keeps trying the same thing
        raises one alarm, from its first try.

        True when this one makes them `MANY`. Rows are as small as the audit entry of the same
        refusal, and nothing may be dropped, so there is no most; each ends when it is corrected or
        acknowledged.
        """
        reference = self._reference_mark(agency, external_reference)
        marks = {
            "sender": agency,
            "key": key_mark,
            "reference": reference,
        }  # a mark that is None equals no row's
        again = [row.id for row in self._conn.execute(_SAME, marks)]
        if again:
            known = _REFUSED.c.id.in_(again)
            self._conn.execute(update(_REFUSED).where(known).values(code=code))
            if reference is not None:
                self._conn.execute(
                    update(_REFUSED)
                    .where(known, _REFUSED.c.reference_mark.is_(None))
                    .values(reference_mark=reference)
                )
            return False
        row = {
            "id": uuid7(),
            "agency": agency,
            "code": code,
            "at": at,
            "key_mark": key_mark,
            "reference_mark": reference,
        }
        self._conn.execute(insert(_REFUSED).values(**row))
        return self._up_to_one_more(agency) == MANY

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
        row = self._conn.execute(
            select(_REFUSED.c.id, _REFUSED.c.at, _REFUSED.c.code).where(*here)
        ).first()
        self._conn.execute(delete(_REFUSED).where(*here))
        return None if row is None else RefusedIntake(row.id, row.at, row.code)

    def open(self, agency: str, after: RefusedPlace | None, limit: int) -> RefusedPage:
        """Oldest first, behind a place; how many there are in all is counted at the same moment."""
        here = and_(_REFUSED.c.agency == agency, true() if after is None else _behind(*after))
        query = (
            select(_REFUSED.c.id, _REFUSED.c.at, _REFUSED.c.code)
            .where(here)
            .order_by(_REFUSED.c.at, _REFUSED.c.id)
            .limit(limit + 1)
        )
        found = [RefusedIntake(row.id, row.at, row.code) for row in self._conn.execute(query)]
        total = self._conn.execute(
            select(func.count()).select_from(_REFUSED).where(_REFUSED.c.agency == agency)
        ).scalar_one()
        return RefusedPage(tuple(found[:limit]), more=len(found) > limit, total=total)

    def _reference_mark(self, agency: str, external_reference: str | None) -> bytes | None:
        return (
            None
            if not external_reference
            else blind_index(self._key, "referral.refused", f"{agency}\0{external_reference}")
        )

    def _up_to_one_more(self, agency: str) -> int:
        """How many there are, counted no further than needed: a sender that does nothing but fail
        must not make each failure dearer.
        """
        some = select(_REFUSED.c.id).where(_REFUSED.c.agency == agency).limit(MANY + 1).subquery()
        found: int = self._conn.execute(select(func.count()).select_from(some)).scalar_one()
        return found


def _behind(at: datetime, refused_id: UUID) -> ColumnElement[bool]:
    return or_(_REFUSED.c.at > at, and_(_REFUSED.c.at == at, _REFUSED.c.id > refused_id))
