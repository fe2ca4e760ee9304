"""Sent referrals in the database: one query, in which the agency always stands."""

from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select

from common.access import Granted
from common.database import Unit
from common.sealed import SubjectKey, SubjectKeys
from referral.sent.model import Place, SentPage, SentReferral, Wanted
from referral.tables import SUBJECT_KEY, CaseFile, ReferralRow, external_index, table_of

_CASE: Final = table_of(CaseFile)
_REFERRAL: Final = table_of(ReferralRow)
_TABLE, _EXTERNAL = "referral", "external_ct"
"""What the seal is bound to; they stay when a table or column is renamed."""


class SqlSent:
    """Fulfils `sent.ports.Sent` inside one unit of work."""

    def __init__(self, unit: Unit, subject_keys: SubjectKeys, index_key: bytes) -> None:
        self._conn = unit.connection
        self._subject_keys = subject_keys
        self._index_key = index_key

    def page(self, granted: Granted, wanted: Wanted) -> SentPage:
        """Find by agency first; a reference by its blind index."""
        query = (
            select(_REFERRAL, _CASE.c.version)
            .join(_CASE, _CASE.c.id == _REFERRAL.c.case_id)
            .where(_REFERRAL.c.agency == granted.principal.agency, *self._conditions(wanted))
            .order_by(_REFERRAL.c.changed_at, _REFERRAL.c.id)
            .limit(wanted.limit + 1)
        )
        rows = self._conn.execute(query).mappings().all()
        shown = rows[: wanted.limit]
        keys = self._subject_keys.load(self._conn, {row["case_id"] for row in shown})
        items = tuple(_item(row, keys.get(row["case_id"])) for row in shown)
        return SentPage(items, more=len(rows) > wanted.limit)

    def _conditions(self, wanted: Wanted) -> list[ColumnElement[bool]]:
        found = []
        if wanted.external_reference is not None:
            index = external_index(self._index_key, wanted.external_reference)
            found += [_REFERRAL.c.reference_bi == index, _not_erased()]
        if wanted.changed_since is not None:
            found.append(_REFERRAL.c.changed_at >= wanted.changed_since)
        if wanted.after is not None:
            found.append(_behind(wanted.after))
        return found


def _not_erased() -> ColumnElement[bool]:
    here = SUBJECT_KEY.c.subject_id == _REFERRAL.c.case_id
    return select(SUBJECT_KEY.c.version).where(here, SUBJECT_KEY.c.wrapped.is_not(None)).exists()


def _behind(place: Place) -> ColumnElement[bool]:
    at, referral_id = place
    same = and_(_REFERRAL.c.changed_at == at, _REFERRAL.c.id > referral_id)
    return or_(_REFERRAL.c.changed_at > at, same)


def _item(row: Any, key: SubjectKey | None) -> SentReferral:
    sealed = row["external_ct"]
    external = (
        None if sealed is None or key is None else key.open(_TABLE, _EXTERNAL, row["id"], sealed)
    )
    return SentReferral(
        referral_id=row["id"],
        case_id=row["case_id"],
        form=row["form"],
        kind=row["kind"],
        state=row["state"],
        version=row["version"],
        received_at=row["received_at"],
        changed_at=row["changed_at"],
        external_reference=external,
    )
