"""Events in: snapshots from referral, receipts from the log, receipts and acknowledgements from
agencies."""

from common.audit_trail import AuditTrail, Receipt, Rejection
from common.database import Unit
from common.events.case import CaseSnapshot, SubjectErased
from common.inbox import Inbox, Received, Refused, Transient
from common.problems import Problem
from hubformats.agency_events import DeliveryAcknowledged, SavedReceipt
from hubformats.audit_record import Actor
from hubformats.categories import CategoryUnknown
from sharing.domain.receipt import ReceiptRefused, delivery_of
from sharing.storage.repository import Sealing, SqlTx
from sharing.usecases import deciding, receiving, releasing
from sharing.usecases.desk import Desk, NoAgreement


class EventConsumer:
    """Each handler runs in the inbox's transaction, so a crash repeats the event and never half of
    its effect.
    """

    def __init__(self, desk: Desk, sealing: Sealing) -> None:
        self._desk = desk
        self._sealing = sealing

    def register(self, inbox: Inbox, trail: AuditTrail) -> None:
        """Tell inbox and audit trail what this service understands."""
        inbox.on(CaseSnapshot, self.snapshot)
        inbox.on(SubjectErased, self.erased)
        inbox.on(SavedReceipt, self.saved)
        inbox.on(DeliveryAcknowledged, self.acknowledged)
        trail.on_receipt(self.proven)
        trail.on_rejected(self.rejected)

    def snapshot(self, unit: Unit, got: Received, event: CaseSnapshot) -> None:
        """Decide and prepare. What cannot be decided is set aside whole, and holds the case."""
        if got.source != "svc:referral":
            raise Refused("not-referral")
        try:
            deciding.take_snapshot(
                SqlTx(unit, self._sealing), self._desk, self._desk.own_work(), event
            )
        except NoAgreement:
            raise Refused("no-agreement") from None
        except CategoryUnknown:
            raise Refused("category-unknown") from None

    def erased(self, unit: Unit, got: Received, event: SubjectErased) -> None:
        """Destroy here what was destroyed at the owner, on the owner's word alone."""
        if got.source != "svc:referral":
            raise Refused("not-referral")
        deciding.forget_subject(
            SqlTx(unit, self._sealing), self._desk, event.subject_id, event.case_ids
        )

    def saved(self, unit: Unit, got: Received, event: SavedReceipt) -> None:
        """The same receipt as by the API; the sender of the envelope is the agency it speaks
        for.
        """
        self._may_speak(got.source)
        try:
            delivery = delivery_of(event.receipt)
            receiving.save(
                SqlTx(unit, self._sealing),
                self._desk,
                got.source,
                _agency(got.source),
                delivery,
                event.receipt,
            )
        except (Problem, ReceiptRefused) as refused:
            raise Refused(refused.code) from None

    def acknowledged(self, unit: Unit, got: Received, event: DeliveryAcknowledged) -> None:
        """The same acknowledgement as by the API."""
        self._may_speak(got.source)
        try:
            receiving.acknowledge(
                SqlTx(unit, self._sealing),
                self._desk,
                got.source,
                _agency(got.source),
                event.delivery_id,
                event.role,
            )
        except Problem as problem:
            raise Refused(problem.code) from None

    def proven(self, unit: Unit, receipt: Receipt) -> None:
        """A record of ours is in the log; a disclosure that waited for it is handed to the release
        worker.
        """
        releasing.receipt_came(
            SqlTx(unit, self._sealing),
            receipt.record_id,
            leaf=receipt.leaf,
            index=receipt.index,
            proof=receipt.proof,
            now=self._desk.now(),
        )

    def rejected(self, unit: Unit, rejection: Rejection) -> None:
        """The log could not take it: blocked, and a person is told."""
        releasing.receipt_refused(SqlTx(unit, self._sealing), self._desk, rejection.record_id)

    def _may_speak(self, agency: str) -> None:
        """Suspension shuts this door as it shuts the API.

        Raises Refused, to be replayed on restoring, and Transient when nobody can say.
        """
        if not self._desk.directory.fresh():
            raise Transient("directory-stale")
        if not any(
            known.id == agency and not known.suspended for known in self._desk.directory.agencies()
        ):
            raise Refused("agency-suspended")


def _agency(source: str) -> Actor:
    return Actor(subject=source, agency=source, role="system")
