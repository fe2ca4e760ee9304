"""Keeps decisions with their alternatives, sealed."""

from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select

from common.database import Prepared, Unit
from hubformats.canonical import canonical
from sharing.decisions.model import SharingDecision
from sharing.tables import CaseKeys, DecisionRow, table_of

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

    def add(
        self, decision_id: UUID, case_id: UUID, version: int, decision: SharingDecision
    ) -> None:
        """Number it behind the decisions there already are on this version."""
        key = self._keys.of_case(case_id)
        ordinal = _COUNT.run(self._conn, {"b_case": case_id, "b_version": version}).scalar_one()
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
            "detail_ct": key.seal("decision", "detail_ct", decision_id, _detail(decision)),
        }
        _NEW.run(self._conn, row)


def _detail(decision: SharingDecision) -> str:
    """The alternatives, recipient by recipient.

    So the decision can be explained and run again.
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
    return canonical(told).decode()
