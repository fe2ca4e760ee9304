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
    **{(phase, Step.SAVE): phase for phase in (SENT, PROMISED, UNPROVABLE)},
    **{(phase, Step.ACKNOWLEDGE): phase for phase in (SENT, PROMISED, UNPROVABLE)},
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

    Each method returns a new value. Raises WrongState where the table has no such step.
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
    def proof(self) -> Literal["proven", "promised"]:
        """What a released one is told to carry."""
        return "promised" if self.standing is Standing.PROMISED else "proven"

    def can(self, step: Step) -> bool:
        """Whether the table has this step."""
        return (self.phase, step) in TRANSITIONS

    def prove(self, at: datetime) -> "Disclosure":
        """The log's receipt came: it may leave from now on."""
        return self._take(Step.PROVE, next_at=at, proven_at=at)

    def release(self, at: datetime, sealed_to: str | None) -> "Disclosure":
        """It leaves with its proof."""
        return self._leave(Step.RELEASE, at, sealed_to)

    def promise(self, at: datetime, due: datetime, sealed_to: str | None) -> "Disclosure":
        """It leaves on a person's word; its proof is due."""
        return self._leave(Step.PROMISE, at, sealed_to, proof_due=due)

    def keep_promise(self, sealed_to: str | None) -> "Disclosure":
        """The proof follows what left on a promise."""
        return self._take(Step.KEEP_PROMISE, proof_due=None, reason=None, sealed_to=sealed_to)

    def break_promise(self, reason: Hold) -> "Disclosure":
        """There will be no proof of what left."""
        return self._take(Step.BREAK_PROMISE, proof_due=None, reason=reason)

    def mark_overdue(self) -> "Disclosure":
        """The promise is past its hour, and its referrer was told."""
        return self._take(Step.MARK_OVERDUE, reason=Hold.OVERDUE)

    def seal_again(self, sealed_to: str) -> "Disclosure":
        """The same delivery in a new envelope, for a new key."""
        return self._take(Step.SEAL_AGAIN, sealed_to=sealed_to)

    def postpone(self, reason: Hold, now: datetime) -> "Disclosure":
        """Not now: it is tried again after a pause that doubles."""
        return self._take(
            Step.POSTPONE,
            reason=reason,
            attempts=self.attempts + 1,
            next_at=now + wait(self.attempts),
        )

    def block(self, reason: Hold) -> "Disclosure":
        """It will not leave without a person."""
        return self._take(Step.BLOCK, reason=reason, next_at=None)

    def supersede(self) -> "Disclosure":
        """It was decided on again; this one must not leave."""
        return self._take(Step.SUPERSEDE, reason=Hold.SUPERSEDED, next_at=None)

    def save(self, at: datetime) -> "Disclosure":
        """Its recipient signed that it holds it; the first time counts."""
        return self._take(Step.SAVE, saved_at=self.saved_at or at)

    def acknowledge(self, at: datetime) -> "Disclosure":
        """Somebody at its recipient has taken it up; the first time counts."""
        return self._take(Step.ACKNOWLEDGE, acknowledged_at=self.acknowledged_at or at)

    def _leave(
        self, step: Step, at: datetime, sealed_to: str | None, proof_due: datetime | None = None
    ) -> "Disclosure":
        return self._take(
            step,
            reason=None,
            released_at=at,
            next_at=None,
            attempts=self.attempts + 1,
            sealed_to=sealed_to,
            proof_due=proof_due,
        )

    def _take(self, step: Step, **changes: Any) -> "Disclosure":
        to = TRANSITIONS.get((self.phase, step))
        if to is None:
            raise WrongState(self.phase, step)
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
    """How long until the next try after so many.

    It doubles from a quarter of a second to half a minute.
    """
    return timedelta(seconds=min(_FIRST_WAIT * 2 ** min(attempts, 16), _LONGEST_WAIT))
