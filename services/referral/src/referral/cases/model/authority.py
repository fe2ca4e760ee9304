"""Proof that a caller has a relation to a case, and what that relation lets it open."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final
from uuid import UUID

from common.access import Granted, Proof

_SEAL = object()


class Relation(StrEnum):
    """How a caller belongs to a case: a row, or derived from one."""

    SENDER = "sender"
    """Its agency sent a referral of the case: a row of `referral`."""
    RECIPIENT = "recipient"
    """It may know the case, or was told of it: a row of `outcome` that is not withheld."""
    ASSIGNED_AGENCY = "assigned_agency"
    COORDINATORS_DESK = "coordinators_desk"
    NAMED_WORKER = "named_worker"
    PRIVACY_OFFICER = "privacy_officer"
    """The partnership's own officer, by the role that identity gave: every case, no facts."""
    SERVICE = "service"
    """Sharing checks a release: the case's own row, and the one client that may ask."""


class Opens(Enum):
    """A part of a case that storage opens."""

    OUTLINE = auto()
    """Codes, flags, vetoes and opaque ids."""
    OUTCOMES = auto()
    """What became of each recipient who was told."""
    REVISION = auto()
    """The whole case, to make its next version; never shown to the caller."""


ALLOWED: Final[Mapping[Relation, frozenset[Opens]]] = {
    Relation.SENDER: frozenset({Opens.OUTLINE, Opens.OUTCOMES, Opens.REVISION}),
    Relation.RECIPIENT: frozenset({Opens.REVISION}),
    Relation.ASSIGNED_AGENCY: frozenset(),
    Relation.COORDINATORS_DESK: frozenset(),
    Relation.NAMED_WORKER: frozenset(),
    Relation.PRIVACY_OFFICER: frozenset({Opens.OUTLINE, Opens.REVISION}),
    Relation.SERVICE: frozenset({Opens.OUTLINE}),
}
"""What each relation opens. Those that open nothing wait for their capability."""


RELEASE_CHECKER: Final = ("svc-sharing", "case.read")
"""The one client, and its scope, to which every case is open for a release check."""


def relation_of(granted: Granted) -> Relation:
    """Tell as what a caller is looked up; whether the case has that relation, storage says."""
    who = granted.principal
    if (who.client_id, granted.scope) == RELEASE_CHECKER:
        return Relation.SERVICE
    if who.kind == "person" and "privacy_officer" in who.roles:
        return Relation.PRIVACY_OFFICER
    return Relation.SENDER


class NotAllowed(Exception):
    """The caller's relation to the case does not open this part of it."""


@dataclass(frozen=True, slots=True)
class AuthorisedCase(Proof):
    """Proof that a lookup found the caller's relation to a case.

    Cannot be made by hand: see `authorise`.
    """

    case_id: UUID
    version: int
    agency: str
    """Whose relation it is."""
    relation: Relation
    sealed_outline: bytes = field(repr=False, compare=False)
    """The outline as the lookup found it, not opened, so that opening asks the database nothing."""
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse every maker that is not this module."""
        if seal is not _SEAL:
            raise TypeError("AuthorisedCase is made by a lookup only")

    def covers(self, case_id: UUID, agency: str) -> None:
        """Check that the proof is about this case and this agency.

        Raises NotAllowed.
        """
        if (self.case_id, self.agency) != (case_id, agency):
            raise NotAllowed("the proof is about another case or agency")

    def require(self, part: Opens) -> None:
        """Check that the relation opens `part`.

        Raises NotAllowed.
        """
        if part not in ALLOWED[self.relation]:
            raise NotAllowed(f"{self.relation} does not open {part.name}")


def authorise(
    case_id: UUID, version: int, agency: str, relation: Relation, sealed_outline: bytes = b""
) -> AuthorisedCase:
    """Make the proof.

    For lookups in storage and their fake; tests/unit/referral/test_authority.py lists every caller.
    """
    return AuthorisedCase(case_id, version, agency, relation, sealed_outline, _SEAL)
