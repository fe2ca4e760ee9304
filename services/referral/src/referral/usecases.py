"""One function per thing this service does. They plan and call the repository; none of them
commits."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from common.access import Granted
from common.attempts import Attempt
from common.events.case import CaseSnapshot, CaseSubject, Cause, Consent, Fact, Marking, RiskSummary
from common.problems import Fault, Problem
from hubformats.audit_record import Actor, AuditEntry, Operation
from hubformats.case_reference import case_reference
from hubformats.clock import Clock
from hubformats.ids import uuid7
from referral.domain import risk as risk_rules
from referral.domain.completion import completed, says_the_same
from referral.domain.dates import future_dates
from referral.domain.facts import facts_of, level_facts, risk_facts, unknown_contact
from referral.domain.form import FullReferral, Person, UrgentReferral
from referral.domain.rules import Instrument, RuleBook, Rules, RulesUnknown
from referral.permissions import may
from referral.ports import (
    CaseState,
    Outcome,
    ReferralTx,
    RefusedIntake,
    RefusedPage,
    RefusedPlace,
    StoredReferral,
    VersionMoved,
)

SNAPSHOT_LIMIT: Final = 128 * 1024
"""Bytes of one snapshot: what every recipient's package, proof and encodings included, still holds
in the largest envelope (256 KiB).
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every use case is given once, by wiring: the rules, the clock, and the secret behind
    case references.
    """

    rules: RuleBook
    clock: Clock
    reference_secret: bytes
    home_area: str
    agencies: frozenset[str]

    def reference(self, agency: str, case_id: UUID) -> str:
        """The case reference `agency` knows this case by."""
        return case_reference(self.reference_secret, agency, case_id)


@dataclass(frozen=True, slots=True)
class Intake:
    """A checked referral, ready to be stored, or to be described to somebody who asked for a dry
    run.
    """

    referral: StoredReferral
    snapshot: CaseSnapshot
    entry: AuditEntry


def plan_intake(granted: Granted, form: FullReferral | UrgentReferral, desk: Desk) -> Intake:
    """Check a form against the dated rules and plan everything that storing it means; nothing is
    stored here.

    Raises Problem(validation-failed) with pointers when the area, instrument or a concept is
    unknown, or something is to have happened in the future.
    """
    _allow("submit_referral", granted)
    now = desk.clock.now()
    rules = _rules(form, desk, now)
    if isinstance(form, UrgentReferral):
        return _plan_urgent(granted, form, desk, rules, now)
    return _plan_full(granted, form, desk, rules, now)


def check_intake(
    tx: ReferralTx, granted: Granted, form: FullReferral | UrgentReferral, desk: Desk
) -> Intake:
    """Everything that can refuse a referral, in the order a submission meets it; stores nothing, so
    a dry run answers alike.

    Raises Problem: `validation-failed` (bad part, or no such urgent referral that waits to be
    completed), `already-completed`,
    `external-reference-exists`, `body-too-large`.
    """
    intake = plan_intake(granted, form, desk)
    if isinstance(form, FullReferral) and form.completes is not None:
        intake = _complete(tx, granted, form.completes, intake)
    reference = form.external_reference
    if (
        intake.referral.claims_reference
        and reference is not None
        and tx.find_by_external(granted, reference) is not None
    ):
        raise Problem("external-reference-exists")
    if intake.snapshot.size() > SNAPSHOT_LIMIT:
        raise Problem(
            "body-too-large",
            "Too much text to seal to each recipient; send at most about 100 KiB of it.",
        )
    return intake


def submit_referral(
    tx: ReferralTx,
    granted: Granted,
    form: FullReferral | UrgentReferral,
    desk: Desk,
    attempt: Attempt,
) -> Intake:
    """Take a referral in: case, people, facts, audit record and snapshot in one transaction; alarms
    about this one end.

    Raises what `check_intake` raises.
    """
    intake = check_intake(tx, granted, form, desk)
    if intake.snapshot.version > 1:
        _replace(tx, granted, intake.referral, intake.snapshot)
    else:
        tx.insert(granted, intake.referral, intake.snapshot)
    tx.record(intake.entry)
    tx.correct_refused_intakes(granted, attempt.id, form.external_reference)
    return intake


def rehearse_intake(
    tx: ReferralTx, granted: Granted, form: FullReferral | UrgentReferral, desk: Desk
) -> Intake:
    """A dry run: what was typed is weighed and answered, so it is recorded, but nothing was
    collected. Raises what `check_intake` raises.
    """
    intake = check_intake(tx, granted, form, desk)
    known = intake.snapshot.version > 1
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
            count=len(intake.snapshot.subjects),
        )
    )
    return intake


def answer_again(tx: ReferralTx, granted: Granted, referral_id: UUID, desk: Desk) -> None:
    """The stored answer to an earlier request leaves once more: a use of what it holds, recorded as
    one. Raises Problem(not-found).
    """
    found = tx.find(granted, referral_id)
    if found is None:
        raise Problem("not-found")
    entry = _entry(
        "consultation", granted, found.case_id, desk, resource=referral_id, version=found.version
    )
    tx.record(replace(entry, reason_code="repeated-answer"))


@dataclass(frozen=True, slots=True)
class Heard:
    """What the sender hears.

    `decided` is None for a third party, who receives an acknowledgement only.
    """

    referral: StoredReferral
    decided: bool | None
    outcomes: tuple[Outcome, ...]


def read_referral(tx: ReferralTx, granted: Granted, referral_id: UUID, desk: Desk) -> Heard:
    """The agency's own referral with what became of it.

    Not found and not allowed are one answer, Problem(not-found).
    """
    _allow("read_own_referral", granted)
    found = tx.find(granted, referral_id)
    if found is None:
        raise Problem("not-found")
    tx.record(
        _entry(
            "consultation",
            granted,
            found.case_id,
            desk,
            resource=referral_id,
            version=found.version,
        )
    )
    # The case says it too: an urgent form is a partner's until the full form that completes it says
    # whose word it was.
    if "third_party" in (found.source, found.snapshot_head.get("source")):
        return Heard(found, None, ())
    return Heard(found, tx.is_decided(found.case_id, found.version), tx.outcomes(found.case_id))


def set_must_not_disclose(
    tx: ReferralTx,
    granted: Granted,
    referral_id: UUID,
    *,
    agency: str,
    category: str,
    reason: str,
    desk: Desk,
) -> tuple[Marking, int]:
    """Forbid disclosure of a case, or one category of it, to an agency or to all; a new snapshot
    version travels at once.

    Raises Problem: `validation-failed` for an agency nobody knows, because a veto on a misspelt
    name would hold back nobody;
    `not-found`. `reason` is sealed into the audit record; it is never published.
    """
    _allow("mark_must_not_disclose", granted)
    if agency != "*" and agency not in desk.agencies:
        raise Problem(
            "validation-failed", errors=[Fault("/agency", "must be an agency of this hub, or *")]
        )
    found = tx.find(granted, referral_id)
    if found is None:
        raise Problem("not-found")
    marking = Marking(
        marking_id=uuid7(), kind="must_not_disclose", agency=agency, category=category
    )
    head = dict(found.snapshot_head)
    markings = (*(Marking.model_validate(m) for m in head["markings"]), marking)
    changes: dict[str, Any] = {
        "version": found.version + 1,
        "cause": "marking_changed",
        "markings": [m.model_dump(mode="json", by_alias=True) for m in markings],
    }
    facts = tx.facts(granted, found.case_id)
    snapshot = CaseSnapshot.model_validate(
        {**head, **changes, "facts": [f.model_dump(mode="json", by_alias=True) for f in facts]}
    )
    _replace(tx, granted, replace(found, version=snapshot.version), snapshot)
    entry = _entry(
        "alteration", granted, found.case_id, desk, resource=referral_id, version=snapshot.version
    )
    tx.record(
        replace(
            entry,
            field_set="marking.must_not_disclose",
            detail={"reason": reason, "agency": agency, "category": category},
        )
    )
    return marking, snapshot.version


def check_release(tx: ReferralTx, granted: Granted, case_id: UUID) -> CaseState:
    """Current version and vetoes, for sharing's last look before a release.

    Raises Problem(not-found).
    """
    _allow("check_release", granted)
    state = tx.case_state(case_id)
    if state is None:
        raise Problem("not-found")
    return state


def note_outcome(tx: ReferralTx, case_id: UUID, outcome: Outcome) -> None:
    """Keep what sharing says became of one recipient, so that the referrer hears back (design
    section 2, point 10).
    """
    tx.put_outcome(case_id, outcome)


def note_promise(
    tx: ReferralTx, case_id: UUID, recipient: str, version: int, standing: str
) -> None:
    """What left in an emergency has no proof: whoever sent the referral hears that, too."""
    tx.promise_unkept(case_id, recipient, version, standing)


def note_decided(tx: ReferralTx, case_id: UUID, version: int) -> None:
    """Sharing has decided on this version for everybody, so it holds the snapshot durably."""
    tx.snapshot_decided(case_id, version)


def note_saved(tx: ReferralTx, case_id: UUID, recipient: str, at: datetime) -> None:
    """The recipient holds the newest thing that was released to it; the proof it left with
    stays.
    """
    for known in tx.outcomes(case_id):
        if known.recipient == recipient:
            tx.put_outcome(case_id, replace(known, state="saved", changed_at=at))


def refuse_intake(
    tx: ReferralTx,
    agency: str,
    code: str,
    desk: Desk,
    *,
    key_mark: bytes | None,
    external_reference: str | None,
) -> bool:
    """Alarm the sender's desk: an intake was refused and stands uncorrected (design section 13,
    rule 2). True when they have become too many to follow.
    """
    return tx.note_refused_intake(
        agency,
        code=code,
        at=desk.clock.now(),
        key_mark=key_mark,
        external_reference=external_reference,
    )


def acknowledge_refused_intake(
    tx: ReferralTx, granted: Granted, refused_id: UUID, *, reason: str
) -> RefusedIntake:
    """The desk says what became of a refused intake that nothing else corrects.

    Raises Problem(not-found).
    """
    _allow("acknowledge_refused_intake", granted)
    found = tx.acknowledge_refused_intake(granted, refused_id)
    if found is None:
        raise Problem("not-found")
    tx.record(
        AuditEntry(
            operation="alteration",
            outcome="done",
            actor=_actor(granted),
            resource_type="refused-intake",
            resource_id=str(refused_id),
            reason_code=reason,
        )
    )
    return found


def refused_intakes(
    tx: ReferralTx, granted: Granted, after: RefusedPlace | None, limit: int
) -> RefusedPage:
    """The sender's open alarms behind a place, oldest first. Raises Problem(forbidden)."""
    _allow("see_refused_intakes", granted)
    return tx.refused_intakes(granted, after, limit)


def _allow(action: str, granted: Granted) -> None:
    if not may(action, granted):
        raise Problem("forbidden")


def _rules(form: FullReferral | UrgentReferral, desk: Desk, now: datetime) -> Rules:
    area = form.area or desk.home_area
    if isinstance(form, UrgentReferral) and area not in desk.rules.areas():
        area = desk.home_area  # danger is never refused for form (design section 13, rule 2)
    try:
        return desk.rules.for_area(area, now.date())
    except RulesUnknown:
        raise Problem(
            "validation-failed",
            errors=[Fault("/area", "must be an area this hub serves; see GET /v1/code-lists")],
        ) from None


def _plan_urgent(
    granted: Granted, form: UrgentReferral, desk: Desk, rules: Rules, now: datetime
) -> Intake:
    victim = uuid7()
    subjects = (
        CaseSubject(subject_id=victim, role="victim", address_shielded=form.place_shielded),
    )
    consent = Consent(
        aware="unknown", agrees_to_support="unknown", lawful_basis="6d", gateway="common_law"
    )
    facts = (
        facts_of(form, {"victim": victim}, rules)
        + level_facts(risk_rules.URGENT, victim)
        + (unknown_contact(victim),)
    )
    return _intake(
        granted, form, desk, rules, now, subjects, risk_rules.URGENT, consent, facts, now
    )


def _plan_full(
    granted: Granted, form: FullReferral, desk: Desk, rules: Rules, now: datetime
) -> Intake:
    if future := future_dates(form, rules, now):
        raise Problem("validation-failed", errors=future)
    instrument = _instrument(form, desk)
    try:
        summary = risk_rules.assess(form.risk, rules, instrument)
    except risk_rules.ConceptUnknown as strange:
        faults = [
            Fault(
                f"/risk/answers/{place}/concept",
                "must be a concept of this instrument; see GET /v1/code-lists",
            )
            for place in strange.places
        ]
        raise Problem("validation-failed", errors=faults) from None
    ids = {person.ref: uuid7() for person in form.people}
    subjects = tuple(_subject(person, ids[person.ref], rules, now.date()) for person in form.people)
    consent = Consent(
        aware=form.consent.aware,
        agrees_to_support=form.consent.agrees_to_support,
        lawful_basis=form.consent.lawful_basis,
        condition=form.consent.condition,
        gateway=form.consent.gateway,
    )
    victim = next(s.subject_id for s in subjects if s.role == "victim")
    minors = {
        person.ref
        for person, subject in zip(form.people, subjects, strict=True)
        if subject.under_18
    }
    facts = facts_of(form, ids, rules, minors) + risk_facts(form, instrument, summary, victim)
    return _intake(
        granted,
        form,
        desk,
        rules,
        now,
        subjects,
        summary,
        consent,
        facts,
        form.incident.occurred_at,
    )


def _instrument(form: FullReferral, desk: Desk) -> Instrument | None:
    if form.risk is None:
        return None
    try:
        return desk.rules.instrument(form.risk.instrument, form.risk.version)
    except RulesUnknown:
        fault = Fault(
            "/risk/version",
            "must be a version of this instrument the hub holds; see GET /v1/code-lists",
        )
        raise Problem("validation-failed", errors=[fault]) from None


def _subject(person: Person, subject_id: UUID, rules: Rules, today: date) -> CaseSubject:
    shielded = any(address.shielded for address in person.addresses)
    youngest = max(person.birth_dates, default=None)
    under = person.role == "child" or (
        youngest is not None and _years(youngest, today) < rules.adult_at
    )
    return CaseSubject(
        subject_id=subject_id, role=person.role, address_shielded=shielded, under_18=under
    )


def _years(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _intake(
    granted: Granted,
    form: FullReferral | UrgentReferral,
    desk: Desk,
    rules: Rules,
    now: datetime,
    subjects: tuple[CaseSubject, ...],
    summary: RiskSummary,
    consent: Consent,
    facts: tuple[Fact, ...],
    occurred_at: datetime,
) -> Intake:
    urgent = isinstance(form, UrgentReferral)
    cause: Cause = "urgent_referral" if urgent else "referral_submitted"
    case_id, referral_id = uuid7(), uuid7()
    kind = "domestic_abuse" if isinstance(form, UrgentReferral) else form.kind
    source = "partner" if isinstance(form, UrgentReferral) else form.source
    shields = tuple(
        Marking(marking_id=uuid7(), kind="location_shield", category="*", subject=s.subject_id)
        for s in subjects
        if s.address_shielded
    )
    snapshot = CaseSnapshot(
        case_id=case_id,
        version=1,
        cause=cause,
        provisional=urgent,
        urgent=urgent,
        referral_id=referral_id,
        referrer_agency=granted.principal.agency,
        source=source,
        area=rules.area,
        kind=kind,
        occurred_at=occurred_at,
        received_at=now,
        rules_version=rules.version,
        safe_contact_days=rules.safe_contact_days,
        effective_on=now.date(),
        subjects=subjects,
        risk=summary,
        consent=consent,
        markings=shields,
        facts=facts,
    )
    referral = StoredReferral(
        referral_id=referral_id,
        case_id=case_id,
        agency=granted.principal.agency,
        form=form.form,
        kind=kind,
        area=rules.area,
        source=source,
        state="submitted",
        external_reference=form.external_reference,
        received_at=now,
        version=1,
        rules_version=rules.version,
        snapshot_head=head_of(snapshot),
    )
    entry = _entry("collection", granted, case_id, desk, resource=referral_id, version=1)
    subject_ids = tuple(s.subject_id for s in subjects)
    entry = replace(
        entry,
        subjects=subject_ids,
        lawful_basis=consent.lawful_basis,
        field_set=f"referral.{form.form}",
    )
    return Intake(referral, snapshot, entry)


def head_of(snapshot: CaseSnapshot) -> dict[str, Any]:
    """The snapshot without its facts: codes, flags and opaque ids only."""
    return snapshot.model_dump(mode="json", by_alias=True, exclude={"facts"})


def _complete(tx: ReferralTx, granted: Granted, urgent_id: UUID, intake: Intake) -> Intake:
    """Turn a full referral into the next version of the urgent one it completes."""
    found = tx.find(granted, urgent_id)
    if found is None or found.form != "urgent":
        raise Problem(
            "validation-failed",
            errors=[Fault("/completes", "must be an urgent referral your agency sent")],
        )
    if not found.snapshot_head["provisional"]:
        _refuse_repeat(tx, granted, found.case_id, intake)
        # A second one might be another family's, and would be told under this one's reference.
        raise Problem(
            "validation-failed",
            errors=[
                Fault("/completes", "was completed before; send this one as a referral of its own")
            ],
        )
    snapshot = completed(intake.snapshot, found.snapshot_head, tx.facts(granted, found.case_id))
    referral = replace(
        intake.referral,
        case_id=found.case_id,
        version=snapshot.version,
        snapshot_head=head_of(snapshot),
    )
    return Intake(
        referral,
        snapshot,
        replace(intake.entry, case_id=found.case_id, resource_version=snapshot.version),
    )


def _refuse_repeat(tx: ReferralTx, granted: Granted, case_id: UUID, intake: Intake) -> None:
    """A form that completed this case already is told what it became, so that nobody makes a second
    case of it.
    """
    before = tx.completion(granted, case_id)
    if before is None:
        return
    same_reference = before.external_reference == intake.referral.external_reference
    if same_reference or says_the_same(intake.snapshot.facts, tx.facts(granted, case_id)):
        raise Problem(
            "already-completed",
            f"It became referral {before.referral_id}: read that one; there is nothing to send "
            "again.",
            members={"referralId": str(before.referral_id)},
        )


def _replace(
    tx: ReferralTx, granted: Granted, referral: StoredReferral, snapshot: CaseSnapshot
) -> None:
    try:
        tx.replace_snapshot(granted, referral, snapshot)
    except VersionMoved:
        raise Problem("conflict") from None


def _actor(granted: Granted) -> Actor:
    who = granted.principal
    role = "system" if who.kind == "system" else ",".join(sorted(who.roles)) or "person"
    return Actor(
        subject=f"{who.issuer}|{who.subject}", agency=who.agency, role=role, acr=who.acr or ""
    )


def _entry(
    operation: Operation,
    granted: Granted,
    case_id: UUID,
    desk: Desk,
    *,
    resource: UUID,
    version: int,
) -> AuditEntry:
    return AuditEntry(
        operation=operation,
        outcome="done",
        actor=_actor(granted),
        case_id=case_id,
        case_references=(desk.reference(granted.principal.agency, case_id),),
        resource_type="referral",
        resource_id=str(resource),
        resource_version=version,
        purpose="protect_victim",
    )
