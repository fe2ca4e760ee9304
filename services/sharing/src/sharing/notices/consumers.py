"""What was set aside from the bus, and what the log says of the entries about it."""

from collections.abc import Callable

from common import topics
from common.audit_trail import AuditTrail, Receipt, Rejection
from common.database import Unit
from common.inbox import Inbox, Received
from sharing.notices import use_cases
from sharing.notices.ports import NoticeTx
from sharing.notices.use_cases import NoticeContext, SetAside


class NoticeConsumer:
    """Each handler runs in the transaction of what it is told of.

    `opened` makes the repositories of such a transaction.
    """

    def __init__(self, context: NoticeContext, opened: Callable[[Unit], NoticeTx]) -> None:
        self._context = context
        self._opened = opened

    def register(self, inbox: Inbox, trail: AuditTrail) -> None:
        """Tell the inbox and the audit trail who wants to know."""
        inbox.on_set_aside(self.set_aside)
        trail.on_receipt(self.logged)
        trail.on_rejected(self.unlogged)

    def set_aside(self, unit: Unit, got: Received, digest: str, reason: str) -> None:
        """Keep a notice for an agency that spoke on its own topic; services read their alarms."""
        if got.topic != topics.inbound(got.source):
            return
        found = SetAside(got.source, got.id, digest, reason, self._context.now())
        use_cases.note(self._opened(unit), found)

    def logged(self, unit: Unit, receipt: Receipt) -> None:
        """Let a notice go that waited for this record."""
        use_cases.logged(self._opened(unit), receipt.record_id, receipt.index)

    def unlogged(self, unit: Unit, rejection: Rejection) -> None:
        """Keep a notice back whose record the log refused."""
        use_cases.unlogged(self._opened(unit), rejection.record_id)
