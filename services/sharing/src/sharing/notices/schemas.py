"""Notices as their agency reads them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from common.models import ApiModel
from hubformats.agency_events import KeyUsed
from hubformats.set_aside import ADVICE, JUDGE_EACH, Advice, advice_for, why
from sharing.notices.model import Notice


class NoticeOut(ApiModel):
    """An envelope of yours that was set aside: nothing in it took effect.

    Or, with `used`, what a key of yours had signed that was used before you retired it as
    compromised.
    """

    notice_id: UUID
    event_id: UUID | None = Field(description="Your own id of the event that was set aside")
    digest: str | None = Field(description="SHA-256 of the envelope as it came, base64url")
    reason_code: str
    reason: str = Field(description="The reason in words")
    advice: Advice | Literal["judge-each"]
    what_to_do: str = Field(description="The advice in words")
    received_at: datetime
    log_index: int | None = Field(description="Place of its entry in the audit log")
    used: KeyUsed | None = None


class NoticesOut(ApiModel):
    """Notices to your agency, oldest first."""

    items: list[NoticeOut]
    next_cursor: str | None = None


def notice_out(notice: Notice) -> NoticeOut:
    """Show one."""
    advice: Advice | Literal["judge-each"] = "judge-each"
    what_to_do = JUDGE_EACH
    if notice.used is None:
        advice = advice_for(notice.reason_code)
        what_to_do = ADVICE[advice]
    return NoticeOut(
        notice_id=notice.id,
        event_id=notice.event_id,
        digest=notice.digest,
        reason_code=notice.reason_code,
        reason=why(notice.reason_code),
        advice=advice,
        what_to_do=what_to_do,
        received_at=notice.received_at,
        log_index=notice.log_index,
        used=notice.used,
    )
