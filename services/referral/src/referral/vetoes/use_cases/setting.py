"""Set a veto at once, and read those in force. Nothing here commits."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from common.access import Granted
from common.events.case import Marking
from hubformats.audit_record import Account, AuditEntry, Operation
from hubformats.ids import uuid7
from referral.cases.model.authority import AuthorisedCase
from referral.cases.use_cases import AgencyUnknown, CaseNotFound
from referral.context import AgencyDirectory, Context
from referral.vetoes.model import (
    RIGHTS,
    CaseName,
    CaseVetoes,
    NewVeto,
    NotEntitled,
    OfficersCase,
    ReceivedCase,
    VetoKind,
    VetoRules,
    as_seen,
    check_own,
    check_scope,
    may_see_lifting,
    rules_on,
    subject_of,
)
from referral.vetoes.ports import VetoTx


@dataclass(frozen=True, slots=True)
class VetoContext:
    """What these use cases are given once, by wiring."""

    context: Context
    agencies: AgencyDirectory
    rules: tuple[VetoRules, ...]

    @property
    def lapsed_shown(self) -> timedelta:
        """How long the asker reads that a request lapsed, by the newest rules of any area."""
        day = self.context.clock.now().date()
        return max(each.lapsed_shown for each in self.rules if each.effective_from <= day)

    def rules_for(self, area: str) -> VetoRules:
        """Give the rules of an area in force today."""
        return rules_on(self.rules, area, self.context.clock.now().date())


def set_veto(
    tx: VetoTx, granted: Granted, case: CaseName, new: NewVeto, given: VetoContext
) -> tuple[Marking, int]:
    """Set a veto and publish the case's next version in the same transaction.

    One that the agency has in force already is answered with itself, and nothing is published.
    Raises CaseNotFound, NotEntitled, AgencyUnknown, ReasonUnknown, VetoRefused, VersionMoved.
    """
    proof = case_of(tx, granted, case)
    if proof.relation not in RIGHTS[new.kind].sets:
        raise NotEntitled
    check_own(proof.relation, proof.agency, new.agency, new.category)
    if new.agency != "*" and not given.agencies.knows(new.agency):
        raise AgencyUnknown
    check_scope(new.kind, new.agency, new.category, about_somebody=new.role is not None)
    before = tx.cases.for_revision(proof)
    outline = before.outline
    rules = given.rules_for(outline.area)
    rules.check_setting(new.kind, new.grounds.code)
    veto = Marking(
        marking_id=uuid7(),
        kind=new.kind.value,
        agency=new.agency,
        category=new.category,
        subject=subject_of(outline, new.role),
    )
    known = outline.in_force_like(veto, proof.agency)
    version, why_not = proof.version, "in-force-already"
    if known is None:
        now, code, why_not = given.context.clock.now(), new.grounds.code, ""
        marked = before.mark(veto, now, proof.agency, code)
        tx.cases.replace(proof, before, marked)
        version = marked.outline.version
    entry = entry_of(given, granted, "alteration", proof, case, version)
    tx.record(
        replace(
            entry,
            operation="hold_set" if new.kind is VetoKind.LEGAL_HOLD else "alteration",
            account=Account(new.grounds.words),
            field_set=f"marking.{new.kind}",
            justification_code=new.grounds.code,
            rules=rules.version,
            reason_code=why_not,
            detail={"agency": new.agency, "category": new.category},
        )
    )
    return known or veto, version


def vetoes_of(tx: VetoTx, granted: Granted, case: CaseName, given: VetoContext) -> CaseVetoes:
    """Read the vetoes in force on a case for its sender or an officer, and record the read.

    Raises CaseNotFound.
    """
    proof = case_of(tx, granted, case)
    outline = tx.cases.outline(proof)
    liftings = (one for one in tx.liftings.of_case(proof) if may_see_lifting(proof, outline, one))
    found = CaseVetoes(proof.case_id, as_seen(proof, outline), tuple(liftings))
    entry = entry_of(given, granted, "consultation", proof, case, proof.version)
    tx.record(replace(entry, field_set="marking"))
    return found


def answer_again(tx: VetoTx, granted: Granted, case: CaseName, given: VetoContext) -> None:
    """Record that the stored answer to an earlier request leaves once more.

    Raises CaseNotFound.
    """
    proof = case_of(tx, granted, case)
    entry = entry_of(given, granted, "consultation", proof, case, proof.version)
    tx.record(replace(entry, reason_code="repeated-answer"))


def case_of(tx: VetoTx, granted: Granted, case: CaseName) -> AuthorisedCase:
    """Look a case up by the name that the caller uses. Raises CaseNotFound."""
    match case:
        case ReceivedCase(reference):
            proof = tx.cases.received(granted, reference)
        case OfficersCase(referral_id, recipient, reference):
            proof = (
                tx.cases.of_recipient(granted, recipient, reference)
                if referral_id is None
                else tx.cases.of_referral(granted, referral_id)
            )
        case UUID():
            found = tx.referrals.own(granted, case)
            proof = None if found is None else found.case
    if proof is None:
        raise CaseNotFound
    return proof


def entry_of(
    given: VetoContext,
    granted: Granted,
    operation: Operation,
    proof: AuthorisedCase,
    case: CaseName,
    version: int,
) -> AuditEntry:
    """Make the entry of something done with a case's vetoes, by the name that the caller used."""
    name = case.referral_id if isinstance(case, OfficersCase) else case
    if isinstance(name, UUID):
        return given.context.entry(operation, granted, proof.case_id, name, version)
    entry = given.context.entry(operation, granted, proof.case_id, proof.case_id, version)
    return replace(entry, resource_type="case", resource_id=entry.case_references[0])
