"""Taking referrals in, and the alarms of those that were refused. Nothing here commits."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from common.access import Granted
from common.attempts import Attempt
from hubformats.audit_record import AuditEntry
from hubformats.ids import uuid7
from referral.cases.model.authority import AuthorisedCase
from referral.cases.model.case import Case, CaseOutline, Change, Origin, Stage, stage_after
from referral.cases.model.referral import FormKind, Referral, ReferralState
from referral.context import Context, actor_of
from referral.intake.model.errors import (
    AlreadyCompleted,
    FormFault,
    FormRefused,
    ReferenceExists,
    RefusedIntakeNotFound,
    TooLarge,
)
from referral.intake.model.form import FullReferral, UrgentReferral
from referral.intake.model.planned import Planned, plan_full, plan_urgent
from referral.intake.model.refused import IntakeMarks, RefusedIntake, RefusedPage, RefusedPlace
from referral.intake.ports import IntakeTx
from referral.risk.model import AreaRules, Rules, RulesUnknown

SNAPSHOT_LIMIT: Final = 128 * 1024
"""Bytes of one snapshot: what every recipient's package, proof and encodings included, still holds
in the largest envelope (256 KiB).
"""
AnyForm = FullReferral | UrgentReferral


@dataclass(frozen=True, slots=True)
class Intake:
    """A checked referral, ready to be stored, or to be described to whoever asked for a dry run."""

    referral: Referral
    case: Case
    entry: AuditEntry
    completes: tuple[AuthorisedCase, Case] | None = None
    """The case it is the next version of, as it stands, with the sender's proof."""
    doubts: tuple[FormFault, ...] = ()
    """Where the form contradicts itself."""


def plan_intake(granted: Granted, form: AnyForm, context: Context, rules: AreaRules) -> Intake:
    """Check a form against the dated rules and plan what storing it means. Stores nothing.

    Raises FormRefused when the area, instrument or a concept is unknown, or something is to have
    happened in the future.
    """
    now = context.clock.now()
    dated = _dated(form, rules, now)
    if isinstance(form, UrgentReferral):
        return _intake(granted, form, context, dated, plan_urgent(form, dated, now))
    return _intake(granted, form, context, dated, plan_full(form, dated, rules.book, now))


def check_intake(
    tx: IntakeTx, granted: Granted, form: AnyForm, context: Context, rules: AreaRules
) -> Intake:
    """Check all that can refuse a referral, in the order a submission meets it. Stores nothing.

    Raises FormRefused (also for no such urgent referral that waits to be completed),
    AlreadyCompleted, ReferenceExists, TooLarge.
    """
    intake = plan_intake(granted, form, context, rules)
    if isinstance(form, FullReferral) and form.completes is not None:
        intake = _complete(tx, granted, form.completes, intake)
    reference = form.external_reference
    if intake.referral.claims_reference and reference is not None:
        claimed = tx.referrals.claimed(granted, reference)
        if claimed is not None:
            raise ReferenceExists(claimed)
    if intake.case.to_snapshot().size() > SNAPSHOT_LIMIT:
        raise TooLarge
    return intake


def submit_referral(
    tx: IntakeTx,
    granted: Granted,
    form: AnyForm,
    attempt: Attempt,
    context: Context,
    rules: AreaRules,
) -> Intake:
    """Take a referral in: case, people, facts, audit record and snapshot in one transaction.

    Alarms about this one end. Raises what `check_intake` raises, and VersionMoved.
    """
    intake = check_intake(tx, granted, form, context, rules)
    if intake.completes is None:
        proof = tx.cases.add(granted, intake.case)
    else:
        proof, before = intake.completes
        tx.cases.replace(proof, before, intake.case)
    tx.referrals.add(proof, intake.referral)
    tx.record(intake.entry)
    tx.refused.correct(granted, IntakeMarks(attempt.id, form.external_reference))
    return intake


def rehearse_intake(
    tx: IntakeTx, granted: Granted, form: AnyForm, context: Context, rules: AreaRules
) -> Intake:
    """Answer a dry run: what was typed is weighed, so it is recorded, but nothing was collected.

    Raises what `check_intake` raises.
    """
    intake = check_intake(tx, granted, form, context, rules)
    known = intake.completes is not None
    tx.record(
        replace(
            intake.entry,
            operation="consultation",
            reason_code="dry-run",
            subjects=(),
            case_id=intake.entry.case_id if known else None,
            case_references=intake.entry.case_references if known else (),
            resource_id="",
            resource_version=None,
            count=len(intake.case.outline.subjects),
        )
    )
    return intake


def refuse_intake(
    tx: IntakeTx, agency: str, code: str, marks: IntakeMarks, context: Context
) -> bool:
    """Alarm the sender's desk: an intake was refused and stands uncorrected (design section 13,
    rule 2).

    True when they have become too many to follow.
    """
    return tx.refused.note(agency, code, context.clock.now(), marks)


def acknowledge_refused_intake(
    tx: IntakeTx, granted: Granted, refused_id: UUID, reason: str
) -> RefusedIntake:
    """End the alarm of a refused intake that nothing else corrects, and record why.

    Raises RefusedIntakeNotFound.
    """
    found = tx.refused.acknowledge(granted, refused_id)
    if found is None:
        raise RefusedIntakeNotFound
    tx.record(
        AuditEntry(
            operation="alteration",
            outcome="done",
            actor=actor_of(granted),
            resource_type="refused-intake",
            resource_id=str(refused_id),
            reason_code=reason,
        )
    )
    return found


def refused_intakes(
    tx: IntakeTx, granted: Granted, after: RefusedPlace | None, limit: int
) -> RefusedPage:
    """List the sender's open alarms behind a place, oldest first."""
    return tx.refused.open(granted, after, limit)


def _dated(form: AnyForm, rules: AreaRules, now: datetime) -> Rules:
    area = form.area or rules.home_area
    if isinstance(form, UrgentReferral) and area not in rules.book.areas():
        area = rules.home_area  # danger is never refused for form (design section 13, rule 2)
    try:
        return rules.book.for_area(area, now.date())
    except RulesUnknown:
        sentence = "must be an area this hub serves; see GET /v1/code-lists"
        raise FormRefused(FormFault("/area", sentence)) from None


def _intake(
    granted: Granted, form: AnyForm, context: Context, rules: Rules, planned: Planned
) -> Intake:
    now, agency = context.clock.now(), granted.principal.agency
    change = Change.URGENT if isinstance(form, UrgentReferral) else Change.SUBMITTED
    origin = Origin(
        contribution_id=uuid7(),
        agency=agency,
        kind="domestic_abuse" if isinstance(form, UrgentReferral) else form.kind,
        source="partner" if isinstance(form, UrgentReferral) else form.source,
        occurred_at=planned.occurred_at,
        recorded_at=now,
    )
    outline = CaseOutline(
        case_id=uuid7(),
        version=1,
        change=change,
        stage=stage_after(None, change),
        area=rules.area,
        rules_version=rules.version,
        safe_contact_days=rules.safe_contact_days,
        effective_on=now.date(),
        subjects=planned.subjects,
        risk=planned.risk,
        consent=planned.consent,
        markings=planned.shields,
        origins=(origin,),
        changed_at=now,
    )
    referral = Referral(
        referral_id=origin.contribution_id,
        case_id=outline.case_id,
        agency=agency,
        form=FormKind(form.form),
        kind=origin.kind,
        area=rules.area,
        source=origin.source,
        state=ReferralState.SUBMITTED,
        external_reference=form.external_reference,
        claims_reference=isinstance(form, FullReferral) and form.completes is None,
        received_at=now,
        rules_version=rules.version,
    )
    made = context.entry("collection", granted, outline.case_id, origin.contribution_id, 1)
    entry = _told(made, outline, f"referral.{form.form}")
    return Intake(referral, Case(outline, (planned.facts,)), entry, doubts=planned.doubts)


def _told(entry: AuditEntry, outline: CaseOutline, field_set: str) -> AuditEntry:
    """Say in the entry whom the case is about, on which basis, and by which rules."""
    return replace(
        entry,
        subjects=tuple(subject.subject_id for subject in outline.subjects),
        lawful_basis=outline.consent.lawful_basis,
        field_set=field_set,
        rules=outline.rules_version,
    )


def _complete(tx: IntakeTx, granted: Granted, urgent_id: UUID, intake: Intake) -> Intake:
    """Turn a full referral into the next version of the urgent one it completes."""
    found = tx.referrals.own(granted, urgent_id)
    if found is None or found.referral.form is not FormKind.URGENT:
        raise FormRefused(FormFault("/completes", "must be an urgent referral your agency sent"))
    before = tx.cases.for_revision(found.case)
    if before.outline.stage is Stage.COMPLETE:
        _refuse_repeat(tx, found.case, before, intake)
        # A second one might be another family's, and would be told under this one's reference.
        sentence = "was completed before; send this one as a referral of its own"
        raise FormRefused(FormFault("/completes", sentence))
    case = before.complete_with(intake.case)
    case_id, version = case.outline.case_id, case.outline.version
    return Intake(
        replace(intake.referral, case_id=case_id),
        case,
        replace(intake.entry, case_id=case_id, resource_version=version),
        completes=(found.case, before),
        doubts=intake.doubts,
    )


def _refuse_repeat(tx: IntakeTx, proof: AuthorisedCase, case: Case, intake: Intake) -> None:
    """Tell a form that completed this case already what it became, so that nobody makes a second
    case of it.
    """
    before = tx.referrals.completion(proof)
    if before is None:
        return
    same_reference = before.external_reference == intake.referral.external_reference
    if same_reference or case.says_the_same_as(intake.case):
        raise AlreadyCompleted(before.referral_id)
