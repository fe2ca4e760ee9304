"""Notices as their agency reads them."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from common.models import ApiModel
from hubformats.set_aside import ADVICE, Advice, advice_for, why
from sharing.notices.model import Notice


class NoticeOut(ApiModel):
    """An envelope of yours that was set aside: nothing in it took effect."""

    notice_id: UUID
    event_id: UUID = Field(description="Your own id of the event")
    digest: str = Field(description="SHA-256 of the envelope as it came, base64url")
    reason_code: str
    reason: str = Field(description="The reason in words")
    advice: Advice
    what_to_do: str = Field(description="The advice in words")
    received_at: datetime
    log_index: int | None = Field(description="Place of its entry in the audit log")


class NoticesOut(ApiModel):
    """Notices to your agency, oldest first."""

    items: list[NoticeOut]
    next_cursor: str | None = None


def notice_out(notice: Notice) -> NoticeOut:
    """Show one."""
    advice = advice_for(notice.reason_code)
    return NoticeOut(
        notice_id=notice.id,
        event_id=notice.event_id,
        digest=notice.digest,
        reason_code=notice.reason_code,
        reason=why(notice.reason_code),
        advice=advice,
        what_to_do=ADVICE[advice],
        received_at=notice.received_at,
        log_index=notice.log_index,
    )
