"""What can be done with a case once it is there. Nothing here commits."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.access import Granted
from common.events.case import Marking
from hubformats.audit_record import Account, AuditEntry
from hubformats.ids import uuid7
from referral.cases.model.case import THIRD_PARTY, CaseOutline
from referral.cases.model.outcome import AnswerState, Outcome, OutcomeUnknown, Proof
from referral.cases.model.referral import OwnReferral, Referral
from referral.cases.ports import CaseTx, CaseView
from referral.context import AgencyDirectory, Context


class CaseNotFound(LookupError):
    """There is no such case or referral, or the caller has no relation to it."""


class AgencyUnknown(ValueError):
    """No agency of this hub has that id; a veto on a misspelt name would hold back nobody."""


@dataclass(frozen=True, slots=True)
class Veto:
    """A must-not-disclose as its sender asks for it; `*` means everybody or everything."""

    agency: str
    category: str
    reason: str
    """Sealed into the audit record; never published."""


@dataclass(frozen=True, slots=True)
class ReferralStatus:
    """What the sender hears."""

    referral: Referral
    outline: CaseOutline
    decided: bool | None
    """None for a third party, who receives an acknowledgement only."""
    outcomes: tuple[Outcome, ...]


def read_referral(
    tx: CaseTx, granted: Granted, referral_id: UUID, context: Context
) -> ReferralStatus:
    """Read the agency's own referral with what became of it, and record the read.

    Raises CaseNotFound.
    """
    found = _own(tx, granted, referral_id)
    tx.record(_consultation(granted, found, context))
    outline = tx.cases.outline(found.case)
    # The case says it too: an urgent form is a partner's until the full form that completes it says
    # whose word it was.
    if THIRD_PARTY in (found.referral.source, outline.newest.source):
        return ReferralStatus(found.referral, outline, None, ())
    decided, outcomes = tx.cases.is_decided(found.case), tx.outcomes.told(found.case)
    return ReferralStatus(found.referral, outline, decided, outcomes)


def answer_again(tx: CaseTx, granted: Granted, referral_id: UUID, context: Context) -> None:
    """Record that the stored answer to an earlier request leaves once more.

    Raises CaseNotFound.
    """
    entry = _consultation(granted, _own(tx, granted, referral_id), context)
    tx.record(replace(entry, reason_code="repeated-answer"))


def set_must_not_disclose(
    tx: CaseTx,
    granted: Granted,
    referral_id: UUID,
    veto: Veto,
    agencies: AgencyDirectory,
    context: Context,
) -> tuple[Marking, int]:
    """Forbid disclosure of a case, or one category of it, to an agency or to all.

    A new version of the case is published at once. Returns the marking and that version. One that
    says the same and is in force already is answered with itself, and nothing is published. Two of
    them would need two liftings. Cases from before may hold two; each stands until it is lifted.

    Raises AgencyUnknown, CaseNotFound, VersionMoved.
    """
    if veto.agency != "*" and not agencies.knows(veto.agency):
        raise AgencyUnknown
    found = _own(tx, granted, referral_id)
    marking = Marking(
        marking_id=uuid7(),
        kind="must_not_disclose",
        agency=veto.agency,
        category=veto.category,
    )
    known = tx.cases.outline(found.case).in_force_like(marking, found.case.agency)
    version = found.case.version
    if known is None:
        case = tx.cases.for_revision(found.case)
        marked = case.mark(marking, context.clock.now())
        tx.cases.replace(found.case, case, marked)
        version = marked.outline.version
    entry = context.entry("alteration", granted, found.case.case_id, referral_id, version)
    tx.record(
        replace(
            entry,
            field_set="marking.must_not_disclose",
            account=Account(text=veto.reason),
            reason_code="" if known is None else "in-force-already",
            detail={"agency": veto.agency, "category": veto.category},
        )
    )
    return known or marking, version


def check_release(view: CaseView, granted: Granted, case_id: UUID) -> CaseOutline:
    """Read version and vetoes of this moment, for sharing's last look before a release.

    Raises CaseNotFound.
    """
    found = view.cases.outlines(granted, (case_id,))
    if not found:
        raise CaseNotFound
    return found[0]


def check_releases(
    view: CaseView, granted: Granted, case_ids: Collection[UUID]
) -> tuple[CaseOutline, ...]:
    """Read version and vetoes of several cases at this moment, before sharing shows any of them.

    What is unknown or erased is left out, and sharing shows nothing of it.
    """
    return view.cases.outlines(granted, case_ids)


def note_outcome(tx: CaseTx, case_id: UUID, news: Outcome) -> None:
    """Keep what sharing says became of one recipient, so that the referrer hears back (design
    section 2, point 10).
    """
    known = tx.outcomes.known(case_id, news.recipient)
    if known is None:
        tx.outcomes.add(case_id, news)
    else:
        _replace(tx, case_id, known, known.heard(news))


def note_promise(tx: CaseTx, case_id: UUID, recipient: str, version: int, standing: Proof) -> None:
    """Keep that what left in an emergency has no proof: whoever sent the referral hears it, too.

    A release is told before its promise can fail, so there is a row of this or a later version.
    Raises OutcomeUnknown if there is none.
    """
    known = tx.outcomes.known(case_id, recipient)
    if known is None:
        raise OutcomeUnknown
    _replace(tx, case_id, known, known.unkept(version, standing))


def note_taken_back(
    tx: CaseTx, case_id: UUID, recipient: str, version: int, at: datetime, *, asked: bool
) -> None:
    """Keep that what a recipient was given was taken back, and whether it must answer."""
    known = tx.outcomes.known(case_id, recipient)
    if known is not None:
        _replace(tx, case_id, known, known.taken_back(version, at, asked=asked))


def note_answer(
    tx: CaseTx, case_id: UUID, recipient: str, answer: AnswerState, duty: str | None
) -> None:
    """Keep what a recipient says it did with what was taken back or corrected."""
    known = tx.outcomes.known(case_id, recipient)
    if known is not None:
        _replace(tx, case_id, known, known.answers(answer, duty))


def note_decided(tx: CaseTx, case_id: UUID, version: int) -> None:
    """Note that sharing decided on this version for everybody, so it holds the snapshot."""
    tx.cases.snapshot_decided(case_id, version)


def note_saved(tx: CaseTx, case_id: UUID, recipient: str, at: datetime) -> None:
    """Note that the recipient holds the newest thing released to it; the proof it left with
    stays.
    """
    known = tx.outcomes.known(case_id, recipient)
    if known is not None:
        _replace(tx, case_id, known, known.saved(at))


def _replace(tx: CaseTx, case_id: UUID, old: Outcome, new: Outcome) -> None:
    if new != old:
        tx.outcomes.replace(case_id, old, new)


def _own(tx: CaseTx, granted: Granted, referral_id: UUID) -> OwnReferral:
    found = tx.referrals.own(granted, referral_id)
    if found is None:
        raise CaseNotFound
    return found


def _consultation(granted: Granted, found: OwnReferral, context: Context) -> AuditEntry:
    return context.entry(
        "consultation",
        granted,
        found.case.case_id,
        found.referral.referral_id,
        found.case.version,
    )
