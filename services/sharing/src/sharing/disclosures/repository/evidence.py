"""The one comparison that everything opened of a disclosure passes.

What stands in the clear must be what the sealed decision and the log's record say.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hubformats.audit_record import content_commitment
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.model.evidence import Evidence


@dataclass(frozen=True, slots=True)
class SealedDecision:
    """What a decision says of itself where it is sealed: of which case, and who by which clauses.

    The referrer and the place are missing in what was sealed before 30 November 2026.
    """

    case_id: UUID | None
    version: int | None
    referrer: str | None
    clauses: Mapping[str, frozenset[str]]


def decision_in(text: str) -> SealedDecision:
    """Read what `decisions.repository` sealed."""
    told: Any = json.loads(text)
    head: Mapping[str, Any] = {} if isinstance(told, list) else told
    recipients = told if isinstance(told, list) else told["recipients"]
    clauses = {
        each["recipient"]: frozenset(clause for _, _, clause in each["permitted"])
        for each in recipients
    }
    case = head.get("case")
    return SealedDecision(
        None if case is None else UUID(case), head.get("version"), head.get("referrer"), clauses
    )


def agree(
    disclosure: Disclosure, evidence: Evidence, decision: SealedDecision, referrer: str | None
) -> bool:
    """Tell whether the disclosure is the one that was decided on, written to the log and sealed.

    Compares recipient, clause, case and version with the sealed decision, and delivery, recipient,
    clause and content with the log's record. That the leaf is of this record is `check_proof`'s.
    `referrer` is who the case says referred it at the decision's version, None when it has moved.
    """
    return (
        disclosure.clause in decision.clauses.get(disclosure.recipient, ())
        and decision.case_id in {None, disclosure.case_id}
        and decision.version in {None, disclosure.snapshot_version}
        and (None in {decision.referrer, referrer} or decision.referrer == referrer)
        and _recorded(disclosure, evidence)
    )


def _recorded(disclosure: Disclosure, evidence: Evidence) -> bool:
    record = json.loads(evidence.record)
    committed = content_commitment(evidence.content_salt, evidence.content)
    return hmac.compare_digest(committed, disclosure.commitment) and [
        record.get(name) for name in ("dl", "rcp", "cl", "dc")
    ] == [str(disclosure.id), disclosure.recipient, disclosure.clause, committed]
