"""One decision on a case: what it makes of each recipient, and how that is written down.

The first decision, a further one and a preview all go through `DecisionRun`.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from common.events.case import CaseSnapshot
from common.events.sharing import RecipientOutcome, SnapshotDecided
from hubformats import audit_record
from hubformats.audit_record import AuditEntry, content_commitment, new_salt
from hubformats.canonical import canonical
from hubformats.ids import uuid7
from sharing.agreements.model import RULE_FAILED
from sharing.agreements.use_cases import Agreements
from sharing.content.model.projection import ClauseText, Kind
from sharing.content.model.reader import SnapshotReader
from sharing.context import SERVICE_ACTOR, Context
from sharing.decisions.model import (
    RecipientDecision,
    SharingDecision,
    by_name,
    conclude,
    delivery_id,
    due,
    field_set,
    fingerprint,
    questions,
    subjects_told_of,
)
from sharing.decisions.ports import DecisionTx
from sharing.decisions.use_cases.taking_back import (
    OWN_FACTS,
    SUSPENDED,
    Before,
    knows_already,
    next_kind,
    taken_back,
)
from sharing.directory.ports import Directory
from sharing.disclosures.model.answers import AnswerBook
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.model.evidence import Evidence
from sharing.disclosures.use_cases.steps import supersede
from sharing.disclosures.use_cases.withdrawing import TakenBack, take_back

_log = logging.getLogger("hub.sharing")

NOTHING_NEW: Final = "nothing-new"


@dataclass(frozen=True, slots=True)
class DecisionContext(Context):
    """What deciding is given besides: the directory, and the agreements in force."""

    directory: Directory
    agreements: Agreements
    answers: AnswerBook


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a recipient may know, as it would be delivered under this id.

    `told` becomes the content C as its canonical bytes.
    """

    delivery: UUID
    kind: Kind
    told: Mapping[str, Any]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What a decision comes to for one recipient.

    `reason` says why nothing new goes, None if something does. `shown` is what the recipient may
    know at this version, delivered already or not. `delivery` is what is to be prepared anew.
    """

    each: RecipientDecision
    reason: str | None
    shown: Rendered | None = None
    delivery: Rendered | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a decision comes to: for each recipient, and what it supersedes."""

    run: "DecisionRun"
    decision_id: UUID
    recipients: tuple[Planned, ...]
    superseded: tuple[Disclosure, ...]
    taken_back: tuple[TakenBack, ...]

    @property
    def prepared(self) -> tuple[str, ...]:
        """To whom something new is prepared."""
        return tuple(one.each.recipient.id for one in self.recipients if one.delivery)


@dataclass(frozen=True, slots=True)
class DecisionRun:
    """One decision on one version of a case, beside what was disclosed of the case before.

    `only` names the agencies it is made for; None means all.
    """

    context: DecisionContext
    reader: SnapshotReader
    decision: SharingDecision
    earlier: tuple[Disclosure, ...]
    since: Mapping[UUID, int] = field(default_factory=dict)
    """The first version that took each veto into account, as far as known before."""
    only: frozenset[str] | None = None
    skipped_before: frozenset[str] = field(default=frozenset())
    """Agencies skipped for being suspended by the decision before; asked only with `only`."""

    @property
    def snapshot(self) -> CaseSnapshot:
        """The facts it is made on."""
        return self.reader.snapshot

    @property
    def skipped(self) -> frozenset[str]:
        """Agencies that get nothing because they are suspended, until they are restored."""
        others = frozenset[str]() if self.only is None else self.skipped_before - self.only
        return others.union(each.recipient.id for each in self._suspended())

    def disclosers_ground(self, clause: ClauseText) -> audit_record.Ground:
        """Say why the agency that referred the case may disclose under this clause."""
        agreement = self.context.agreements.of_area(self.snapshot.area).agreement
        types = {one.id: one.type for one in self.context.directory.agencies()}
        kind = types.get(self.snapshot.referrer_agency, "")
        ground = agreement.ground(agreement.clause(clause.id), kind)
        return audit_record.Ground(ground.basis, ground.condition, gateway=clause.gateway)

    def plan(self) -> Plan:
        """Work out what is new for whom, and what must not leave any more. Writes nothing.

        What is on its way at this version and says the same keeps its way. Everything else that
        has not left to a recipient decided on is superseded.
        """
        recipients = tuple(self._planned(each) for each in self.decision.recipients)
        said = {
            one.each.recipient.id: one.shown.fingerprint
            for one in recipients
            if one.shown is not None
        }
        scope = None if self.only is None else {one.each.recipient.id for one in recipients}
        superseded = tuple(
            one
            for one in self.earlier
            if (one.unsent and one.kind != "withdrawal")
            and (scope is None or one.recipient in scope)
            and not self._stands(one, said.get(one.recipient))
        )
        none = [one for one in recipients if one.shown is None]
        withheld = {one.each.recipient.id: one.reason or "" for one in none}
        taken = tuple(taken_back(self._before, said, withheld))
        return Plan(self, uuid7(), recipients, superseded, taken)

    @property
    def _before(self) -> Before:
        return Before(self.snapshot, self.since, self.earlier, everybody=self.only is None)

    def alarm(self) -> None:
        """Page for rules that failed, and for who gets nothing because it is suspended."""
        failed = sum(
            1 for each in self.decision.recipients if RULE_FAILED in each.withheld.values()
        )
        if failed:
            _log.error(
                "a rule of the agreement failed",
                extra={
                    "alarm": "rule-failed",
                    "recipients": failed,
                    "agreement": self.decision.agreement,
                },
            )
        for each in self._suspended():
            _log.warning(
                "withheld from a suspended agency",
                extra={"alarm": "withheld-while-suspended", "recipient": each.recipient.id},
            )

    def _suspended(self) -> list[RecipientDecision]:
        return [
            each
            for each in self.decision.recipients
            if each.recipient.suspended and each.reason == SUSPENDED
        ]

    def _planned(self, each: RecipientDecision) -> Planned:
        if not each.permitted:
            return Planned(each, each.reason)
        mine, prepared = self._of_version(each), self._told(each)
        kind = next_kind(prepared)
        # This version's own delivery, sent or not, is shown with the kind and id it was given.
        own = mine[-1] if mine and not mine[-1].superseded else None
        shown = self._render(each, own.kind if own else kind, len(mine) - bool(own))
        known = knows_already(self._before, prepared, shown.fingerprint)
        if known or any(self._stands(one, shown.fingerprint) for one in mine):
            return Planned(each, NOTHING_NEW, shown)
        new = self._render(each, kind, len(mine)) if own else shown
        return Planned(each, each.reason, shown, new)

    def _stands(self, one: Disclosure, said: str | None) -> bool:
        """Tell whether an earlier disclosure is on its way and says just this of this version."""
        return (
            one.on_its_way
            and one.snapshot_version == self.snapshot.version
            and one.fingerprint == said
        )

    def _of_version(self, each: RecipientDecision) -> list[Disclosure]:
        version = self.snapshot.version
        return [one for one in self._told(each) if one.snapshot_version == version]

    def _told(self, each: RecipientDecision) -> list[Disclosure]:
        """List what was prepared for this recipient before, notices of withdrawal apart."""
        return [
            one
            for one in self.earlier
            if one.recipient == each.recipient.id and one.kind != "withdrawal"
        ]

    def _render(self, each: RecipientDecision, kind: Kind, ordinal: int) -> Rendered:
        """Make the content; the one place where it is made, for previews and deliveries alike.

        `ordinal` counts this recipient's earlier deliveries of the same version.
        """
        secret, case_id = self.context.delivery_secret, self.snapshot.case_id
        recipient = each.recipient.id
        made = delivery_id(
            secret, self.snapshot, recipient, self.decision.agreement_hash, ordinal=ordinal
        )
        told = self.reader.content(
            each.projection,
            kind=kind,
            delivery_id=made,
            case_reference=self.context.reference(recipient, case_id),
        )
        return Rendered(made, kind, told, fingerprint(secret, told))


def decide(
    context: DecisionContext,
    reader: SnapshotReader,
    earlier: Sequence[Disclosure],
    since: Mapping[UUID, int] | None = None,
) -> DecisionRun:
    """Ask the agreement who may know what of the snapshot that was read, now.

    `since` holds the first version that knew each veto. Pure but for the clock and the directory.
    Raises NoAgreement, CategoryUnknown.
    """
    snapshot = reader.snapshot
    rules = context.agreements.of_area(snapshot.area)
    agencies = context.directory.agencies()
    asked = questions(reader, due(snapshot, rules.agreement, agencies))
    rulings = rules.rule(snapshot, asked, agencies)
    decision = conclude(snapshot, rules.agreement, asked, rulings, as_of=context.now())
    return DecisionRun(context, reader, decision, tuple(earlier), since or {})


def narrowed(
    run: DecisionRun, agencies: Collection[str], skipped_before: Collection[str]
) -> DecisionRun:
    """Narrow the decision to these agencies alone."""
    asked = tuple(each for each in run.decision.recipients if each.recipient.id in agencies)
    return replace(
        run,
        decision=replace(run.decision, recipients=asked),
        only=frozenset(agencies),
        skipped_before=frozenset(skipped_before),
    )


def apply(tx: DecisionTx, planned: Plan) -> None:
    """Write a plan down: the decision, one audit record per recipient, and what is prepared.

    Referral hears what is news in one event, also when nobody may know. Until it hears this it
    keeps the snapshot's bytes for us.
    """
    run = planned.run
    snapshot, decision = run.snapshot, run.decision
    tx.decisions.add(planned.decision_id, snapshot, decision)
    for one in planned.superseded:
        supersede(tx, run.context, one)
    for taken in planned.taken_back:
        take_back(tx, run.context, run.context.answers, taken, snapshot.version)
    for one_planned in planned.recipients:
        _write(tx, planned, one_planned)
    outcomes = tuple(filter(None, map(_outcome, planned.recipients)))
    tx.publish(
        snapshot.case_id,
        SnapshotDecided(
            case_id=snapshot.case_id,
            snapshot_version=snapshot.version,
            outcomes=outcomes,
            decided_at=decision.as_of,
        ),
    )


def _write(tx: DecisionTx, planned: Plan, one: Planned) -> None:
    """Record the decision for one recipient and, if it may know something new, prepare it."""
    entry = _entry(planned, one)
    made = one.delivery
    if made is None:
        tx.record(entry(outcome="withhold", reason_code=one.reason or ""))
        return
    snapshot, decision = planned.run.snapshot, planned.run.decision
    content, salt = canonical(made.told), new_salt()
    commitment = content_commitment(salt, content)
    record = tx.record(
        entry(outcome="permit", delivery=str(made.delivery), content_commitment=commitment)
    )
    waiting = Disclosure(
        id=made.delivery,
        decision_id=planned.decision_id,
        case_id=snapshot.case_id,
        snapshot_version=snapshot.version,
        recipient=one.each.recipient.id,
        kind=made.kind,
        clause=one.each.projection.clauses[0].id,
        record_id=record.id,
        commitment=commitment,
        fingerprint=made.fingerprint,
        decided_at=decision.as_of,
    )
    tx.disclosures.add(waiting, Evidence(content, salt, record.record, record.salt))


def _outcome(one: Planned) -> RecipientOutcome | None:
    """Return what referral hears of one recipient.

    Nothing new is nothing to tell: at the referrer it would hide that this recipient was told
    before.
    """
    if one.reason in {OWN_FACTS, NOTHING_NEW}:
        return None
    return RecipientOutcome(
        recipient=one.each.recipient.id,
        outcome="permit" if one.delivery else "withhold",
        clause=one.each.projection.clauses[0].id if one.delivery else "",
        reason_code=one.reason or "",
    )


def _entry(planned: Plan, one: Planned) -> Callable[..., AuditEntry]:
    """Return a maker of this recipient's one entry. It names no other recipient."""
    run, each = planned.run, one.each
    snapshot, recipient = run.snapshot, each.recipient.id
    clause = each.projection.clauses[0] if one.delivery else None
    permitted = tuple(each.projection.permitted) if clause else ()
    names = {
        run.context.reference(agency, snapshot.case_id)
        for agency in (recipient, snapshot.referrer_agency)
    }
    detail: dict[str, Any] = {"withheld": by_name(each.withheld)}
    common: dict[str, Any] = {
        "operation": "disclosure",
        "actor": SERVICE_ACTOR,
        "subjects": subjects_told_of(snapshot, permitted if clause else None),
        "case_id": snapshot.case_id,
        "case_references": tuple(sorted(names)),
        "resource_type": "case",
        "resource_id": str(snapshot.case_id),
        "resource_version": snapshot.version,
        "agreement": run.decision.agreement_hash,
        "agreement_version": run.decision.agreement_version,
        "human": "none",
        "inputs": run.decision.inputs_hash,
        "decision": run.context.decision_name(planned.decision_id, recipient),
        "recipient": recipient,
        "detail": detail,
    }
    if clause is not None:
        detail["permitted"] = by_name(each.projection.permitted)
        common |= {
            "field_set": field_set(permitted),
            "disclosed_under": run.disclosers_ground(clause),
            "received_under": audit_record.Ground(clause.lawful_basis, clause.condition),
            "purpose": clause.purpose,
            "clause": clause.id,
        }

    def entry(**more: Any) -> AuditEntry:
        return AuditEntry(**common, **more)

    return entry
