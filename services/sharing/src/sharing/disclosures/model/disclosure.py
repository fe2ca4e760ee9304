"""The life of one disclosure, from its decision to a signed receipt.

Every state word of sharing stands here. `TRANSITIONS` is the only table of what may follow what;
docs/disclosure-states.md is made from it.
"""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal
from uuid import UUID

from common.access import Proof
from sharing.cases.model import Opens, Reason, Relation, require
from sharing.content.model.projection import Kind
from sharing.disclosures.model.answers import Answer

_SEAL: Final = object()
_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 30.0
PATIENCE: Final = 6
"""Tries, about sixteen seconds, after which waiting is somebody's business."""


class State(StrEnum):
    """How far a disclosure has come."""

    AWAITING_RECEIPT = "awaiting_receipt"
    PROVEN = "proven"
    BLOCKED = "blocked"
    SUPERSEDED = "superseded"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


class Standing(StrEnum):
    """What is shown for a disclosure that left: a proof, or a promise of one."""

    PROVEN = "proven"
    PROMISED = "promised"


class Hold(StrEnum):
    """Why a disclosure waits, will not leave, or lacks its proof."""

    # It waits: each is tried again, and each is shown to the desk.
    NO_ANSWER = "no-answer"
    NEWER_VERSION = "newer-version"
    STREAM_HELD = "stream-held"
    DIRECTORY_STALE = "directory-stale"
    SUSPENDED = "recipient-suspended"
    NO_KEY = "recipient-without-key"
    FAILED = "release-failed"
    # It will not leave without a person.
    AUDIT_REJECTED = "audit-rejected"
    PROOF_WRONG = "proof-wrong"
    VETO = "veto"
    SUPERSEDED = "superseded"
    ERASED = "key-destroyed"
    ALTERED = "altered"
    # It left on a promise that is past its hour; said once, and taken back when the proof comes.
    OVERDUE = "promise-overdue"


class Step(StrEnum):
    """What can happen to a disclosure."""

    PROVE = "prove"
    RELEASE = "release"
    PROMISE = "promise"
    KEEP_PROMISE = "keep promise"
    BREAK_PROMISE = "break promise"
    MARK_OVERDUE = "mark overdue"
    SEAL_AGAIN = "seal again"
    POSTPONE = "postpone"
    BLOCK = "block"
    SUPERSEDE = "supersede"
    SAVE = "save"
    ACKNOWLEDGE = "acknowledge"
    OPEN = "open"
    WITHDRAW = "withdraw"
    ASK = "ask for an answer"
    ANSWER = "answer"
    MARK_UNANSWERED = "mark unanswered"


@dataclass(frozen=True, slots=True)
class Phase:
    """A state with its standing; the two change together."""

    state: State
    standing: Standing | None = None


WAITING: Final = Phase(State.AWAITING_RECEIPT)
READY: Final = Phase(State.PROVEN)
BLOCKED: Final = Phase(State.BLOCKED)
SUPERSEDED: Final = Phase(State.SUPERSEDED)
SENT: Final = Phase(State.RELEASED, Standing.PROVEN)
PROMISED: Final = Phase(State.RELEASED, Standing.PROMISED)
UNPROVABLE: Final = Phase(State.RELEASED)
"""It left on a promise that was broken: there will be no proof."""
WITHDRAWN: Final = Phase(State.WITHDRAWN)
"""It left and was taken back: it is not served any more, and its recipient is told."""
_LEFT: Final = (SENT, PROMISED, UNPROVABLE)

UNSENT: Final = (State.AWAITING_RECEIPT, State.PROVEN, State.BLOCKED)

TRANSITIONS: Final[Mapping[tuple[Phase, Step], Phase]] = {
    (WAITING, Step.PROVE): READY,
    (WAITING, Step.PROMISE): PROMISED,
    (WAITING, Step.BLOCK): BLOCKED,
    (WAITING, Step.SUPERSEDE): SUPERSEDED,
    (READY, Step.RELEASE): SENT,
    (READY, Step.POSTPONE): READY,
    (READY, Step.BLOCK): BLOCKED,
    (READY, Step.SUPERSEDE): SUPERSEDED,
    (BLOCKED, Step.SUPERSEDE): SUPERSEDED,
    (PROMISED, Step.KEEP_PROMISE): SENT,
    (PROMISED, Step.MARK_OVERDUE): PROMISED,
    (PROMISED, Step.BREAK_PROMISE): UNPROVABLE,
    **{(phase, Step.SEAL_AGAIN): phase for phase in (SENT, PROMISED)},
    **{(phase, Step.WITHDRAW): WITHDRAWN for phase in (*_LEFT, WITHDRAWN)},
    **{(phase, Step.OPEN): phase for phase in _LEFT},
    # What a recipient says of something it had read counts also when that was taken back.
    **{
        (phase, step): phase
        for phase in (*_LEFT, WITHDRAWN)
        for step in (Step.SAVE, Step.ACKNOWLEDGE, Step.ANSWER)
    },
    **{(phase, step): phase for phase in _LEFT for step in (Step.ASK, Step.MARK_UNANSWERED)},
    # Also while it waits: what a withdrawal takes back may turn out to have been read.
    **{(phase, Step.ASK): phase for phase in (WAITING, READY, BLOCKED)},
}


AUDIT_BLOCKED: Final = "blocked"
"""The audit log's operation for what was stopped, superseded included."""


class WrongState(ValueError):
    """A disclosure cannot take this step from where it stands."""

    def __init__(self, phase: Phase, step: Step) -> None:
        super().__init__(f"{step} from {phase.state}")
        self.phase = phase
        self.step = step


class Moved(Exception):
    """Another transaction changed the disclosure first; nothing was done."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One permitted delivery and where it stands. Holds nothing about a person. Times are UTC.

    Each method returns a new value.

    Raises WrongState where the table has no such step.
    """

    id: UUID
    decision_id: UUID
    case_id: UUID
    snapshot_version: int
    recipient: str
    kind: Kind
    clause: str
    record_id: UUID
    commitment: str
    fingerprint: str
    decided_at: datetime
    state: State = State.AWAITING_RECEIPT
    standing: Standing | None = None
    reason: Hold | None = None
    attempts: int = 0
    next_at: datetime | None = None
    proven_at: datetime | None = None
    released_at: datetime | None = None
    saved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    proof_due: datetime | None = None
    sealed_to: str | None = None
    opened_at: datetime | None = None
    """When it was first served to be read; a list that a person looks at is no reading."""
    withdrawn_at: datetime | None = None
    answer_due: datetime | None = None
    """When an answer to it is due; None when none is asked for."""
    answered_at: datetime | None = None
    answer: Answer | None = None
    duty: str | None = None
    """The coded duty under which the recipient keeps what was taken back."""
    unanswered_at: datetime | None = None
    """When it was noted that no answer came in time."""

    @property
    def phase(self) -> Phase:
        """Where it stands in the table."""
        return Phase(self.state, self.standing)

    @property
    def unsent(self) -> bool:
        """Whether it has not left and could still be superseded."""
        return self.can(Step.SUPERSEDE)

    @property
    def on_its_way(self) -> bool:
        """Whether it will leave by itself."""
        return self.phase in {WAITING, READY}

    @property
    def superseded(self) -> bool:
        """Whether a later decision took its place."""
        return self.state is State.SUPERSEDED

    @property
    def left(self) -> bool:
        """Whether its recipient was given it."""
        return self.state is State.RELEASED

    @property
    def withdrawn(self) -> bool:
        """Whether it left and was taken back."""
        return self.state is State.WITHDRAWN

    @property
    def corrected(self) -> bool:
        """Whether it was taken back for a correction's sake, and no withdrawal names it."""
        return self.withdrawn and self.reason is Hold.SUPERSEDED

    @property
    def opened(self) -> bool:
        """Whether its recipient is known to have read it."""
        return any((self.opened_at, self.saved_at, self.acknowledged_at))

    def unanswered(self, now: datetime) -> bool:
        """Tell whether its answer is overdue and nobody was told yet."""
        late = self.answer_due is not None and self.answer_due < now
        return late and self.answered_at is None and self.unanswered_at is None

    @property
    def proof(self) -> Literal["proven", "promised"]:
        """What a released one is told to carry."""
        return "promised" if self.standing is Standing.PROMISED else "proven"

    def can(self, step: Step) -> bool:
        """Tell whether the table has this step, and this kind may take it.

        A withdrawal never leaves on a promise: only after its own entry is in the log.
        """
        promised = step is Step.PROMISE and self.kind == "withdrawal"
        return (self.phase, step) in TRANSITIONS and not promised

    def prove(self, at: datetime) -> "Disclosure":
        """Take the log's receipt: it may leave from now on."""
        return self._take(Step.PROVE, next_at=at, proven_at=at)

    def release(
        self, at: datetime, sealed_to: str | None, answer_due: datetime | None = None
    ) -> "Disclosure":
        """Let it leave with its proof."""
        return self._leave(Step.RELEASE, at, sealed_to, answer_due=answer_due)

    def promise(
        self,
        at: datetime,
        due: datetime,
        sealed_to: str | None,
        answer_due: datetime | None = None,
    ) -> "Disclosure":
        """Let it leave on a person's word; its proof is due."""
        return self._leave(Step.PROMISE, at, sealed_to, proof_due=due, answer_due=answer_due)

    def keep_promise(self, sealed_to: str | None) -> "Disclosure":
        """Let the proof follow what left on a promise."""
        return self._take(Step.KEEP_PROMISE, proof_due=None, reason=None, sealed_to=sealed_to)

    def break_promise(self, reason: Hold) -> "Disclosure":
        """Note that there will be no proof of what left."""
        return self._take(Step.BREAK_PROMISE, proof_due=None, reason=reason)

    def mark_overdue(self) -> "Disclosure":
        """Note that the promise is past its hour, and that its referrer was told."""
        return self._take(Step.MARK_OVERDUE, reason=Hold.OVERDUE)

    def seal_again(self, sealed_to: str) -> "Disclosure":
        """Put the same delivery in a new envelope, for a new key."""
        return self._take(Step.SEAL_AGAIN, sealed_to=sealed_to)

    def postpone(self, reason: Hold, now: datetime) -> "Disclosure":
        """Postpone it: it is tried again after a pause that doubles."""
        return self._take(
            Step.POSTPONE,
            reason=reason,
            attempts=self.attempts + 1,
            next_at=now + wait(self.attempts),
        )

    def block(self, reason: Hold) -> "Disclosure":
        """Block it: it will not leave without a person."""
        return self._take(Step.BLOCK, reason=reason, next_at=None)

    def supersede(self) -> "Disclosure":
        """Supersede it: it was decided on again, and this one must not leave."""
        return self._take(Step.SUPERSEDE, reason=Hold.SUPERSEDED, next_at=None)

    def save(self, at: datetime) -> "Disclosure":
        """Note that its recipient signed that it holds it; the first time counts."""
        return self._take(Step.SAVE, saved_at=self.saved_at or at)

    def acknowledge(self, at: datetime) -> "Disclosure":
        """Note that somebody at its recipient has taken it up; the first time counts."""
        return self._take(Step.ACKNOWLEDGE, acknowledged_at=self.acknowledged_at or at)

    def open(self, at: datetime) -> "Disclosure":
        """Note that its content is served to be read; the first time counts."""
        return self._take(Step.OPEN, opened_at=self.opened_at or at)

    def withdraw(self, at: datetime, reason: Hold) -> "Disclosure":
        """Take it back: nothing serves it from now on. The first time counts."""
        since = self.withdrawn_at or at
        ends = {"withdrawn_at": since, "proof_due": None, "answer_due": None}
        return self._take(Step.WITHDRAW, reason=reason, **ends)

    def ask(self, due: datetime) -> "Disclosure":
        """Ask for an answer after all: what it is about had been read."""
        return self._take(Step.ASK, answer_due=self.answer_due or due)

    def say(self, at: datetime, answer: Answer, duty: str | None) -> "Disclosure":
        """Note its recipient's answer; a later answer takes the place of an earlier one."""
        return self._take(Step.ANSWER, answered_at=at, answer=answer, duty=duty)

    def mark_unanswered(self, at: datetime) -> "Disclosure":
        """Note that no answer came in time, and that who chases it was told."""
        return self._take(Step.MARK_UNANSWERED, unanswered_at=at)

    def _leave(
        self,
        step: Step,
        at: datetime,
        sealed_to: str | None,
        *,
        proof_due: datetime | None = None,
        answer_due: datetime | None = None,
    ) -> "Disclosure":
        return self._take(
            step,
            reason=None,
            released_at=at,
            next_at=None,
            attempts=self.attempts + 1,
            sealed_to=sealed_to,
            proof_due=proof_due,
            answer_due=answer_due,
        )

    def _take(self, step: Step, **changes: Any) -> "Disclosure":
        if not self.can(step):
            raise WrongState(self.phase, step)
        to = TRANSITIONS[self.phase, step]
        return replace(self, state=to.state, standing=to.standing, **changes)


@dataclass(frozen=True, slots=True)
class AuthorisedDisclosure(Proof):
    """A disclosure and the relation by which its evidence may be opened.

    Only a lookup scoped to that relation makes one: see `authorised_disclosure`.
    """

    disclosure: Disclosure
    relation: Relation
    reason: Reason | None
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse every maker that is not this module."""
        if seal is not _SEAL:
            raise TypeError("an authorised disclosure comes from a lookup only")

    def require(self, part: Opens) -> None:
        """Check that the relation opens `part`. Raises NotAllowed."""
        require(part, self.relation, self.reason)


def authorised_disclosure(
    disclosure: Disclosure, relation: Relation, reason: Reason | None = None
) -> AuthorisedDisclosure:
    """Make the proof. For repositories; tests/architecture lists every caller."""
    return AuthorisedDisclosure(disclosure, relation, reason, _SEAL)


def wait(attempts: int) -> timedelta:
    """Return how long to wait until the next try after so many.

    It doubles from a quarter of a second to half a minute.
    """
    return timedelta(seconds=min(_FIRST_WAIT * 2 ** min(attempts, 16), _LONGEST_WAIT))
