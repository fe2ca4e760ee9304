"""What a decision takes back of what had left: a veto bites also what was told before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from common.events.case import CaseSnapshot
from sharing.agreements.model import RULE_FAILED
from sharing.content.model.projection import Kind
from sharing.decisions.model import LAPSED, NOT_IN_FORCE
from sharing.disclosures.model.disclosure import Disclosure, State
from sharing.disclosures.use_cases.withdrawing import TakenBack

OWN_FACTS: Final = "own-facts"
SUSPENDED: Final = "suspended"
STAYS: Final = frozenset({OWN_FACTS, SUSPENDED, RULE_FAILED, LAPSED, NOT_IN_FORCE})
"""Reasons for withholding that say nothing against what was told before.

An agency is suspended for a time, a rule failed, or the agreement rests.
"""


@dataclass(frozen=True, slots=True)
class Before:
    """A decision's facts, and what was disclosed of the case before it.

    `since` holds the first version that knew each veto. `everybody` says whether all recipients
    are decided on, and not a few that were asked for.
    """

    snapshot: CaseSnapshot
    since: Mapping[UUID, int]
    earlier: Sequence[Disclosure]
    everybody: bool

    def vetoed(self, one: Disclosure) -> bool:
        """Tell whether a veto on its recipient was set after it was decided on."""
        return any(
            marking.agency in {"*", one.recipient}
            and self.since.get(marking.marking_id, self.snapshot.version) > one.snapshot_version
            for marking in self.snapshot.markings
        )


def taken_back(
    before: Before, said: Mapping[str, str], withheld: Mapping[str, str]
) -> Iterator[TakenBack]:
    """Find what of the earlier disclosures no longer stands.

    `said` holds the fingerprint of what each permitted recipient may know now. `withheld` holds the
    reason of each that may know nothing.
    """
    for recipient in sorted({one.recipient for one in before.earlier}):
        mine = [one for one in before.earlier if one.recipient == recipient]
        told = tuple(one for one in mine if one.left and one.kind != "withdrawal")
        vetoed = tuple(one for one in told if before.vetoed(one))
        corrected = tuple(one for one in mine if one.corrected)
        if recipient in said:
            # Something else may be known now: a correction takes the place of what a veto narrows.
            narrowed = tuple(one for one in vetoed if one.fingerprint != said[recipient])
            if narrowed:
                yield TakenBack(recipient, narrowed, told=False)
        elif recipient in withheld:
            blocked = _unsaid(mine)
            again = tuple(one for one in mine if blocked and one.withdrawn)
            # A veto bites whatever else is said: the newest decision knows it, so that from here
            # on nothing but the withdrawal keeps the older package from being shown.
            if (told or again or corrected) and (
                vetoed or unheard(mine) or withheld[recipient] not in STAYS
            ):
                # It names every copy there may be, also what a correction was to take the place of.
                named = {one.id: one for one in (*again, *corrected, *told)}
                yield TakenBack(recipient, tuple(named.values()), told=True, blocked=blocked)
        elif (vetoed or unheard(mine)) and before.everybody:
            # It left the agreement since, so no clause serves it any more; a veto counts the same.
            yield TakenBack(recipient, (*corrected, *told), told=True)


def next_kind(prepared: Sequence[Disclosure]) -> Kind:
    """Choose what the next package to a recipient is, after all that was prepared before.

    What was taken back for a correction's sake is corrected still, though nothing of it stands.
    """
    return "correction" if any(one.left or one.corrected for one in prepared) else "disclosure"


def knows_already(before: Before, prepared: Sequence[Disclosure], said: str) -> bool:
    """Tell whether the recipient was told just this, and holds no copy of which it must hear.

    It must hear of a stopped copy that says something else, be it an older one. It must, too, where
    a copy was stopped and nothing has told of it yet.
    """
    told = [one for one in prepared if one.left]
    if not told or told[-1].fingerprint != said or unheard(prepared):
        return False
    return all(one.fingerprint == said or not before.vetoed(one) for one in told)


def unheard(mine: Sequence[Disclosure]) -> tuple[Disclosure, ...]:
    """List what was taken back for a correction's sake, while no correction has left since."""
    spoken = [one.released_at for one in mine if one.kind == "correction" and one.released_at]
    last = max(spoken, default=None)
    return tuple(
        one
        for one in mine
        if one.corrected and one.withdrawn_at and (last is None or last < one.withdrawn_at)
    )


def _unsaid(mine: Sequence[Disclosure]) -> tuple[Disclosure, ...]:
    """Find the newest withdrawal to this recipient, if it was stopped for good: it is made anew."""
    withdrawals = [one for one in mine if one.kind == "withdrawal" and not one.superseded]
    return tuple(one for one in withdrawals[-1:] if one.state is State.BLOCKED)
