"""What waits for the audit log, as the API shows it."""

from datetime import datetime

from pydantic import Field

from common.models import ApiModel
from sharing.delays.model import Delayed, Delays


class DelayedOut(ApiModel):
    """How much waits on one side."""

    urgent: int = Field(description="Of these the referral said that there is danger now")
    others: int
    since: datetime | None = Field(description="When the oldest was decided; null when none waits")


class DelaysOut(ApiModel):
    """What may be told and has not left, because its entry in the audit log is not there yet.

    That usually takes a second. While it lasts and somebody is in danger, ring. A coordinator or
    IDVA manager of the referring agency may release what waits.
    """

    received: DelayedOut = Field(description="On its way to your agency")
    sent: DelayedOut = Field(description="Of your agency's referrals, on its way to others")


def delays_out(found: Delays) -> DelaysOut:
    """Show both sides."""
    return DelaysOut(received=_out(found.received), sent=_out(found.sent))


def _out(one: Delayed) -> DelayedOut:
    return DelayedOut(urgent=one.urgent, others=one.others, since=one.since)
