"""What a decision takes back of what had left: a veto bites also what was told before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from common.events.case import CaseSnapshot
from sharing.agreements.model import RULE_FAILED
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
        """Whether a veto on its recipient was set after it was decided on."""
        return any(
            marking.agency in {"*", one.recipient}
            and self.since.get(marking.marking_id, self.snapshot.version) > one.snapshot_version
            for marking in self.snapshot.markings
        )


def taken_back(
    before: Before, said: Mapping[str, str], withheld: Mapping[str, str]
) -> Iterator[TakenBack]:
    """Find what of the earlier disclosures no longer stands.

    `said` holds the fingerprint of what each permitted recipient may know now, `withheld` the
    reason of each that may know nothing.
    """
    for recipient in sorted({one.recipient for one in before.earlier}):
        mine = [one for one in before.earlier if one.recipient == recipient]
        told = tuple(one for one in mine if one.left and one.kind != "withdrawal")
        vetoed = tuple(one for one in told if before.vetoed(one))
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
            if (told or again) and (vetoed or withheld[recipient] not in STAYS):
                yield TakenBack(recipient, (*again, *told), told=True, blocked=blocked)
        elif vetoed and before.everybody:
            # It left the agreement since, so no clause serves it any more; a veto counts the same.
            yield TakenBack(recipient, told, told=True)


def _unsaid(mine: Sequence[Disclosure]) -> tuple[Disclosure, ...]:
    """The newest withdrawal to this recipient, if it was stopped for good: it is made anew."""
    withdrawals = [one for one in mine if one.kind == "withdrawal" and not one.superseded]
    return tuple(one for one in withdrawals[-1:] if one.state is State.BLOCKED)
