"""Sent referrals in the database: one query, in which the agency always stands."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, true, update

from common.access import Granted
from common.database import Database, Unit
from common.sealed import RowAltered, SealRefused, SubjectKey, SubjectKeys
from referral.sent.model import IndexedBatch, Place, SentPage, SentReferral, Wanted
from referral.tables import (
    SUBJECT_KEY,
    CaseFile,
    ReferralRow,
    external_index,
    not_barred,
    table_of,
)

_CASE: Final = table_of(CaseFile)
_REFERRAL: Final = table_of(ReferralRow)
_TABLE, _EXTERNAL = "referral", "external_ct"
"""What the seal is bound to; they stay when a table or column is renamed."""
BATCH: Final = 200
"""Older referrals indexed in one transaction."""


class SqlSent:
    """Fulfils `sent.ports.Sent` inside one unit of work."""

    def __init__(
        self,
        unit: Unit,
        subject_keys: SubjectKeys,
        index_key: bytes,
        demand_sender: Callable[[SubjectKey | None, UUID, bytes, UUID, str], None],
    ) -> None:
        """`demand_sender` compares a row's referral and agency with its case, key first."""
        self._conn = unit.connection
        self._demand_sender = demand_sender
        self._subject_keys = subject_keys
        self._index_key = index_key

    def page(self, granted: Granted, wanted: Wanted) -> SentPage:
        """Find by agency first; a reference by its blind index."""
        query = (
            select(_REFERRAL, _CASE.c.version, _CASE.c.head_ct)
            .join(_CASE, _CASE.c.id == _REFERRAL.c.case_id)
            .where(
                _REFERRAL.c.agency == granted.principal.agency,
                not_barred(_REFERRAL.c.case_id, granted.principal.agency),
                *self._conditions(wanted),
            )
            .order_by(_REFERRAL.c.changed_at, _REFERRAL.c.id)
            .limit(wanted.limit + 1)
        )
        rows = self._conn.execute(query).mappings().all()
        shown = rows[: wanted.limit]
        keys = self._subject_keys.load(self._conn, {row["case_id"] for row in shown})
        agency = granted.principal.agency
        items = tuple(
            _item(row, keys.get(row["case_id"]))
            for row in shown
            if self._is_senders(agency, row, keys.get(row["case_id"]))
        )
        return SentPage(items, more=len(rows) > wanted.limit)

    def _is_senders(self, agency: str, row: Any, key: SubjectKey | None) -> bool:
        """Tell whether a row says what its case does; left out, it hides none of the others.

        An erased case says nothing any more, so its row is believed. A key that is gone without
        having been destroyed was taken away.
        """
        try:
            if key is not None or not self._is_erased(row["case_id"]):
                self._demand_sender(key, row["case_id"], row["head_ct"], row["id"], agency)
        except RowAltered:
            return False
        return True

    def _is_erased(self, case_id: UUID) -> bool:
        gone = SUBJECT_KEY.c.subject_id == case_id, SUBJECT_KEY.c.destroyed_at.is_not(None)
        return self._conn.execute(select(SUBJECT_KEY.c.version).where(*gone)).first() is not None

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


_NOT_INDEXED: Final = (
    _REFERRAL.c.external_ct.is_not(None),
    _REFERRAL.c.reference_bi.is_(None),
    _not_erased(),
)
_INDEX: Final = (
    update(_REFERRAL)
    .where(_REFERRAL.c.id == bindparam("b_id"), *_NOT_INDEXED)
    .values(reference_bi=bindparam("b_index"))
)


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


class SqlReferences:
    """Fulfils `sent.ports.References`; reads first, so that nothing to do writes nothing."""

    def __init__(self, database: Database, subject_keys: SubjectKeys, index_key: bytes) -> None:
        self._database = database
        self._subject_keys = subject_keys
        self._index_key = index_key

    async def index_some(self, after: UUID | None) -> IndexedBatch:
        """Open each under its case's key, and write the index unless the key is gone by then."""
        last, found, unread = await self._database.read(lambda conn: self._missing(conn, after))
        if found:
            await self._database.write(lambda unit: unit.connection.execute(_INDEX, found))
        return IndexedBatch(last, len(found), unread)

    def _missing(
        self, conn: Connection, after: UUID | None
    ) -> tuple[UUID | None, list[dict[str, Any]], int]:
        query = (
            select(_REFERRAL.c.id, _REFERRAL.c.case_id, _REFERRAL.c.external_ct)
            .where(*_NOT_INDEXED, true() if after is None else _REFERRAL.c.id > after)
            .order_by(_REFERRAL.c.id)
            .limit(BATCH)
        )
        rows = conn.execute(query).all()
        keys = self._subject_keys.load(conn, {row.case_id for row in rows})
        found, unread = [], 0
        for row in rows:
            key = keys.get(row.case_id)
            if key is None:
                continue
            try:
                external = key.open(_TABLE, _EXTERNAL, row.id, row.external_ct)
            except SealRefused:
                unread += 1
                continue
            index = external_index(self._index_key, external)
            found.append({"b_id": row.id, "b_index": index})
        return (rows[-1].id if rows else None), found, unread
