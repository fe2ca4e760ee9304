"""What sharing asks of others, in memory: the agreement, and the log's promises.

Directory and release checks are `Parties` and `Checks` of the harness, which tests change at will.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from common.audit_trail.trail import PROMISE_TERM
from common.events.case import CaseSnapshot
from hubformats.agency_events import Promise
from hubformats.clock import Clock
from sharing.agreements.model import RULE_FAILED, Agreement, Question, Ruling, child_present
from sharing.agreements.repository import CedarRules, read_bundle
from sharing.directory.model import Agency
from tests.support.sharing_fakes import FakeStore

_ENFORCEMENT: Final = {"police", "court_liaison", "prison", "probation"}
_APPLIES: Final[Mapping[str, Callable[[CaseSnapshot], bool]]] = {
    "NM-1": lambda snapshot: snapshot.urgent,
    "NM-2": lambda snapshot: snapshot.risk.level == "high" and not snapshot.provisional,
    "NM-3": child_present,
    "NM-4": lambda snapshot: snapshot.consent.agrees_to_support == "yes",
}
_VETOES: Final[Mapping[str, Callable[[CaseSnapshot, Question], bool]]] = {
    "must-not-disclose": lambda _, asked: "must_not_disclose" in asked.markings,
    "location-shield": lambda _, asked: asked.location_shielded,
    "conflict": lambda _, asked: "conflict" in asked.markings,
    "employee-subject": lambda _, asked: "employee_subject" in asked.markings,
    "informant": lambda _, asked: "informant" in asked.markings,
    "legal-hold": lambda _, asked: "legal_hold" in asked.markings,
    "own-facts": lambda snapshot, asked: asked.recipient.id == snapshot.referrer_agency,
    "informant-never": lambda _, asked: _category(asked) == "informant_identity",
    "immigration-firewall": lambda _, asked: (
        _category(asked) == "immigration_status" and asked.recipient.type in _ENFORCEMENT
    ),
    "suspended": lambda _, asked: asked.recipient.suspended,
}


def northmoor() -> Agreement:
    """The terms of the shipped agreement."""
    return CedarRules(read_bundle("northmoor")).agreement


@dataclass
class FakeRules:
    """Fulfils `agreements.ports.Rules`: Northmoor's clauses and vetoes, said once more in Python."""

    agreement: Agreement
    broken: bool = False

    def rule(
        self, snapshot: CaseSnapshot, asked: Sequence[Question], agencies: Sequence[Agency]
    ) -> tuple[Ruling, ...]:
        if self.broken:
            return tuple(Ruling(permitted=False, reasons=(RULE_FAILED,)) for _ in asked)
        known = {agency.id for agency in agencies} & set(self.agreement.terms.parties)
        return tuple(self._ruling(snapshot, question, known) for question in asked)

    def _ruling(self, snapshot: CaseSnapshot, asked: Question, known: set[str]) -> Ruling:
        vetoes = sorted(name for name, holds in _VETOES.items() if holds(snapshot, asked))
        if vetoes:
            return Ruling(permitted=False, reasons=tuple(vetoes))
        clauses = [
            clause.id
            for clause in self.agreement.terms.clause
            if asked.recipient.id in known
            and asked.recipient.type in clause.recipient_types
            and _category(asked) in clause.categories
            and _APPLIES[clause.id](snapshot)
        ]
        return Ruling(permitted=bool(clauses), reasons=tuple(sorted(clauses)))


def _category(asked: Question) -> str:
    return asked.subject_category.category


class FakePromises:
    """Fulfils `disclosures.ports.Promises` for the records of one store's disclosures."""

    def __init__(self, store: FakeStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def promise(self, record_id: UUID) -> Promise:
        kept = self._store.kept
        records = [one.record_id for one in kept.disclosures.values()]
        if record_id not in records or record_id in kept.refused:
            raise LookupError("no such record")
        place = records.index(record_id) + 1
        due = self._clock.now() + PROMISE_TERM
        return Promise(src="sharing", ep=1, seq=place, h="h", due=due)
