"""What sharing's fakes keep in memory."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common.events import Event
from common.events.case import CaseSnapshot
from hubformats.audit_record import AuditEntry
from sharing.cases.model import CaseFile, keeps_out
from sharing.decisions.model import SharingDecision, Undecided
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.model.evidence import Evidence
from sharing.inbox.model import Delivery
from tests.support.look_fakes import KeptLooks
from tests.support.signed_fakes import FakeKeyUses


@dataclass(slots=True)
class Kept:
    """Everything that a store holds; copied before each transaction, so that it can be undone."""

    cases: dict[UUID, CaseFile] = field(default_factory=dict)
    references: dict[UUID, str] = field(default_factory=dict)
    snapshots: dict[UUID, CaseSnapshot] = field(default_factory=dict)
    held: set[UUID] = field(default_factory=set)
    skipped: dict[UUID, dict[str, datetime]] = field(default_factory=dict)
    decisions: list[tuple[UUID, UUID, int, SharingDecision]] = field(default_factory=list)
    undecided: dict[tuple[UUID, int], tuple[CaseSnapshot, Undecided]] = field(default_factory=dict)
    again: dict[tuple[UUID, int], datetime] = field(default_factory=dict)
    disclosures: dict[UUID, Disclosure] = field(default_factory=dict)
    evidence: dict[UUID, Evidence] = field(default_factory=dict)
    inbox: dict[str, list[Delivery]] = field(default_factory=dict)
    confirmed: list[UUID] = field(default_factory=list)
    stopped: list[UUID] = field(default_factory=list)
    """Messages whose place a stop took, if they had not left."""
    refused: set[UUID] = field(default_factory=set)
    """Records that the log has refused."""
    records: list[AuditEntry] = field(default_factory=list)
    told: list[tuple[UUID, Event]] = field(default_factory=list)
    signed: FakeKeyUses = field(default_factory=FakeKeyUses)
    looks: KeptLooks = field(default_factory=KeptLooks)

    def kept_out(self, case: CaseFile) -> bool:
        """Whether a veto on the case keeps its own referrer out."""
        snapshot = self.snapshots.get(case.case_id)
        return snapshot is not None and keeps_out(snapshot, case.referrer)
