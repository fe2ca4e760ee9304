"""What the routes of a case take and answer."""

from uuid import UUID

from pydantic import Field, field_validator

from common.events.case import Marking, RiskSummary
from common.models import ApiModel, FieldError, Timestamp, WholeNumber
from common.texts import Reason
from hubformats.categories import CATEGORIES
from referral.cases.model.case import CaseOutline, Stage
from referral.cases.model.referral import Referral
from referral.cases.use_cases import ReferralStatus
from referral.context import Context


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
    """What became of one recipient.

    It is decided, released (with its proof), saved by the recipient, withdrawn (taken back), or
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
    answer: str | None = Field(
        default=None,
        description=(
            "What the recipient did with what was taken back or corrected after it was opened: "
            "awaited, overdue, corrected, stopped_and_deleted or kept_under_duty; null if none is "
            "asked for"
        ),
    )
    duty: str | None = Field(
        default=None, description="The coded duty under which it keeps what was taken back"
    )
    changed_at: Timestamp
    waiting_since: Timestamp | None = Field(
        default=None,
        description="Set while this recipient may know and its part has not left: it waits for its "
        "entry in the audit log, which usually takes a second. While it lasts and somebody is in "
        "danger, ring them; a coordinator of yours can release it in an emergency",
    )


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


class MarkingOut(ApiModel):
    """A veto on disclosure as other services see it; it holds no reason and no name."""

    marking_id: UUID
    kind: str
    agency: str
    category: str
    subject: UUID | None = None


class MustNotDiscloseIn(ApiModel):
    """To whom, and what, must not be disclosed; `*` means everybody or everything."""

    agency: str = Field(
        default="*",
        pattern=r"^(\*|[a-z0-9]+(-[a-z0-9]+)*)$",
        max_length=60,
        description="Agency id, or * for all",
    )
    category: str = Field(
        default="*", max_length=60, description="Data category, or * for everything"
    )
    reason: Reason = Field(
        min_length=1, max_length=2_000, description="Kept sealed; never sent to anybody"
    )

    @field_validator("category")
    @classmethod
    def _known(cls, value: str) -> str:
        if value != "*" and value not in CATEGORIES:
            raise FieldError("must be a data category or *; see GET /v1/code-lists")
        return value


class MustNotDiscloseOut(ApiModel):
    """The marking and the case version it took effect with."""

    marking_id: UUID
    version: int


class ReleaseCheckIn(ApiModel):
    """What sharing is about to release."""

    case_id: UUID
    snapshot_version: WholeNumber
    subject_ids: tuple[UUID, ...] = Field(max_length=200)


class ReleaseChecksIn(ApiModel):
    """The cases of which sharing is about to show something."""

    case_ids: tuple[UUID, ...] = Field(min_length=1, max_length=200)


class ReleaseCheckOut(ApiModel):
    """The newest version of the case and every veto in force on it.

    Sharing compares; a difference means no release.
    """

    case_id: UUID
    snapshot_version: int
    vetoes: tuple[MarkingOut, ...]


class ReleaseChecksOut(ApiModel):
    """The state of each case; one that is unknown or erased is left out."""

    cases: tuple[ReleaseCheckOut, ...]


def release_check_out(outline: CaseOutline) -> ReleaseCheckOut:
    """Show version and vetoes of a case to sharing."""
    return ReleaseCheckOut(
        case_id=outline.case_id,
        snapshot_version=outline.version,
        vetoes=tuple(map(marking_out, outline.markings)),
    )


def referral_out(referral: Referral, outline: CaseOutline, context: Context) -> ReferralOut:
    """Show a referral to its sender."""
    return ReferralOut(
        referral_id=referral.referral_id,
        case_reference=context.reference(referral.agency, referral.case_id),
        external_reference=referral.external_reference,
        form=referral.form,
        state=referral.state,
        version=outline.version,
        rules_version=referral.rules_version,
        received_at=referral.received_at,
        provisional=outline.stage is Stage.PROVISIONAL,
        risk=risk_out(outline.risk),
    )


def referral_read(status: ReferralStatus, context: Context) -> ReferralRead:
    """Show a referral with what became of it."""
    shown = tuple(
        OutcomeOut(
            recipient=outcome.recipient,
            state=outcome.state,
            proof=outcome.proof,
            earlier_promise=outcome.earlier_promise,
            answer=outcome.answer,
            duty=outcome.duty,
            changed_at=outcome.changed_at,
            waiting_since=outcome.waiting_since,
        )
        for outcome in status.outcomes
    )
    out = referral_out(status.referral, status.outline, context)
    return ReferralRead(**dict(out), decided=status.decided, outcomes=shown)


def risk_out(risk: RiskSummary) -> RiskOut:
    """Show the level of risk."""
    return RiskOut(
        level=risk.level,
        rule=risk.rule,
        score=risk.score,
        dont_know=risk.dont_know,
        critical=risk.critical,
    )


def marking_out(marking: Marking) -> MarkingOut:
    """Show a veto."""
    return MarkingOut(
        marking_id=marking.marking_id,
        kind=marking.kind,
        agency=marking.agency,
        category=marking.category,
        subject=marking.subject,
    )
