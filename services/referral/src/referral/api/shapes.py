"""What referral's API answers: response shapes, and how a stored thing becomes one."""

from typing import Any
from uuid import UUID

from pydantic import Field

from common.events.case import Marking
from common.models import ApiModel, Timestamp
from referral.ports import StoredReferral
from referral.usecases import Desk, Heard, Intake


class RiskOut(ApiModel):
    """Level, the rule that gave it, and what is not known."""

    level: str = Field(description="standard, medium, high, or not_assessed")
    rule: str = Field(description="The dated rule that gave the level, in words")
    score: int | None = Field(description="Items answered yes; null when nothing was assessed")
    dont_know: int = Field(description="Items answered don't know or not asked")
    critical: tuple[str, ...] = Field(description="Critical items answered yes, whatever the score")


class ReferralOut(ApiModel):
    """A referral as its sender may see it."""

    referral_id: UUID
    case_reference: str = Field(
        description="The reference by which your agency, and no other, knows this case"
    )
    external_reference: str | None
    form: str
    state: str
    version: int
    rules_version: str = Field(description="The dated rules this referral was made under")
    received_at: Timestamp
    provisional: bool = Field(
        description="True for an urgent referral until the full form completes it"
    )
    risk: RiskOut


class OutcomeOut(ApiModel):
    """What became of one recipient: decided, released (with its proof), saved by the recipient, or
    blocked and looked at.
    """

    recipient: str
    state: str
    proof: str | None = Field(
        default=None,
        description=(
            "proven: in the log. promised: emergency release, proof follows within the hour. "
            "overdue: that hour has passed, it may still come. "
            "broken: there will be no proof, and a person has been told"
        ),
    )
    earlier_promise: str | None = Field(
        default=None,
        description="overdue or broken: the same of an emergency release of an earlier version to "
        "this recipient",
    )
    changed_at: Timestamp


class ReferralRead(ReferralOut):
    """A referral and what became of it."""

    decided: bool | None = Field(
        default=None,
        description="Whether sharing has decided on this version: with no outcome it then means "
        "that nobody was told. Null for third parties",
    )
    outcomes: tuple[OutcomeOut, ...] = Field(
        description="Empty until sharing has decided; third-party reports receive an "
        "acknowledgement only"
    )


class DryRunOut(ApiModel):
    """What a referral would be taken in as; nothing was stored and nothing was sent."""

    dry_run: bool = True
    risk: RiskOut
    rules_version: str
    people: int
    categories: tuple[str, ...] = Field(
        description="Data categories the form would store facts under"
    )


def referral_out(stored: StoredReferral, desk: Desk) -> dict[str, Any]:
    """The JSON members of a stored referral."""
    head = stored.snapshot_head
    shape = ReferralOut(
        referral_id=stored.referral_id,
        case_reference=desk.reference(stored.agency, stored.case_id),
        external_reference=stored.external_reference,
        form=stored.form,
        state=stored.state,
        version=stored.version,
        rules_version=stored.rules_version,
        received_at=stored.received_at,
        provisional=head["provisional"],
        risk=_risk(head["risk"]),
    )
    return shape.model_dump(mode="json")


def referral_read(heard: Heard, desk: Desk) -> ReferralRead:
    """A stored referral with what became of it."""
    shown = tuple(
        OutcomeOut(
            recipient=o.recipient,
            state=o.state,
            proof=o.proof or None,
            earlier_promise=o.earlier_promise or None,
            changed_at=o.changed_at,
        )
        for o in heard.outcomes
    )
    return ReferralRead.model_validate(
        {**referral_out(heard.referral, desk), "decided": heard.decided, "outcomes": shown}
    )


def dry_run_out(intake: Intake) -> DryRunOut:
    """The answer to a dry run."""
    snapshot = intake.snapshot
    return DryRunOut(
        risk=_risk(snapshot.risk.model_dump(mode="json", by_alias=True)),
        rules_version=snapshot.rules_version,
        people=len(snapshot.subjects),
        categories=tuple(sorted({fact.category for fact in snapshot.facts})),
    )


def _risk(risk: dict[str, Any]) -> RiskOut:
    return RiskOut(
        level=risk["level"],
        rule=risk["rule"],
        score=risk["score"],
        dont_know=risk["dontKnow"],
        critical=tuple(risk["critical"]),
    )


class MarkingOut(ApiModel):
    """A veto on disclosure as other services see it; it holds no reason and no name."""

    marking_id: UUID
    kind: str
    agency: str
    category: str
    subject: UUID | None = None


def marking_out(marking: Marking) -> MarkingOut:
    """The shape of a marking."""
    return MarkingOut(
        marking_id=marking.marking_id,
        kind=marking.kind,
        agency=marking.agency,
        category=marking.category,
        subject=marking.subject,
    )
