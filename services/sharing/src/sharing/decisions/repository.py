"""Keeps decisions with their alternatives, sealed."""

from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select

from common.database import Prepared, Unit
from common.events.case import CaseSnapshot
from hubformats.canonical import canonical
from sharing.case_keys import CaseKeys
from sharing.decisions.model import SharingDecision
from sharing.tables import DecisionRow, table_of

_DECISION = table_of(DecisionRow)
_COUNT: Final = Prepared(
    select(func.count())
    .select_from(_DECISION)
    .where(
        _DECISION.c.case_id == bindparam("b_case"),
        _DECISION.c.snapshot_version == bindparam("b_version"),
    )
)
_NEW: Final = Prepared(insert(_DECISION), *_DECISION.c.keys())


class SqlDecisions:
    """Fulfils `sharing.decisions.ports.Decisions` inside one unit of work."""

    def __init__(self, unit: Unit, keys: CaseKeys) -> None:
        self._conn = unit.connection
        self._keys = keys

    def add(self, decision_id: UUID, snapshot: CaseSnapshot, decision: SharingDecision) -> None:
        """Number it behind the decisions there already are on this version."""
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


def _detail(snapshot: CaseSnapshot, decision: SharingDecision) -> str:
    """Whose case it is, and the alternatives, recipient by recipient.

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
