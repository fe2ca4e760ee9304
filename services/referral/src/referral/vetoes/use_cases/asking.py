"""Ask to lift a veto, confirm or refuse that, or let it lapse. Nothing here commits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from common.access import Granted
from hubformats.audit_record import Account, Actor, AuditEntry
from hubformats.ids import uuid7
from referral.cases.model.authority import AuthorisedCase
from referral.context import SERVICE_ACTOR, Context, actor_of
from referral.vetoes.model import (
    RIGHTS,
    AlreadyAsked,
    CaseName,
    Grounds,
    Lifting,
    LiftingNotFound,
    LiftingOver,
    LiftState,
    LiftStep,
    NotEntitled,
    Party,
    ShownLifting,
    VetoKind,
    VetoNotFound,
    as_seen,
    is_officer_of_sender,
    may_see_lifting,
)
from referral.vetoes.ports import VetoTx
from referral.vetoes.use_cases.setting import VetoContext, case_of

WAITING_SHOWN: Final = 100
"""Liftings on one list; the oldest come first, so none is out of reach for long."""


def ask_lifting(
    tx: VetoTx,
    granted: Granted,
    case: CaseName,
    veto_id: UUID,
    grounds: Grounds,
    given: VetoContext,
) -> Lifting:
    """Ask to lift a veto, which stays until a second person has confirmed.

    A privacy officer asks where the sender cannot, above all where it is barred itself. One whose
    own agency sent the case asks as its sender.

    Raises CaseNotFound, VetoNotFound, NotEntitled, AlreadyAsked, ReasonUnknown.
    """
    proof = case_of(tx, granted, case)
    outline = tx.cases.outline(proof)
    veto = as_seen(proof, outline).veto(veto_id)
    if veto is None:
        raise VetoNotFound
    kind, now = VetoKind(veto.kind), given.context.clock.now()
    if proof.relation not in RIGHTS[kind].asks or is_officer_of_sender(proof, outline):
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


def waiting_liftings(tx: VetoTx, granted: Granted, given: VetoContext) -> tuple[ShownLifting, ...]:
    """List what waits for a second person and is the caller's to see. One entry in the log."""
    now = given.context.clock.now()
    found = tuple(
        shown
        for lifting_id in tx.liftings.waiting(granted, now, WAITING_SHOWN)
        if (shown := _shown_if_there(tx, granted, lifting_id)) is not None
    )
    _listed(tx, granted, found, given)
    return found


def lapse_liftings(tx: VetoTx, given: VetoContext) -> int:
    """Mark what nobody confirmed in time, with an entry for each. Returns how many.

    The veto stays. If we crash before the commit, the next run finds them again.
    """
    context = given.context
    found = tx.liftings.lapse(context.clock.now(), WAITING_SHOWN)
    for one in found:
        tx.record(
            AuditEntry(
                operation="alteration",
                outcome="done",
                actor=SERVICE_ACTOR,
                case_id=one.case_id,
                case_references=(context.reference(one.agency, one.case_id),),
                resource_type="veto-lifting",
                resource_id=str(one.id),
                reason_code="lifting-lapsed",
                field_set="marking",
            )
        )
    return len(found)


def lapsed_liftings(tx: VetoTx, granted: Granted, given: VetoContext) -> tuple[ShownLifting, ...]:
    """List what the caller's agency asked for and nobody confirmed, for some days.

    One that was asked for again, or whose veto is gone, is left out. One entry in the log.
    """
    since = given.context.clock.now() - given.lapsed_shown
    found = []
    for lifting_id in tx.liftings.lapsed(granted, since, WAITING_SHOWN):
        shown = _shown_if_there(tx, granted, lifting_id)
        if shown is not None and shown.veto is not None and not _asked_later(tx, granted, shown):
            found.append(shown)
    _listed(tx, granted, found, given)
    return tuple(found)


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

    Returns the lifting and the case's version.

    Raises LiftingNotFound, LiftingOver, NotEntitled, SecondPersonNeeded, ReasonUnknown,
    VersionMoved.
    """
    proof, lifting = _related(tx, granted, lifting_id)
    if not _may_settle(proof, lifting):
        raise NotEntitled
    context, outline = given.context, tx.cases.outline(proof)
    given.rules_for(outline.area).check_settling(step, grounds.code)
    now, version = context.clock.now(), proof.version
    settled = lifting.settle(step, party_of(granted), now, grounds.code)
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


def _related(tx: VetoTx, granted: Granted, lifting_id: UUID) -> tuple[AuthorisedCase, Lifting]:
    case_id = tx.liftings.case_of(lifting_id)
    proof = None if case_id is None else tx.cases.authorised(granted, case_id)
    lifting = None if proof is None else tx.liftings.get(proof, lifting_id)
    if (
        proof is None
        or lifting is None
        or not may_see_lifting(proof, tx.cases.outline(proof), lifting)
    ):
        raise LiftingNotFound
    return proof, lifting


def _shown(tx: VetoTx, granted: Granted, lifting_id: UUID) -> ShownLifting:
    proof, lifting = _related(tx, granted, lifting_id)
    outline = tx.cases.outline(proof)
    return ShownLifting(
        lifting, outline.veto(lifting.veto_id), outline, _may_settle(proof, lifting)
    )


def _listed(
    tx: VetoTx, granted: Granted, found: Sequence[ShownLifting], given: VetoContext
) -> None:
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


def _asked_later(tx: VetoTx, granted: Granted, shown: ShownLifting) -> bool:
    one = shown.lifting
    proof = tx.cases.authorised(granted, one.case_id)
    every = () if proof is None else tx.liftings.of_case(proof)
    return any(each.veto_id == one.veto_id and each.id > one.id for each in every)


def _shown_if_there(tx: VetoTx, granted: Granted, lifting_id: UUID) -> ShownLifting | None:
    try:
        return _shown(tx, granted, lifting_id)
    except LiftingNotFound:
        return None


def _may_settle(proof: AuthorisedCase, lifting: Lifting) -> bool:
    return proof.relation in RIGHTS[lifting.kind].confirms


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
