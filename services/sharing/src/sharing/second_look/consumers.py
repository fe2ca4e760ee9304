"""What referral says must be looked at again."""

from collections.abc import Callable

from common.database import Unit
from common.events.case import SecondLookDue
from common.inbox import Inbox, Received, Refused
from hubformats.audit_record import Actor
from sharing.second_look.model import Act, Filed
from sharing.second_look.ports import FilingTx


class LookConsumer:
    """Each handler runs in the transaction that takes the event in, so an item is filed once."""

    def __init__(self, opened: Callable[[Unit], FilingTx]) -> None:
        self._opened = opened

    def register(self, inbox: Inbox) -> None:
        """Tell the inbox what this consumer understands."""
        inbox.on(SecondLookDue, self.due)

    def due(self, unit: Unit, got: Received, event: SecondLookDue) -> None:
        """File it, on the word of the service in which it was done."""
        if got.source != "svc:referral":
            raise Refused("not-referral")
        try:
            act = Act(event.act)
            actors = tuple(_actor(*each) for each in event.actors)
        except (ValueError, TypeError):
            raise Refused("act-unknown") from None
        filed = Filed(event.look_id, act, event.reason_code, event.case_id, actors, event.at)
        self._opened(unit).second_looks.file(filed)


def _actor(subject: str, agency: str, role: str) -> Actor:
    return Actor(subject, agency, role)
