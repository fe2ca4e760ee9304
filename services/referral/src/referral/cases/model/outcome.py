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
    _S.RELEASED: frozenset({_S.SAVED}),
    _S.SAVED: frozenset(),
}
"""The states that may follow each within one version; a newer version may bring any.

What was told stays told: `withheld` never follows what left, in no version.
"""
_LEFT: Final = frozenset({_S.RELEASED, _S.SAVED})
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
        if news.version > self.version or (
            news.version == self.version and news.state in LATER[self.state]
        ):
            return replace(news, first_at=self.first_at, earlier_promise=self._unproven(news))
        return self._proven(news)

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
        """Keep what a newer version must not take from the referrer: there is no proof of what left
        under an older one.
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
