"""Deliveries as a work list shows them, and what each says of its own handling."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from common.access import Principal
from hubformats.wording import not_left
from hubpartner.accepting import accept_by
from hubpartner.delivery import Delivery

PROMISED: Final = "promised"
"""How a package stands that left on a promise and brings no proof (`Verdict.standing`)."""
PROOF_FOLLOWS: Final = "notice"
"""The kind of the delivery that brings the proof of an earlier one."""
STOPPED: Final = "stopped_and_deleted"
KEPT: Final = "kept_under_duty"
CORRECTED: Final = "corrected"
CHOICES: Final[Mapping[str, Mapping[str, str]]] = {
    "withdrawal": {STOPPED: "Stopped using it and deleted it", KEPT: "Kept it, under a duty"},
    "correction": {
        CORRECTED: "Corrected our record: it says what stands here, and this delivery is accepted",
        STOPPED: "Stopped using what we were told before, and deleted it",
        KEPT: "Kept what we were told before, under a duty",
    },
}
"""What may be answered, by the kind of delivery; sharing holds the same lists."""
TAKEN_UP: Final = "acknowledged"
"""Sharing's word for a delivery that a role has acknowledged."""


class RowState(StrEnum):
    """How far a line of the work list has come."""

    NEW = "new"
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    """By a role, and not signed for yet."""
    ACCEPTED = "accepted"
    TO_ANSWER = "to answer"
    """A withdrawal, which is answered and not accepted."""
    ANSWERED = "answered"


class KeysKeptElsewhere(Exception):
    """The person's agency keeps its own keys, so its deliveries open in its own system only."""


class AuditBacklog(Exception):
    """Reads cannot be accounted for now, so nothing is opened."""


@dataclass(frozen=True, slots=True)
class Delayed:
    """How many deliveries wait for their entry in the audit log, and since when (as served)."""

    urgent: int = 0
    others: int = 0
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Delays:
    """What waits on its way to the agency, and of the agency's own referrals to others."""

    received: Delayed = field(default_factory=Delayed)
    sent: Delayed = field(default_factory=Delayed)


@dataclass(frozen=True, slots=True)
class DelayLine:
    """One sentence on what waits. `own`: of this agency's referrals, so its people may release."""

    text: str
    urgent: bool
    own: bool


def delay_lines(delays: Delays) -> tuple[DelayLine, ...]:
    """Say what waits for this agency, then what waits of its own referrals. Empty when none does.

    Both are said, though only the referring agency's coordinator can release. An adviser who knows
    that something urgent is on its way can ring.
    """
    sides = (
        (delays.received, "to your agency", False),
        (delays.sent, "of your agency’s referrals", True),
    )
    return tuple(
        DelayLine(f"{text}.", bool(one.urgent), own)
        for one, whose, own in sides
        if (text := not_left(one.urgent, one.others, whose, one.since or ""))
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery as the inbox lists it: metadata, and its envelope still sealed.

    `envelope` is None when its bytes are not what their digest says.
    """

    delivery_id: str
    kind: str
    state: str
    delivered_at: str
    envelope: bytes | None = field(default=None, repr=False)
    proof_followed: bool = False
    """It left on a promise, and a later envelope of the same delivery brought its proof."""
    saved_at: str | None = None
    """When the agency signed for it, None before. An acknowledgement alone is no receipt."""
    answer_due: str | None = None
    """When an answer to it is due (ISO moment in UTC), None where none is asked for."""
    answer: str | None = None
    """What the agency answered to a withdrawal or correction."""
    duty: str | None = None

    @property
    def taken_up(self) -> bool:
        """Tell whether a role has acknowledged it."""
        return self.state == TAKEN_UP

    @property
    def withdrawal(self) -> bool:
        """Tell whether it takes back what was told before."""
        return self.kind == "withdrawal"

    @property
    def to_answer(self) -> bool:
        """Tell whether somebody must say what was done with what had been read."""
        return self.answer_due is not None and self.answer is None

    @property
    def answered(self) -> bool:
        """Tell whether an answer stands for it in place of acceptance.

        Only whoever accepts a correction says that its record was corrected.
        """
        return self.answer is not None and self.answer != CORRECTED

    def overdue(self, now: datetime) -> bool:
        """Tell whether its answer did not come in time."""
        due = self.answer_due
        return due is not None and self.to_answer and datetime.fromisoformat(due) < now

    @property
    def to_accept(self) -> bool:
        """Tell whether the receipt or the acknowledgement is missing.

        One of them alone is there when we died between the two. A withdrawal is answered instead,
        and a correction may be.
        """
        if self.withdrawal:
            return self.answer is None
        if self.answered:
            return False
        return self.saved_at is None or not self.taken_up


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a delivery still stands. Times are as served.

    `taken_back_at` is None while that is not decided, `said_by` until the delivery that says so has
    come. `replaced`: a correction takes its place.
    """

    stands: bool
    taken_back_at: str | None = None
    replaced: bool = False
    said_by: str | None = None

    @property
    def told(self) -> str:
        """Name this state: a page that shows the same one has learnt nothing."""
        return "stands" if self.stands else f"gone {self.taken_back_at} {self.said_by}"


@dataclass(frozen=True, slots=True)
class Sealed:
    """One delivery with the exact bytes of its envelope."""

    waiting: Waiting
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """What a delivery says of its own handling, kept to order the work list. Holds no names.

    Before a person has opened it, it is what the portal itself read. `opened` is False then, and no
    case is named.
    """

    case_reference: str | None
    urgent: bool
    accept_by: str | None = None
    """ISO moment in UTC, None where no clause sets a time."""
    promised: bool = False
    """It left on a promise; stays so when the proof has followed."""
    opened: bool = True
    case_mark: str | None = None
    """The same for every delivery on one case, and tells nothing of the case by itself."""
    fuller: bool = False
    """The first of its case that came with time to spare, after danger was told in a hurry."""
    newer_id: str | None = None
    """The newest delivery on the same case that tells something, a withdrawal never does.

    None when nothing newer was there when the list was last shown.
    """
    newer_at: str | None = None
    presses: bool = False
    """The newest of its case while an earlier urgent one is still to accept.

    Whoever goes there should read this one.
    """
    accepted_by: str | None = None
    """Which person of the agency accepted it here, as `person_mark` writes it."""


def person_mark(who: Principal) -> str:
    """Return what is the same for one person each time, and is no name."""
    return hashlib.sha256(f"person\0{who.issuer}\0{who.subject}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Opened:
    """A delivery that verified, how it stands, and what the work list told of it."""

    delivery: Delivery
    standing: Waiting
    known: Known


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One line of the work list. `known` is None where nothing of it could be read here."""

    waiting: Waiting
    known: Known | None

    @property
    def state(self) -> RowState:
        """Tell how far it has come."""
        if self.waiting.withdrawal:
            return RowState.TO_ANSWER if self.waiting.to_accept else RowState.ANSWERED
        if self.waiting.answered:
            return RowState.ANSWERED
        if not self.waiting.to_accept:
            return RowState.ACCEPTED
        if self.waiting.taken_up:
            return RowState.ACKNOWLEDGED
        seen = self.known is not None and self.known.opened
        return RowState.OPENED if seen else RowState.NEW

    @property
    def urgent(self) -> bool:
        """Tell whether there is danger now: it says so, it left in an emergency, or it presses.

        A proof that follows changes nothing of the emergency.
        """
        known = self.known
        return self.waiting.proof_followed or (
            known is not None and (known.urgent or known.promised or known.presses)
        )

    @property
    def fuller(self) -> bool:
        """Tell whether it fills in what an urgent one before it left open."""
        return self.known is not None and self.known.fuller

    @property
    def promised(self) -> bool:
        """Tell whether it came on a promise whose proof has not followed."""
        return self.known is not None and self.known.promised and not self.waiting.proof_followed


DONE: Final = frozenset({RowState.ACCEPTED, RowState.ANSWERED})
"""States in which a row asks for nothing more."""


def known_of(
    content: Mapping[str, Any], delivered_at: str, *, promised: bool, opened: bool
) -> Known:
    """Read what a verified delivery says of its own handling.

    The case is named only once a person has opened it. What left on a promise left because
    somebody's life is in danger. So it is to be accepted within the hour.
    """
    codes = (
        {"acknowledge-one-hour"}
        if promised
        else {str(one["code"]) for one in content["obligations"]}
    )
    by = accept_by(codes, datetime.fromisoformat(delivered_at))
    case = str(content["caseReference"])
    return Known(
        case if opened else None,
        bool(content["urgent"]),
        None if by is None else by.astimezone(UTC).isoformat(),
        promised,
        opened,
        case_mark=hashlib.sha256(f"case\0{case}".encode()).hexdigest()[:32],
    )
