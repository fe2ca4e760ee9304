"""Tell an agency whether what it was given still stands, without showing any of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.access import Granted
from sharing.disclosures.model.disclosure import Disclosure, Hold
from sharing.inbox.ports import InboxTx
from sharing.inbox.use_cases.receiving import Checked, DeliveryNotFound, InboxContext


@dataclass(frozen=True, slots=True)
class Standing:
    """How one delivery stands.

    `taken_back_at` is None while that is not decided yet, `said_by` until the withdrawal or
    correction that says so has left.
    """

    stands: bool
    taken_back_at: datetime | None = None
    replaced: bool = False
    """A correction takes its place; nothing is taken back without one."""
    said_by: UUID | None = None


def standing(
    tx: InboxTx, context: InboxContext, granted: Granted, delivery_id: UUID, checked: Checked
) -> Standing:
    """Say whether a delivery to the caller's agency still stands; no fact and no reason.

    It is no look at the delivery, so nothing is recorded.

    Raises DeliveryNotFound, CheckUnanswered.
    """
    given = tx.inbox.given_to(granted, delivery_id)
    if given is None or given.shown[-1].delivery.visible_at > context.now():
        raise DeliveryNotFound
    disclosure = given.disclosure
    if not disclosure.withdrawn:
        return Standing(not checked.stopped(context, given.shown[-1], given.recipient))
    replaced = disclosure.reason is Hold.SUPERSEDED
    said = _said_by(tx, disclosure, _corrects if replaced else _withdraws)
    return Standing(False, disclosure.withdrawn_at, replaced, said)


def _said_by(
    tx: InboxTx, taken: Disclosure, says: Callable[[Disclosure, Disclosure], bool]
) -> UUID | None:
    """Find the first that stands and says to the same agency what became of `taken`."""
    found = [
        one
        for one in tx.disclosures.of_case(taken.case_id)
        if one.recipient == taken.recipient and one.left and says(one, taken)
    ]
    return min(found, key=lambda one: (one.decided_at, one.id)).id if found else None


def _withdraws(one: Disclosure, taken: Disclosure) -> bool:
    """Tell whether `one` is the withdrawal of `taken`.

    It is decided in the transaction that takes back, under the version by which it was told.
    """
    since = taken.withdrawn_at
    return one.kind == "withdrawal" and since is not None and one.decided_at >= since


def _corrects(one: Disclosure, taken: Disclosure) -> bool:
    """Tell whether `one` corrects `taken`.

    It is decided just before in the same transaction, for a newer version.
    """
    return one.kind == "correction" and one.snapshot_version > taken.snapshot_version
