"""What sharing says became of a decision, kept so that the referrer hears back."""

from collections.abc import Callable

from common.database import Unit
from common.events.sharing import (
    AnswerNews,
    DisclosureBlocked,
    DisclosureReleased,
    DisclosureSaved,
    PromiseBroken,
    SnapshotDecided,
)
from common.inbox import Inbox, Received
from referral.cases import use_cases
from referral.cases.model.outcome import AnswerState, Outcome, OutcomeState, Proof
from referral.cases.ports import CaseTx


class OutcomeConsumer:
    """Handles `hub.sharing.v1`.

    Each handler runs in the inbox's transaction and may see an event again after a crash.
    """

    def __init__(self, open_tx: Callable[[Unit], CaseTx]) -> None:
        """Take what opens the inbox's transaction for the use cases."""
        self._open = open_tx

    def register(self, inbox: Inbox) -> None:
        """Tell the inbox which events this service understands."""
        inbox.on(SnapshotDecided, self.decided)
        inbox.on(DisclosureReleased, self.released)
        inbox.on(PromiseBroken, self.unkept)
        inbox.on(DisclosureBlocked, self.blocked)
        inbox.on(DisclosureSaved, self.saved)
        inbox.on(AnswerNews, self.answer)

    def decided(self, unit: Unit, _got: Received, event: SnapshotDecided) -> None:
        """Note who may know and who may not; sharing has the snapshot, so it need not be sent
        again.
        """
        tx = self._open(unit)
        for one in event.outcomes:
            permitted = one.outcome == "permit"
            outcome = Outcome(
                recipient=one.recipient,
                version=event.snapshot_version,
                state=OutcomeState.DECIDED if permitted else OutcomeState.WITHHELD,
                clause=one.clause or None,
                changed_at=event.decided_at,
                first_at=event.decided_at,
                reason_code=one.reason_code or None,
            )
            use_cases.note_outcome(tx, event.case_id, outcome)
        use_cases.note_decided(tx, event.case_id, event.snapshot_version)

    def released(self, unit: Unit, _got: Received, event: DisclosureReleased) -> None:
        """Note that a package left, logged first or promised."""
        outcome = Outcome(
            recipient=event.recipient,
            version=event.snapshot_version,
            state=OutcomeState.RELEASED,
            clause=event.clause or None,
            changed_at=event.released_at,
            first_at=event.released_at,
            proof=Proof(event.proof),
        )
        use_cases.note_outcome(self._open(unit), event.case_id, outcome)

    def unkept(self, unit: Unit, _got: Received, event: PromiseBroken) -> None:
        """Note that what left on a promise has no proof yet, or will have none."""
        use_cases.note_promise(
            self._open(unit),
            event.case_id,
            event.recipient,
            event.snapshot_version,
            Proof(event.standing),
        )

    def blocked(self, unit: Unit, _got: Received, event: DisclosureBlocked) -> None:
        """Note that it did not leave, and a person is looking."""
        outcome = Outcome(
            recipient=event.recipient,
            version=event.snapshot_version,
            state=OutcomeState.BLOCKED,
            changed_at=event.blocked_at,
            first_at=event.blocked_at,
            reason_code=event.reason_code or None,
        )
        use_cases.note_outcome(self._open(unit), event.case_id, outcome)

    def answer(self, unit: Unit, _got: Received, event: AnswerNews) -> None:
        """Note what was taken back, that an answer is awaited or overdue, and the answer."""
        tx, case_id, recipient = self._open(unit), event.case_id, event.recipient
        if event.standing == "taken_back":
            asked = event.due is not None
            version = event.snapshot_version
            use_cases.note_taken_back(tx, case_id, recipient, version, event.at, asked=asked)
            return
        said = event.answer if event.standing == "answered" else event.standing
        use_cases.note_answer(tx, case_id, recipient, AnswerState(said), event.duty or None)

    def saved(self, unit: Unit, _got: Received, event: DisclosureSaved) -> None:
        """Note that the recipient's system of record signed for it."""
        use_cases.note_saved(self._open(unit), event.case_id, event.recipient, event.saved_at)
