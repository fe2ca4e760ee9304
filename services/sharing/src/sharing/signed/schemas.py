"""What a compromised key had signed that was used, as the operator reads it."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from common.models import ApiModel, Timestamp
from sharing.context import Context
from sharing.signed.model import Channel, KeyUse


class KeyUseOut(ApiModel):
    """One message or case that rests, or may rest, on a compromised key. No content."""

    agency: str
    key_id: str
    compromised_since: Timestamp
    certain: bool = Field(description="This key signed it; otherwise which key did is not known")
    kind: str | None = Field(
        description="The event's type; case for a case of which a new version came; null for a "
        "message of which only its id was kept"
    )
    channel: Channel | None
    taken_in_at: Timestamp
    signed_at: Timestamp | None = Field(description="What its signer says")
    event_id: Annotated[UUID | None, Field(description="The agency's own id of the event")]
    delivery_id: UUID | None
    case_reference: str | None = Field(description="By which that agency knows the case")
    found_at: Timestamp


def use_out(use: KeyUse, context: Context) -> KeyUseOut:
    """Show one."""
    case = use.case_id
    return KeyUseOut(
        agency=use.agency,
        key_id=use.key_id,
        compromised_since=use.since,
        certain=use.certain,
        kind=use.kind,
        channel=use.channel,
        taken_in_at=use.arrived_at,
        signed_at=use.signed_at,
        event_id=use.event_id,
        delivery_id=use.delivery_id,
        case_reference=None if case is None else context.reference(use.agency, case),
        found_at=use.found_at,
    )
