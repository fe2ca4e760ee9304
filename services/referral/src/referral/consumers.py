"""What sharing says became of a decision, kept so that the referrer hears back."""

from common.database import Unit
from common.events.sharing import (
    DisclosureBlocked,
    DisclosureReleased,
    DisclosureSaved,
    PromiseBroken,
    SnapshotDecided,
)
from common.inbox import Inbox, Received
from referral import usecases
from referral.ports import Outcome
from referral.storage import Sealing, SqlTx


class OutcomeConsumer:
    """Handles `hub.sharing.v1`.

    Each handler runs in the inbox's transaction and may see an event again after a crash.
    """

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing

    def register(self, inbox: Inbox) -> None:
        """Tell the inbox which events this service understands."""
        inbox.on(SnapshotDecided, self.decided)
        inbox.on(DisclosureReleased, self.released)
        inbox.on(PromiseBroken, self.unkept)
        inbox.on(DisclosureBlocked, self.blocked)
        inbox.on(DisclosureSaved, self.saved)

    def decided(self, unit: Unit, got: Received, event: SnapshotDecided) -> None:
        """Who may know and who may not; and sharing has the snapshot, so that it need not be sent
        again.
        """
        tx = SqlTx(unit, self._sealing)
        for one in event.outcomes:
            state = "decided" if one.outcome == "permit" else "withheld"
            outcome = Outcome(
                one.recipient,
                event.snapshot_version,
                state,
                one.clause,
                event.decided_at,
                reason_code=one.reason_code,
            )
            usecases.note_outcome(tx, event.case_id, outcome)
        usecases.note_decided(tx, event.case_id, event.snapshot_version)

    def released(self, unit: Unit, got: Received, event: DisclosureReleased) -> None:
        """A package left, logged first or promised."""
        outcome = Outcome(
            event.recipient,
            event.snapshot_version,
            "released",
            event.clause,
            event.released_at,
            event.proof,
        )
        usecases.note_outcome(SqlTx(unit, self._sealing), event.case_id, outcome)

    def unkept(self, unit: Unit, got: Received, event: PromiseBroken) -> None:
        """What left on a promise has no proof yet, or will have none."""
        usecases.note_promise(
            SqlTx(unit, self._sealing),
            event.case_id,
            event.recipient,
            event.snapshot_version,
            event.standing,
        )

    def blocked(self, unit: Unit, got: Received, event: DisclosureBlocked) -> None:
        """It did not leave, and a person is looking."""
        outcome = Outcome(
            event.recipient,
            event.snapshot_version,
            "blocked",
            "",
            event.blocked_at,
            reason_code=event.reason_code,
        )
        usecases.note_outcome(SqlTx(unit, self._sealing), event.case_id, outcome)

    def saved(self, unit: Unit, got: Received, event: DisclosureSaved) -> None:
        """The recipient's system of record signed for it."""
        usecases.note_saved(
            SqlTx(unit, self._sealing), event.case_id, event.recipient, event.saved_at
        )
