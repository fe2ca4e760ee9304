"""Listing what an agency sent. Nothing here commits."""

from common.access import Granted
from hubformats.audit_record import AuditEntry
from referral.context import actor_of
from referral.sent.model import SentPage, Wanted
from referral.sent.ports import SentTx


def list_sent(tx: SentTx, granted: Granted, wanted: Wanted) -> SentPage:
    """List the agency's own referrals, and record that so many were listed.

    Listing is not looking (design section 9): one counted entry that names no case.
    """
    page = tx.sent.page(granted, wanted)
    tx.record(
        AuditEntry(
            operation="search",
            outcome="done",
            actor=actor_of(granted),
            resource_type="sent-referrals",
            reason_code="listed",
            count=len(page.items),
        )
    )
    return page
