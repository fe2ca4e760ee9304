"""Receipts and acknowledgements that agencies send by their own topic."""

from collections.abc import Callable
from uuid import UUID

from common.access import Granted, Principal, grant
from common.database import Unit
from common.inbox import Inbox, Received, Refused, Transient
from hubformats.agency_events import DeliveryAcknowledged, DisclosureAnswered, SavedReceipt
from hubformats.audit_record import Actor
from hubformats.statement import signing_key_id
from sharing.disclosures.model.answers import AnswerRefused, NothingToAnswer
from sharing.disclosures.model.disclosure import Hold, Moved
from sharing.inbox.model import ReceiptRefused, delivery_of, key_id
from sharing.inbox.ports import InboxTx
from sharing.inbox.use_cases.answering import answer
from sharing.inbox.use_cases.receiving import (
    DeliveryNotFound,
    InboxContext,
    RoleUnknown,
    acknowledge,
    save,
)
from sharing.signed.model import SignedMessage, receipt_message


class InboundConsumer:
    """Each handler runs in the transaction that takes the message in.

    So a crash repeats the message and never half of its effect. `opened` makes the repositories
    of such a transaction.
    """

    def __init__(self, context: InboxContext, opened: Callable[[Unit], InboxTx]) -> None:
        self._context = context
        self._opened = opened

    def register(self, inbox: Inbox) -> None:
        """Tell the inbox what this consumer understands."""
        inbox.on(SavedReceipt, self.saved)
        inbox.on(DeliveryAcknowledged, self.acknowledged)
        inbox.on(DisclosureAnswered, self.answered)

    def saved(self, unit: Unit, got: Received, event: SavedReceipt) -> None:
        """Take a receipt in, as by the API; the envelope's sender is the agency it speaks for."""
        self._may_speak(got.source)
        try:
            delivery = delivery_of(event.receipt)
        except ReceiptRefused as refused:
            raise Refused(refused.code) from None
        try:
            tx, granted = self._opened(unit), self._granted(got)
            save(tx, self._context, granted, _agency(got), delivery, event.receipt)
            self._note(tx, got, delivery, event.receipt)
        except ReceiptRefused:
            raise Refused("receipt-refused") from None
        except DeliveryNotFound as refused:
            raise Refused(refused.code) from None
        except Moved:
            raise Transient("disclosure-moved") from None

    def acknowledged(self, unit: Unit, got: Received, event: DeliveryAcknowledged) -> None:
        """Take an acknowledgement in, as by the API."""
        self._may_speak(got.source)
        tx, granted = self._opened(unit), self._granted(got)
        try:
            acknowledge(tx, self._context, granted, _agency(got), event.delivery_id, event.role)
            self._note(tx, got, event.delivery_id)
        except (DeliveryNotFound, RoleUnknown) as refused:
            raise Refused(refused.code) from None
        except Moved:
            raise Transient("disclosure-moved") from None

    def answered(self, unit: Unit, got: Received, event: DisclosureAnswered) -> None:
        """Take an answer in, as by the API."""
        self._may_speak(got.source)
        tx, granted = self._opened(unit), self._granted(got)
        given = (event.answer, event.duty or None)
        try:
            answer(tx, self._context, granted, _agency(got), event.delivery_id, given)
            self._note(tx, got, event.delivery_id)
        except (DeliveryNotFound, AnswerRefused) as refused:
            raise Refused(refused.code) from None
        except NothingToAnswer:
            raise Refused("nothing-to-answer") from None
        except Moved:
            raise Transient("disclosure-moved") from None

    def _note(self, tx: InboxTx, got: Received, delivery: UUID, receipt: str | None = None) -> None:
        """Keep which key signed it, and the receipt's own key where that is another."""
        key = signing_key_id(got.jws)
        tx.signed.note(
            SignedMessage(
                got.source,
                got.id,
                key,
                got.type,
                "topic",
                got.arrived,
                got.issued_at,
                event_id=got.id,
                delivery_id=delivery,
            )
        )
        if receipt is not None and (other := key_id(receipt)) != key:
            said = receipt_message(got.source, other, receipt, "topic", got.arrived, delivery)
            tx.signed.note(said)

    def _granted(self, got: Received) -> Granted:
        """Make the grant of the agency whose signature the inbox verified."""
        scope, agency = "disclosure.acknowledge", got.source
        who = Principal(
            self._context.issuer, agency, agency, "system", agency, scopes=frozenset({scope})
        )
        return grant(who, scope=scope, operation="alteration", at=self._context.now())

    def _may_speak(self, agency: str) -> None:
        """Refuse a suspended agency here as the API does.

        Raises Refused, to be replayed on restoring, and Transient when nobody can say.
        """
        directory = self._context.directory
        if not directory.fresh():
            raise Transient(Hold.DIRECTORY_STALE.value)
        if not any(known.id == agency and not known.suspended for known in directory.agencies()):
            raise Refused("agency-suspended")


def _agency(got: Received) -> Actor:
    return Actor(subject=got.source, agency=got.source, role="system")
