"""Preview a decision: who would get what and why, at the current facts; discloses nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.access import Granted
from hubformats.audit_record import Actor, AuditEntry
from hubformats.canonical import canonical
from hubformats.categories import CATEGORIES
from sharing.agreements.model import RULE_FAILED
from sharing.cases.model import CaseNotFound
from sharing.content.model.reader import SnapshotReader
from sharing.context import ContentGone
from sharing.decisions.model import SharingDecision
from sharing.decisions.ports import DecisionTx
from sharing.decisions.use_cases.run import DecisionContext, Planned, decide
from sharing.decisions.use_cases.taking_back import OWN_FACTS

_RESTRICTED: Final = frozenset({"conflict", "employee-subject", "informant", "legal-hold"})
"""Vetoes whose very existence is not for the referrer to learn from a preview."""
_HIDDEN: Final = "restricted"
_WITHHELD: Final = "Withheld."
_REASONS: Final[Mapping[str, str]] = {
    "no-clause": "No clause of the agreement covers this.",
    "review-lapsed": "The agreement's review date has passed, which stops offers of support and "
    "statistics.",
    "not-in-force": "The agreement is not in force yet.",
    "essential-withheld": "Without what is withheld, the rest would serve no purpose.",
    RULE_FAILED: "A rule could not be evaluated; the hub's operator is alarmed.",
}


@dataclass(frozen=True, slots=True)
class Why:
    """A reason, as the referrer is shown it."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class WithheldCategory:
    """A category that a recipient would not get, and why."""

    category: str
    label: str
    why: Why


@dataclass(frozen=True, slots=True)
class PreviewedRecipient:
    """What one agency would get: `content`, or why nothing."""

    agency: str
    withheld: tuple[WithheldCategory, ...]
    why: Why | None
    content: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Preview:
    """A whole preview."""

    decision: SharingDecision
    recipients: tuple[PreviewedRecipient, ...]


def preview(
    tx: DecisionTx, context: DecisionContext, granted: Granted, actor: Actor, reference: str
) -> Preview:
    """Decide on the agency's own referral at its current facts, for it to look at.

    The content shown is the content that is delivered, byte for byte. The look is recorded.
    Raises CaseNotFound for anybody else's case, NoAgreement, CategoryUnknown.
    """
    authorised = tx.cases.authorised_by_reference(granted, reference)
    if authorised is None:
        raise CaseNotFound
    try:
        snapshot = tx.cases.snapshot(authorised)
    except ContentGone:
        raise CaseNotFound from None
    run = decide(context, SnapshotReader(snapshot), tx.disclosures.of_case(snapshot.case_id))
    planned = [one for one in run.plan().recipients if one.each.reason != OWN_FACTS]
    tx.record(
        AuditEntry(
            operation="consultation",
            outcome="done",
            actor=actor,
            subjects=tuple(each.subject_id for each in snapshot.subjects),
            case_id=snapshot.case_id,
            case_references=(reference,),
            resource_type="decision-preview",
            resource_id=str(snapshot.case_id),
            resource_version=snapshot.version,
            shown=_shown(planned),
        )
    )
    veto = context.agreements.of_area(snapshot.area).agreement.terms.veto
    return Preview(run.decision, tuple(_previewed(one, veto) for one in planned))


def _shown(planned: Iterable[Planned]) -> bytes:
    """Write each recipient with the content it would be delivered, as canonical JSON."""
    told = [[one.each.recipient.id, dict(one.shown.told)] for one in planned if one.shown]
    return canonical(told)


def _previewed(one: Planned, veto: Mapping[str, str]) -> PreviewedRecipient:
    # One line for each category, whoever it is about.
    withheld = {about.category: code for about, code in one.each.withheld.items()}
    return PreviewedRecipient(
        agency=one.each.recipient.id,
        withheld=tuple(
            WithheldCategory(code, CATEGORIES[code].label, _why(reason, veto))
            for code, reason in withheld.items()
        ),
        why=None if one.each.permitted or one.reason is None else _why(one.reason, veto),
        content=None if one.shown is None else one.shown.told,
    )


def _why(code: str, veto: Mapping[str, str]) -> Why:
    if code in _RESTRICTED:
        return Why(_HIDDEN, _WITHHELD)
    return Why(code, veto.get(code, _REASONS.get(code, _WITHHELD)))
