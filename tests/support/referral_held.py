"""What referral's ports in memory hold between them."""

from dataclasses import dataclass, field
from uuid import UUID

from common.events.case import CaseSnapshot
from hubformats.audit_record import AuditEntry
from referral.cases.model.case import Case, CaseOutline
from referral.cases.model.outcome import Outcome
from referral.cases.model.referral import Referral
from referral.intake.model.refused import IntakeMarks, RefusedIntake
from referral.vetoes.model import Lifting
from tests.support.answers import Answers
from tests.support.referral_look_fakes import Told


@dataclass
class Held:
    """What the fakes hold, so that a failed transaction can be undone."""

    cases: dict[UUID, Case] = field(default_factory=dict)
    outlines: dict[tuple[UUID, int], CaseOutline] = field(default_factory=dict)
    """Each version's, since a proof opens the outline of its own version."""
    referrals: dict[UUID, Referral] = field(default_factory=dict)
    outcomes: dict[tuple[UUID, str], Outcome] = field(default_factory=dict)
    waiting: dict[tuple[UUID, int], CaseSnapshot] = field(default_factory=dict)
    published: list[CaseSnapshot] = field(default_factory=list)
    refused: dict[UUID, "OpenAlarm"] = field(default_factory=dict)
    answers: Answers = field(default_factory=dict)
    entries: list[AuditEntry] = field(default_factory=list)
    liftings: dict[UUID, Lifting] = field(default_factory=dict)
    looks: list[Told] = field(default_factory=list)
    erased: set[UUID] = field(default_factory=set)
    """Cases and people whose keys were destroyed."""
    not_indexed: set[UUID] = field(default_factory=set)
    """Referrals from before references were indexed."""

    def copy(self) -> "Held":
        """The same things in containers of their own."""
        return Held(
            dict(self.cases),
            dict(self.outlines),
            dict(self.referrals),
            dict(self.outcomes),
            dict(self.waiting),
            list(self.published),
            dict(self.refused),
            dict(self.answers),
            list(self.entries),
            dict(self.liftings),
            list(self.looks),
            set(self.erased),
            set(self.not_indexed),
        )


@dataclass(frozen=True)
class OpenAlarm:
    """One refused intake."""

    agency: str
    shown: RefusedIntake
    marks: IntakeMarks
