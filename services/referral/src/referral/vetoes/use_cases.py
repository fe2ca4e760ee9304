"""Set a veto at once; ask to lift one, and confirm or refuse that. Nothing here commits."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from common.access import Granted
from common.events.case import Marking
from hubformats.audit_record import Account, Actor, AuditEntry, Operation
from hubformats.ids import uuid7
from referral.cases.model.authority import AuthorisedCase, Relation
from referral.cases.model.case import CaseOutline
from referral.cases.use_cases import AgencyUnknown, CaseNotFound
from referral.context import AgencyDirectory, Context, actor_of
from referral.vetoes.model import (
    RIGHTS,
    AlreadyAsked,
    CaseName,
    CaseVetoes,
    Grounds,
    Lifting,
    LiftingNotFound,
    LiftingOver,
    LiftState,
    LiftStep,
    NewVeto,
    NotEntitled,
    OfficersCase,
    Party,
    ReceivedCase,
    ShownLifting,
    VetoKind,
    VetoNotFound,
    VetoRefused,
    VetoRules,
    check_own,
    check_scope,
    rules_on,
)
from referral.vetoes.ports import VetoTx

WAITING_SHOWN: Final = 100
"""Liftings on one list; the oldest come first, so none is out of reach for long."""


@dataclass(frozen=True, slots=True)
class VetoContext:
    """What these use cases are given once, by wiring."""

    context: Context
    agencies: AgencyDirectory
    rules: tuple[VetoRules, ...]

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
    proof = _found(tx, granted, case)
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
        subject=_subject(outline, new.role),
    )
    known = outline.in_force_like(veto, proof.agency)
    version, why_not = proof.version, "in-force-already"
    if known is None:
        marked, why_not = before.mark(veto, given.context.clock.now(), proof.agency), ""
        tx.cases.replace(proof, before, marked)
        version = marked.outline.version
    entry = _entry(given, granted, "alteration", proof, case, version)
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
    proof = _found(tx, granted, case)
    outline = tx.cases.outline(proof)
    liftings = (one for one in tx.liftings.of_case(proof) if _may_see(proof, outline, one))
    found = CaseVetoes(proof.case_id, _as_seen(proof, outline), tuple(liftings))
    entry = _entry(given, granted, "consultation", proof, case, proof.version)
    tx.record(replace(entry, field_set="marking"))
    return found


def ask_lifting(
    tx: VetoTx,
    granted: Granted,
    case: CaseName,
    veto_id: UUID,
    grounds: Grounds,
    given: VetoContext,
) -> Lifting:
    """Ask to lift a veto, which stays until a second person has confirmed.

    A privacy officer asks where the sender cannot, above all where it is barred itself; one whose
    own agency sent the case asks as its sender.
    Raises CaseNotFound, VetoNotFound, NotEntitled, AlreadyAsked, ReasonUnknown.
    """
    proof = _found(tx, granted, case)
    outline = tx.cases.outline(proof)
    veto = _as_seen(proof, outline).veto(veto_id)
    if veto is None:
        raise VetoNotFound
    kind, now = VetoKind(veto.kind), given.context.clock.now()
    if proof.relation not in RIGHTS[kind].asks or _is_officer_of_sender(proof, outline):
        raise NotEntitled
    rules = given.rules_for(outline.area)
    rules.check_lifting(grounds.code)
    if any(one.veto_id == veto_id and one.waits(now) for one in tx.liftings.of_case(proof)):
        raise AlreadyAsked
    lifting = Lifting(
        id=uuid7(),
        case_id=proof.case_id,
        veto_id=veto_id,
        kind=kind,
        asked_by=party_of(granted),
        grounds=grounds,
        asked_at=now,
        lapses_at=now + rules.waits,
        asked_as=proof.relation,
    )
    tx.liftings.add(proof, lifting)
    tx.second_looks.file(lifting, "veto_lifting_asked", grounds.code, now)
    tx.record(_of_lifting(given.context, granted, proof, lifting, grounds))
    return lifting


def answer_again(tx: VetoTx, granted: Granted, case: CaseName, given: VetoContext) -> None:
    """Record that the stored answer to an earlier request leaves once more.

    Raises CaseNotFound.
    """
    proof = _found(tx, granted, case)
    entry = _entry(given, granted, "consultation", proof, case, proof.version)
    tx.record(replace(entry, reason_code="repeated-answer"))


def waiting_liftings(tx: VetoTx, granted: Granted, given: VetoContext) -> tuple[ShownLifting, ...]:
    """List what waits for a second person and is the caller's to see. One entry in the log."""
    now = given.context.clock.now()
    found = tuple(
        shown
        for lifting_id in tx.liftings.waiting(granted, now, WAITING_SHOWN)
        if (shown := _shown_if_there(tx, granted, lifting_id)) is not None
    )
    references = {
        given.context.reference(granted.principal.agency, each.lifting.case_id) for each in found
    }
    tx.record(
        AuditEntry(
            operation="listing",
            outcome="done",
            actor=actor_of(granted),
            case_references=tuple(sorted(references)),
            resource_type="veto-lifting",
            count=len(found),
        )
    )
    return found


def read_lifting(
    tx: VetoTx, granted: Granted, lifting_id: UUID, given: VetoContext
) -> ShownLifting:
    """Read one lifting with who asked and why, and record the read.

    Raises LiftingNotFound.
    """
    shown = _shown(tx, granted, lifting_id)
    lifting, context = shown.lifting, given.context
    version = shown.outline.version
    entry = context.entry("consultation", granted, lifting.case_id, lifting.id, version)
    tx.record(replace(entry, resource_type="veto-lifting"))
    return shown


def settle_lifting(
    tx: VetoTx,
    granted: Granted,
    lifting_id: UUID,
    step: LiftStep,
    grounds: Grounds,
    given: VetoContext,
) -> tuple[Lifting, int]:
    """Confirm a lifting, which publishes the case's next version, or refuse it.

    Returns the lifting and the case's version. Raises LiftingNotFound, LiftingOver, NotEntitled,
    SecondPersonNeeded, ReasonUnknown, VersionMoved.
    """
    proof, lifting = _related(tx, granted, lifting_id)
    if not _may_settle(proof, lifting):
        raise NotEntitled
    context, outline = given.context, tx.cases.outline(proof)
    given.rules_for(outline.area).check_settling(step, grounds.code)
    now, version = context.clock.now(), proof.version
    settled = lifting.settle(step, party_of(granted), now)
    if step is LiftStep.CONFIRM:
        version = _lift(tx, proof, lifting, now)
        tx.second_looks.file(settled, "veto_lifted", grounds.code, now)
    tx.liftings.replace(proof, lifting, settled)
    tx.record(_of_lifting(context, granted, proof, settled, grounds, version))
    return settled, version


def party_of(granted: Granted) -> Party:
    """Name the caller as the audit log does."""
    who = actor_of(granted)
    return Party(who.subject, who.agency, who.role)


def _lift(tx: VetoTx, proof: AuthorisedCase, lifting: Lifting, now: datetime) -> int:
    case = tx.cases.for_revision(proof)
    if case.outline.veto(lifting.veto_id) is None:
        raise LiftingOver
    lifted = case.lift(lifting.veto_id, now)
    tx.cases.replace(proof, case, lifted)
    return lifted.outline.version


def _found(tx: VetoTx, granted: Granted, case: CaseName) -> AuthorisedCase:
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


def _entry(
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


def _as_seen(proof: AuthorisedCase, outline: CaseOutline) -> CaseOutline:
    """Leave out of a sender's sight what another agency or an officer has set."""
    if proof.relation is Relation.PRIVACY_OFFICER:
        return outline
    seen = tuple(
        each for each in outline.markings if outline.may_see(proof.agency, each.marking_id)
    )
    return replace(outline, markings=seen)


def _may_see(proof: AuthorisedCase, outline: CaseOutline, lifting: Lifting) -> bool:
    if proof.relation is Relation.PRIVACY_OFFICER:
        return True
    return outline.may_see(proof.agency, lifting.veto_id)


def _is_officer_of_sender(proof: AuthorisedCase, outline: CaseOutline) -> bool:
    senders = {origin.agency for origin in outline.origins}
    return proof.relation is Relation.PRIVACY_OFFICER and proof.agency in senders


def _related(tx: VetoTx, granted: Granted, lifting_id: UUID) -> tuple[AuthorisedCase, Lifting]:
    case_id = tx.liftings.case_of(lifting_id)
    proof = None if case_id is None else tx.cases.authorised(granted, case_id)
    lifting = None if proof is None else tx.liftings.get(proof, lifting_id)
    if proof is None or lifting is None or not _may_see(proof, tx.cases.outline(proof), lifting):
        raise LiftingNotFound
    return proof, lifting


def _shown(tx: VetoTx, granted: Granted, lifting_id: UUID) -> ShownLifting:
    proof, lifting = _related(tx, granted, lifting_id)
    outline = tx.cases.outline(proof)
    return ShownLifting(
        lifting, outline.veto(lifting.veto_id), outline, _may_settle(proof, lifting)
    )


def _shown_if_there(tx: VetoTx, granted: Granted, lifting_id: UUID) -> ShownLifting | None:
    try:
        return _shown(tx, granted, lifting_id)
    except LiftingNotFound:
        return None


def _may_settle(proof: AuthorisedCase, lifting: Lifting) -> bool:
    return proof.relation in RIGHTS[lifting.kind].confirms


def _subject(outline: CaseOutline, role: str | None) -> UUID | None:
    if role is None:
        return None
    found = [each.subject_id for each in outline.subjects if each.role == role]
    if len(found) != 1:
        raise VetoRefused("person", "must be a role that one person of the case has")
    return found[0]


def _of_lifting(
    context: Context,
    granted: Granted,
    proof: AuthorisedCase,
    lifting: Lifting,
    grounds: Grounds,
    version: int | None = None,
) -> AuditEntry:
    """Make the entry of a step of a lifting. Its state says which; the words stay sealed."""
    told = proof.version if version is None else version
    entry = context.entry("alteration", granted, proof.case_id, lifting.id, told)
    lifted = lifting.state is LiftState.CONFIRMED
    asked = lifting.asked_by
    return replace(
        entry,
        operation="hold_lifted"
        if lifted and lifting.kind is VetoKind.LEGAL_HOLD
        else entry.operation,
        second=Actor(asked.subject, asked.agency, asked.role) if lifted else None,
        account=Account(grounds.words),
        resource_type="veto-lifting",
        field_set=f"marking.{lifting.kind}",
        justification_code=grounds.code,
        reason_code=f"lifting-{lifting.state}",
        detail={"veto": str(lifting.veto_id)},
    )
