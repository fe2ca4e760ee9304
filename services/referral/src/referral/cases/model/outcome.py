"""What became of one recipient of a case, as the referrer hears it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final


class OutcomeState(StrEnum):
    """How far the newest version came with one recipient."""

    WITHHELD = "withheld"
    DECIDED = "decided"
    BLOCKED = "blocked"
    RELEASED = "released"
    SAVED = "saved"
    WITHDRAWN = "withdrawn"
    """It left and was taken back; what was read cannot be unread."""


class AnswerState(StrEnum):
    """What a recipient says it did with what was taken back or corrected after it was opened."""

    AWAITED = "awaited"
    OVERDUE = "overdue"
    CORRECTED = "corrected"
    STOPPED = "stopped_and_deleted"
    KEPT = "kept_under_duty"


class Proof(StrEnum):
    """Whether what left is proven to have been logged first."""

    PROMISED = "promised"
    """An emergency release; its proof follows within the hour."""
    PROVEN = "proven"
    OVERDUE = "overdue"
    BROKEN = "broken"


_S = OutcomeState
LATER: Final[Mapping[OutcomeState, frozenset[OutcomeState]]] = {
    _S.WITHHELD: frozenset({_S.DECIDED, _S.BLOCKED, _S.RELEASED, _S.SAVED}),
    _S.DECIDED: frozenset({_S.BLOCKED, _S.RELEASED, _S.SAVED}),
    _S.BLOCKED: frozenset({_S.RELEASED, _S.SAVED}),
    _S.RELEASED: frozenset({_S.SAVED, _S.WITHDRAWN}),
    _S.SAVED: frozenset({_S.WITHDRAWN}),
    # What may be known still follows as a correction; until it leaves, this reads withdrawn.
    _S.WITHDRAWN: frozenset({_S.BLOCKED, _S.RELEASED}),
}
"""The states that may follow each within one version; a newer version may bring any.

What was told stays told: `withheld` never follows what left, in no version.
"""
_LEFT: Final = frozenset({_S.RELEASED, _S.SAVED, _S.WITHDRAWN})
_WITHOUT_ANSWER: Final = frozenset({AnswerState.AWAITED, AnswerState.OVERDUE})
_UNKEPT: Final = frozenset({Proof.OVERDUE, Proof.BROKEN})
_OPEN: Final = frozenset({Proof.PROMISED, Proof.OVERDUE})


class OutcomeUnknown(LookupError):
    """A promise failed of a release that was never told."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The newest state of one recipient. Times are UTC."""

    recipient: str
    version: int
    """The version of the case it is about."""
    state: OutcomeState
    changed_at: datetime
    first_at: datetime
    """When this recipient was first decided on."""
    clause: str | None = None
    proof: Proof | None = None
    reason_code: str | None = None
    earlier_promise: Proof | None = None
    """What an emergency release of an earlier version came to that has no proof."""
    answer: AnswerState | None = None
    """To the newest withdrawal or correction that asked for one."""
    duty: str | None = None
    """The coded duty under which the recipient keeps what was taken back."""

    @property
    def waiting_since(self) -> datetime | None:
        """When it was decided, while it has not left; None before and after."""
        return self.changed_at if self.state is OutcomeState.DECIDED else None

    def heard(self, news: "Outcome") -> "Outcome":
        """Take in news of the same recipient; older or repeated news changes nothing.

        The proof of what left on a promise may come late; it then changes nothing else.
        """
        if news.state is OutcomeState.WITHHELD and self.state in _LEFT:
            return self
        again = (self.state, self.version) == (OutcomeState.WITHDRAWN, news.version)
        if again and news.changed_at <= self.changed_at:
            return self  # of what was taken back since, however late it comes
        if news.version > self.version or (
            news.version == self.version and news.state in LATER[self.state]
        ):
            waits = self.answer in _WITHOUT_ANSWER
            return replace(
                news,
                first_at=self.first_at,
                earlier_promise=self._unproven(news),
                answer=self.answer if waits else None,
            )
        return self._proven(news)

    def taken_back(self, version: int, at: datetime, *, asked: bool) -> "Outcome":
        """Note that what left was taken back, and whether an answer is asked for.

        What left under a later version stays as it is.
        """
        if version < self.version:
            return self
        return replace(
            self,
            version=version,
            state=OutcomeState.WITHDRAWN,
            changed_at=at,
            answer=AnswerState.AWAITED if asked else None,
            duty=None,
        )

    def answers(self, answer: AnswerState, duty: str | None = None) -> "Outcome":
        """Note what is known of the recipient's answer; one that came is never overdue again."""
        if answer is AnswerState.OVERDUE and self.answer is not AnswerState.AWAITED:
            return self
        return replace(self, answer=answer, duty=duty)

    def saved(self, at: datetime) -> "Outcome":
        """Note that the recipient's system of record signed for what left."""
        if OutcomeState.SAVED not in LATER[self.state] or self.state is OutcomeState.WITHHELD:
            return self
        return replace(self, state=OutcomeState.SAVED, changed_at=at)

    def unkept(self, version: int, standing: Proof) -> "Outcome":
        """Note that the promise a version left on is overdue, or broken for good."""
        if self.version == version and self.proof in _OPEN:
            return replace(self, proof=standing)
        if self.version > version and self.earlier_promise is not Proof.BROKEN:
            return replace(self, earlier_promise=standing)
        return self

    def _unproven(self, news: "Outcome") -> Proof | None:
        """Keep what a newer version must not take from the referrer.

        There is no proof of what left under an older one.
        """
        passed = self.version < news.version and self.proof in _UNKEPT
        if passed and self.earlier_promise is not Proof.BROKEN:
            return self.proof
        return self.earlier_promise

    def _proven(self, news: "Outcome") -> "Outcome":
        """Note a proof that came after all; a promise that is broken stays so."""
        if news.proof is not Proof.PROVEN:
            return self
        if self.version == news.version and self.proof in _OPEN:
            return replace(self, proof=Proof.PROVEN)
        if self.version > news.version and self.earlier_promise is Proof.OVERDUE:
            return replace(self, earlier_promise=None)
        return self
