"""What the log says of our audit records: receipts with a proof, and rejections."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from common.audit_trail import AuditTrail, Receipt, Rejection
from common.database import Unit
from common.sealed import RowAltered
from sharing.disclosures.ports import ReleaseTx
from sharing.disclosures.use_cases.releasing import receipt_came, receipt_refused
from sharing.disclosures.use_cases.steps import ReleaseContext

_COVERED: Final = 8
"""Records of one commit are filled up to a multiple of it: up to 8 recipients look alike.

Decision 0018 says why 8.
"""


class ReceiptConsumer:
    """Each handler runs in the transaction that takes the receipt in.

    `opened` makes the repositories of such a transaction.
    """

    def __init__(self, context: ReleaseContext, opened: Callable[[Unit], ReleaseTx]) -> None:
        self._context = context
        self._opened = opened

    def register(self, trail: AuditTrail) -> None:
        """Tell the audit trail who wants to know, and to hide how many were decided on at once."""
        trail.cover(_COVERED)
        trail.on_receipt(self.proven)
        trail.on_rejected(self.rejected)

    def proven(self, unit: Unit, receipt: Receipt) -> None:
        """Hand a disclosure that waited for this record to the release worker.

        One whose row was altered waits on, alarmed; the other receipts of the batch count.
        """
        with suppress(RowAltered):
            receipt_came(
                self._opened(unit),
                receipt.record_id,
                leaf=receipt.leaf,
                index=receipt.index,
                proof=receipt.proof,
                now=self._context.now(),
            )

    def rejected(self, unit: Unit, rejection: Rejection) -> None:
        """Block what waited for this record; a person is told."""
        with suppress(RowAltered):
            receipt_refused(self._opened(unit), self._context, rejection.record_id)
