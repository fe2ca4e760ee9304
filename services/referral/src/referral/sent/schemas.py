"""What the list answers."""

from uuid import UUID

from pydantic import Field

from common.models import ApiModel, Timestamp
from referral.context import Context
from referral.sent.model import SentReferral


class SentReferralOut(ApiModel):
    """One referral of your agency."""

    referral_id: UUID
    case_reference: str = Field(
        description="The reference by which your agency, and no other, knows this case"
    )
    form: str = Field(description="full or urgent")
    kind: str
    state: str
    version: int = Field(description="The newest version of its case")
    received_at: Timestamp
    changed_at: Timestamp = Field(
        description="When it was taken in, completed or last given a veto; outcomes do not move it"
    )
    external_reference: str | None = Field(
        description="Your own reference; null if you gave none, or the case was erased"
    )


def sent_out(item: SentReferral, agency: str, context: Context) -> SentReferralOut:
    """Show one to its sender."""
    return SentReferralOut(
        referral_id=item.referral_id,
        case_reference=context.reference(agency, item.case_id),
        form=item.form,
        kind=item.kind,
        state=item.state,
        version=item.version,
        received_at=item.received_at,
        changed_at=item.changed_at,
        external_reference=item.external_reference,
    )
