"""Counts what waits for its entry in the audit log, by the index of what has not left."""

from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, false, func, select

from common.access import Granted
from common.database import Prepared
from sharing.cases.model import THIRD_PARTY
from sharing.delays.model import Delayed, Delays
from sharing.disclosures.model.disclosure import State
from sharing.tables import CaseRow, DisclosureRow, referrer_not_barred, table_of

_CASE = table_of(CaseRow)
_DISCLOSURE = table_of(DisclosureRow)
_URGENT: Final = func.coalesce(_CASE.c.vetting["urgent"].as_boolean(), false())


def _counting(*side: ColumnElement[bool]) -> Select[tuple[bool, int, object]]:
    return (
        select(_URGENT, func.count(), func.min(_DISCLOSURE.c.decided_at))
        .join(_CASE, _CASE.c.case_id == _DISCLOSURE.c.case_id)
        .where(_DISCLOSURE.c.state == State.AWAITING_RECEIPT.value, *side)
        .group_by(_URGENT)
    )


# Made once: every renewal of a work list asks.
_RECEIVED: Final = Prepared(_counting(_DISCLOSURE.c.recipient == bindparam("b_agency")))
_SENT: Final = Prepared(
    _counting(
        _CASE.c.referrer == bindparam("b_agency"),
        func.coalesce(_CASE.c.vetting["source"].as_string(), "") != THIRD_PARTY,
        referrer_not_barred(),
    )
)


class SqlDelayViews:
    """Fulfils `sharing.delays.ports.DelayViews` on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection

    def delays(self, granted: Granted) -> Delays:
        """Count by the caller's agency, once as recipient and once as referrer."""
        agency = granted.principal.agency
        return Delays(self._counted(_RECEIVED, agency), self._counted(_SENT, agency))

    def _counted(self, query: Prepared, agency: str) -> Delayed:
        rows = [tuple(row) for row in query.run(self._conn, {"b_agency": agency})]
        counts = {bool(urgent): count for urgent, count, _ in rows}
        oldest = min((since for _, _, since in rows), default=None)
        return Delayed(counts.get(True, 0), counts.get(False, 0), oldest)
