"""Read outlines of cases on a snapshot of the database, without its writer."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, select

from common.access import Granted
from common.sealed import SubjectKey, SubjectKeys
from referral.cases.model.authority import AuthorisedCase, Opens, Relation, authorise, relation_of
from referral.cases.model.case import CaseOutline
from referral.cases.repository.altered import HEAD
from referral.cases.repository.stored import outline_of
from referral.tables import CaseFile, table_of

_CASE: Final = table_of(CaseFile)


class SqlCaseViews:
    """Fulfils `cases.ports.CaseViews` on one snapshot."""

    def __init__(self, connection: Connection, subject_keys: SubjectKeys) -> None:
        self._conn = connection
        self._subject_keys = subject_keys

    def outlines(self, granted: Granted, case_ids: Collection[UUID]) -> tuple[CaseOutline, ...]:
        """Find all of them in one statement, and their keys in another."""
        who = granted.principal
        if relation_of(granted) is not Relation.SERVICE:
            return ()
        query = select(_CASE.c.id, _CASE.c.version, _CASE.c.head_ct).where(_CASE.c.id.in_(case_ids))
        rows = self._conn.execute(query.order_by(_CASE.c.id)).all()
        keys = self._subject_keys.load(self._conn, {row.id for row in rows})
        return tuple(
            _opened(
                authorise(row.id, row.version, who.agency, Relation.SERVICE, row.head_ct),
                keys[row.id],
            )
            for row in rows
            if row.id in keys
        )


def _opened(proof: AuthorisedCase, key: SubjectKey) -> CaseOutline:
    proof.require(Opens.OUTLINE)
    return outline_of(key.open(*HEAD, proof.case_id, proof.sealed_outline))
