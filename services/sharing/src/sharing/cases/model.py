"""A case as sharing knows it, and the proof that somebody may have its content opened."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from enum import Enum, StrEnum, auto
from typing import Final
from uuid import UUID

from common.access import Proof
from common.events.case import CaseSnapshot

_SEAL: Final = object()

THIRD_PARTY: Final = "third_party"
"""How a referral came to be when its referrer learns only that it arrived."""


_BARS: Final = frozenset({"conflict", "employee_subject"})


def keeps_out(snapshot: CaseSnapshot, agency: str) -> bool:
    """Tell whether a veto on the case keeps an agency out of all of it, its referrer included."""
    return any(each.kind in _BARS and each.agency == agency for each in snapshot.markings)


class CaseNotFound(LookupError):
    """No case of that name has a relation to who asks; the same for another's case and for none."""


class Relation(StrEnum):
    """Why somebody may have what is kept of a case opened."""

    REFERRER = "referrer"
    """The agency that referred, and not for a third party."""
    OWN_WORK = "own-work"
    """This service, for an event it verified or a decision it made."""
    RECIPIENT = "recipient"
    """The agency that a disclosure was delivered to."""


class Reason(StrEnum):
    """For what this service opens something by itself."""

    DECIDE = "decide"
    DECIDE_AGAIN = "decide-again"
    RELEASE = "release"
    KEEP_PROMISE = "keep-promise"
    SEAL_AGAIN = "seal-again"
    WITHDRAW = "withdraw"


class Opens(Enum):
    """What a relation may have opened, or shown as it is sealed."""

    SNAPSHOT = auto()
    """The case, as sharing decides on it."""
    EVIDENCE = auto()
    """The content of one disclosure, with its record and proof."""
    ENVELOPE = auto()
    """What was sealed to the recipient; this service cannot open it."""


_NOTHING: Final[frozenset[Opens]] = frozenset()
ALLOWED: Final[Mapping[tuple[Relation, Reason | None], frozenset[Opens]]] = {
    (Relation.REFERRER, None): frozenset({Opens.SNAPSHOT, Opens.EVIDENCE}),
    (Relation.RECIPIENT, None): frozenset({Opens.ENVELOPE}),
    (Relation.OWN_WORK, Reason.DECIDE): frozenset({Opens.SNAPSHOT}),
    (Relation.OWN_WORK, Reason.DECIDE_AGAIN): frozenset({Opens.SNAPSHOT}),
    (Relation.OWN_WORK, Reason.RELEASE): frozenset({Opens.EVIDENCE}),
    (Relation.OWN_WORK, Reason.KEEP_PROMISE): frozenset({Opens.EVIDENCE}),
    (Relation.OWN_WORK, Reason.SEAL_AGAIN): frozenset({Opens.EVIDENCE}),
    (Relation.OWN_WORK, Reason.WITHDRAW): frozenset({Opens.EVIDENCE}),
}
"""What each relation opens, for this service by its reason. What is not here opens nothing."""


class NotAllowed(Exception):
    """The relation, or the reason, does not open this part."""


def require(part: Opens, relation: Relation, reason: Reason | None) -> None:
    """Check that the relation opens `part` for this reason. Raises NotAllowed."""
    if part not in ALLOWED.get((relation, reason), _NOTHING):
        raise NotAllowed(f"{relation} for {reason} does not open {part.name}")


@dataclass(frozen=True, slots=True)
class CaseFile:
    """What sharing knows of a case at the newest snapshot version it has decided on.

    Holds no personal data. `markings` are the vetoes that the decision took into account, each
    with the first version that did without a break. `source` is how the referral came to be.
    """

    case_id: UUID
    version: int
    referrer: str
    subjects: tuple[UUID, ...]
    markings: Mapping[UUID, int]
    source: str | None = None


@dataclass(frozen=True, slots=True)
class AuthorisedCase(Proof):
    """A case and the relation by which its snapshot may be opened.

    Only a lookup scoped to that relation makes one: see `authorised_case`.
    """

    case: CaseFile
    relation: Relation
    reason: Reason | None
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse every maker that is not this module."""
        if seal is not _SEAL:
            raise TypeError("an authorised case comes from a lookup only")

    def require(self, part: Opens) -> None:
        """Check that the relation opens `part`. Raises NotAllowed."""
        require(part, self.relation, self.reason)


def authorised_case(
    case: CaseFile, relation: Relation, reason: Reason | None = None
) -> AuthorisedCase:
    """Make the proof. For repositories; tests/architecture lists every caller."""
    return AuthorisedCase(case, relation, reason, _SEAL)
