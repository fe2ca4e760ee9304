"""Keeps the cases in the database, sealing on the way in and opening on the way out."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    true,
    update,
)

from common import topics
from common.access import Granted
from common.database import Prepared, Unit, among
from common.events.case import CaseSnapshot
from common.sealed import RowAltered, SealRefused
from hubformats.canonical import canonical, parse
from hubformats.ids import uuid7
from sharing.case_keys import CaseKeys
from sharing.cases.model import (
    THIRD_PARTY,
    AuthorisedCase,
    CaseFile,
    Opens,
    Reason,
    Relation,
    authorised_case,
    keeps_out,
)
from sharing.cases.ports import Withheld
from sharing.context import SERVICE, ContentGone
from sharing.look_tables import UndecidedRow
from sharing.tables import (
    CASE_READ,
    SKIPPED_SUSPENDED,
    CaseRow,
    RepositoryDeps,
    referrer_not_barred,
    table_of,
)

_CASE = table_of(CaseRow)
_UNDECIDED = table_of(UndecidedRow)

# Made once: building a statement costs several times what running it does.
_CASES: Final = CASE_READ
_THIS_CASE: Final = _CASE.c.case_id == bindparam("b_case")
_BY_ID: Final = Prepared(_CASES.where(_THIS_CASE))
_BY_IDS: Final = Prepared(lambda dialect: _CASES.where(among(_CASE.c.case_id, "ids", dialect)))
_HELD: Final = Prepared(_CASES.where(_THIS_CASE).with_for_update())
_BY_REFERENCE: Final = Prepared(
    _CASES.where(
        _CASE.c.referrer == bindparam("b_agency"),
        _CASE.c.referrer_reference == bindparam("b_reference"),
    )
)
_REFERRED: Final = Prepared(
    _CASES.where(
        _CASE.c.referrer == bindparam("b_agency"),
        _CASE.c.referrer_reference == bindparam("b_reference"),
        func.coalesce(_CASE.c.vetting["source"].as_string(), "") != THIRD_PARTY,
        referrer_not_barred(),
    )
)
_SNAPSHOT: Final = Prepared(select(_CASE.c.key_id, _CASE.c.snapshot_ct).where(_THIS_CASE))
_NEW: Final = Prepared(insert(_CASE), *_CASE.c.keys())
_CHANGED: Final = Prepared(
    update(_CASE).where(_THIS_CASE), *(column.key for column in _CASE.c if not column.primary_key)
)
_EMPTIED: Final = Prepared(update(_CASE).where(_THIS_CASE), "key_id", "snapshot_ct", "row_seal")
_SKIPPED: Final = Prepared(
    select(SKIPPED_SUSPENDED.c.agency).where(SKIPPED_SUSPENDED.c.case_id == bindparam("b_case"))
)
_WAITS_OF: Final = Prepared(
    select(_UNDECIDED.c.key_id).where(_UNDECIDED.c.case_id == bindparam("b_case")).limit(1)
)


class SqlCases:
    """Fulfils `sharing.cases.ports.Cases` inside one unit of work."""

    def __init__(self, unit: Unit, deps: RepositoryDeps, keys: CaseKeys) -> None:
        self._unit = unit
        self._conn = unit.connection
        self._deps = deps
        self._keys = keys
        self._rows = deps.case_rows(self._conn)

    def find(self, case_id: UUID) -> CaseFile | None:
        """Read the row without its sealed part."""
        return self._one(_BY_ID, b_case=case_id)

    def hold(self, case_id: UUID) -> CaseFile | None:
        """Lock it on PostgreSQL; SQLite's writer has the whole file."""
        return self._one(_HELD, b_case=case_id)

    def by_reference(self, agency: str, reference: str) -> CaseFile | None:
        """Ask with one predicate, so that another's case and none at all are the same work."""
        return self._one(_BY_REFERENCE, b_agency=agency, b_reference=reference)

    def authorised(self, granted: Granted, case_id: UUID, reason: Reason) -> AuthorisedCase | None:
        """Look the case up for this service alone."""
        if granted.principal.agency != SERVICE:
            return None
        found = self._one(_BY_ID, b_case=case_id)
        return None if found is None else authorised_case(found, Relation.OWN_WORK, reason)

    def authorised_by_reference(self, granted: Granted, reference: str) -> AuthorisedCase | None:
        """Look the case up by the caller's agency and its own reference."""
        found = self._one(_REFERRED, b_agency=granted.principal.agency, b_reference=reference)
        return None if found is None else authorised_case(found, Relation.REFERRER)

    def snapshot(self, authorised: AuthorisedCase) -> CaseSnapshot:
        """Open it: the snapshot of the case as its row says, of the same version and referrer.

        Raises NotAllowed, ContentGone when the key is gone, RowAltered.
        """
        authorised.require(Opens.SNAPSHOT)
        case_id = authorised.case.case_id
        row = _SNAPSHOT.run(self._conn, {"b_case": case_id}).first()
        if row is None or not row.snapshot_ct:
            raise ContentGone("no-snapshot")
        key = self._keys.get(row.key_id)
        try:
            text = key.open("case_file", "snapshot_ct", case_id, row.snapshot_ct)
        except SealRefused:
            raise self._deps.seals.case.altered(case_id) from None
        found, case = CaseSnapshot.model_validate(parse(text)), authorised.case
        said = (found.case_id, found.version, found.referrer_agency, found.source)
        if said != (case_id, case.version, case.referrer, case.source):
            raise self._deps.seals.case.altered(case_id)
        return found

    def named(self, case_ids: Collection[UUID]) -> Mapping[UUID, CaseFile]:
        """Read them in one statement, each for itself."""
        found: dict[UUID, CaseFile] = {}
        for row in _BY_IDS.run(self._conn, {"ids": list(case_ids)}):
            with suppress(RowAltered):  # met and alarmed; it must not hide the others
                found[row.case_id] = _case(self._rows.checked(row))
        return found

    def keep(self, snapshot: CaseSnapshot, reference: str) -> None:
        """Insert or replace, sealed whole under the case's key."""
        case_id = snapshot.case_id
        known = self._row(_BY_ID, b_case=case_id)
        key = self._keys.ensure(known.key_id if known else self._keys.meant(case_id))
        values: dict[str, Any] = {
            "case_id": case_id,
            "key_id": key.subject_id,
            "version": snapshot.version,
            "area": snapshot.area,
            "referrer": snapshot.referrer_agency,
            "referrer_reference": reference,
            "vetting": _vetting(snapshot, _markings(known) if known else {}),
            "snapshot_ct": key.seal(
                "case_file", "snapshot_ct", case_id, canonical(snapshot.data()).decode()
            ),
            "changed_at": self._deps.clock.now(),
        }
        values["row_seal"] = self._rows.seal(values)
        if known is None:
            _NEW.run(self._conn, values)
        else:
            del values["case_id"]
            _CHANGED.run(self._conn, {"b_case": case_id, **values})

    def forget(self, case_id: UUID, subject_id: UUID) -> None:
        """Erase by destroying keys: the rows stay for the counts, nothing in them opens again."""
        self._deps.trail.destroy_subject(self._unit, subject_id)
        row = self._row(_BY_ID, b_case=case_id)
        if row is not None:
            self._keys.destroy(row.key_id)
            new: dict[str, Any] = {"key_id": uuid7()}
            new["row_seal"] = self._rows.seal_again(row, new)
            _EMPTIED.run(self._conn, {"b_case": case_id, "snapshot_ct": b"", **new})
        self.keep_skipped_suspended(case_id, ())

    def held(self, case_id: UUID) -> bool:
        """Tell whether a message from referral about the case waits, here or in quarantine.

        Nobody else's can hold it, whatever key they choose.
        """
        if _WAITS_OF.run(self._conn, {"b_case": case_id}).first() is not None:
            return True
        return self._deps.inbox.held(
            self._conn, key=str(case_id), topics=(topics.CASE, topics.CASE_BULK)
        )

    def skipped_suspended(self, case_id: UUID) -> frozenset[str]:
        """Read them by the case."""
        return frozenset(_SKIPPED.run(self._conn, {"b_case": case_id}).scalars())

    def keep_skipped_suspended(self, case_id: UUID, agencies: Collection[str]) -> None:
        """Write the difference only."""
        known = self.skipped_suspended(case_id)
        if gone := known.difference(agencies):
            self._conn.execute(
                delete(SKIPPED_SUSPENDED).where(
                    SKIPPED_SUSPENDED.c.case_id == case_id, SKIPPED_SUSPENDED.c.agency.in_(gone)
                )
            )
        since = self._deps.clock.now()
        new = [
            {"agency": agency, "case_id": case_id, "since": since}
            for agency in sorted(agencies)
            if agency not in known
        ]
        if new:
            self._conn.execute(insert(SKIPPED_SUSPENDED), new)

    def _one(self, query: Prepared, **values: object) -> CaseFile | None:
        row = self._row(query, **values)
        return None if row is None else _case(row)

    def _row(self, query: Prepared, **values: object) -> Any:
        row = query.run(self._conn, values).first()
        return None if row is None else self._rows.checked(row)


class SqlCaseViews:
    """Fulfils `sharing.cases.ports.CaseViews` on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection

    def withheld_while_suspended(self) -> tuple[Withheld, ...]:
        """Count by agency."""
        query = select(
            SKIPPED_SUSPENDED.c.agency, func.count(), func.min(SKIPPED_SUSPENDED.c.since)
        )
        rows = self._conn.execute(
            query.group_by(SKIPPED_SUSPENDED.c.agency).order_by(SKIPPED_SUSPENDED.c.agency)
        )
        return tuple(Withheld(*row) for row in rows)

    def that_skipped(
        self, agencies: Collection[str], after: UUID | None, limit: int
    ) -> tuple[UUID, ...]:
        """Name each case once, whichever of the agencies it is."""
        case_id = SKIPPED_SUSPENDED.c.case_id
        here = and_(
            SKIPPED_SUSPENDED.c.agency.in_(agencies), true() if after is None else case_id > after
        )
        query = select(case_id).where(here).distinct().order_by(case_id).limit(limit)
        return tuple(self._conn.execute(query).scalars())


def _case(row: Any) -> CaseFile:
    return CaseFile(
        row.case_id,
        row.version,
        row.referrer,
        tuple(UUID(one) for one in row.vetting["subjects"]),
        _markings(row),
        row.vetting.get("source"),
    )


def _vetting(snapshot: CaseSnapshot, since: Mapping[UUID, int]) -> dict[str, Any]:
    return {
        "subjects": [str(subject.subject_id) for subject in snapshot.subjects],
        "markings": {
            str(marking.marking_id): since.get(marking.marking_id, snapshot.version)
            for marking in snapshot.markings
        },
        "source": snapshot.source,
        "barred": "referrer" if keeps_out(snapshot, snapshot.referrer_agency) else "",
        "urgent": snapshot.urgent,
    }


def _markings(row: Any) -> Mapping[UUID, int]:
    """Return each veto with its first version.

    An older row is a list. Any veto on it may be as new as the row itself.
    """
    known = row.vetting["markings"]
    first = known if isinstance(known, dict) else dict.fromkeys(known, row.version)
    return {UUID(one): version for one, version in first.items()}
