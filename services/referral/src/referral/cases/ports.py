"""What the use cases of a case need from the outside, with the obligations an adapter must keep."""

from collections.abc import Callable, Collection
from typing import Protocol, TypeVar
from uuid import UUID

from common.access import Granted
from referral.cases.model.authority import AuthorisedCase
from referral.cases.model.case import Case, CaseOutline
from referral.cases.model.outcome import Outcome
from referral.cases.model.referral import OwnReferral, Referral
from referral.context import Recording

T = TypeVar("T")


class Cases(Protocol):
    """Cases inside one transaction.

    Obligations: what is about a person is sealed under that person's key before it reaches the
    database. Nothing of a case opens without an `AuthorisedCase`, and then only what its relation
    allows.
    """

    def add(self, granted: Granted, case: Case) -> AuthorisedCase:
        """Store a new case and publish its snapshot; the caller is its sender.

        Raises NotAllowed if another agency than the caller's contributed it.
        """
        ...

    def authorised(self, granted: Granted, case_id: UUID) -> AuthorisedCase | None:
        """Look for the caller's relation to the case.

        No case and no relation are one answer, with the same work done.
        """
        ...

    def of_referral(self, granted: Granted, referral_id: UUID) -> AuthorisedCase | None:
        """Look the case of any agency's referral up for a privacy officer.

        For others there is none, nor for an officer whose agency is barred from it.
        """
        ...

    def received(self, granted: Granted, reference: str) -> AuthorisedCase | None:
        """Look a case up by the reference under which the caller's agency was told of it.

        There is none for whom it is withheld, or who is barred from it, with the same work done.
        """
        ...

    def of_recipient(self, granted: Granted, agency: str, reference: str) -> AuthorisedCase | None:
        """Look the same up for a privacy officer, by whichever agency's reference; for others
        there is none. A recipient that is barred by now still names it.
        """
        ...

    def outline(self, proof: AuthorisedCase) -> CaseOutline:
        """Open the outline as it stood when the proof was made.

        Raises NotAllowed.
        """
        ...

    def for_revision(self, proof: AuthorisedCase) -> Case:
        """Open the whole case, to make its next version.

        Raises NotAllowed. Facts about an erased person are gone, the rest stands.
        """
        ...

    def replace(self, proof: AuthorisedCase, old: Case, new: Case) -> None:
        """Compare and swap: make `new` the current version if `old` is, and publish it.

        Raises VersionMoved if another change came first, NotAllowed (also for another case).
        """
        ...

    def snapshot_decided(self, case_id: UUID, version: int) -> None:
        """Note that sharing decided on this snapshot: its bytes and those of older ones need not
        be kept for resending.
        """
        ...

    def is_decided(self, proof: AuthorisedCase) -> bool:
        """Tell whether sharing has decided on the proof's version.

        With no outcome it then means that nobody was told.

        Raises NotAllowed.
        """
        ...


class Referrals(Protocol):
    """Referrals as they were sent, inside one transaction.

    Obligation: rows of another agency are as if they did not exist, with the same work done.
    """

    def add(self, proof: AuthorisedCase, referral: Referral) -> None:
        """Store a referral, by which its agency is a sender of the case.

        Raises NotAllowed if the proof is about another case or agency.
        """
        ...

    def own(self, granted: Granted, referral_id: UUID) -> OwnReferral | None:
        """Find the agency's own referral, with the proof that it is the sender."""
        ...

    def claimed(self, granted: Granted, external_reference: str) -> UUID | None:
        """Find the referral with which the agency claimed this reference of its own."""
        ...

    def completion(self, proof: AuthorisedCase) -> Referral | None:
        """Find the sender's full referral that completed the urgent one of this case."""
        ...


class Outcomes(Protocol):
    """What became of each recipient, inside one transaction."""

    def told(self, proof: AuthorisedCase) -> tuple[Outcome, ...]:
        """List the permitted recipients, in order of the first decision.

        Raises NotAllowed.
        """
        ...

    def known(self, case_id: UUID, recipient: str) -> Outcome | None:
        """Find the state of one recipient, for an event of sharing's."""
        ...

    def add(self, case_id: UUID, outcome: Outcome) -> None:
        """Store the first state of a recipient."""
        ...

    def replace(self, case_id: UUID, old: Outcome, new: Outcome) -> None:
        """Compare and swap the state of a recipient.

        Raises VersionMoved if another came first.
        """
        ...


class CaseViews(Protocol):
    """Cases as they stand at this moment, on one snapshot.

    Obligation: what was committed before the question came is seen.
    """

    def outlines(self, granted: Granted, case_ids: Collection[UUID]) -> tuple[CaseOutline, ...]:
        """Open the outlines of these cases for the release checker, for everybody else none.

        Those that are unknown or erased are left out.
        """
        ...


class CaseTx(Recording, Protocol):
    """One transaction that reaches cases."""

    @property
    def cases(self) -> Cases:
        """The cases."""
        ...

    @property
    def referrals(self) -> Referrals:
        """The referrals that made them."""
        ...

    @property
    def outcomes(self) -> Outcomes:
        """What became of them."""
        ...


class CaseView(Protocol):
    """One snapshot of the cases."""

    @property
    def cases(self) -> CaseViews:
        """The cases."""
        ...


class CaseStore(Protocol):
    """Opens transactions that reach cases.

    Obligation: `write` returns only after the commit; an exception leaves nothing behind.
    """

    async def write(self, work: Callable[[CaseTx], T]) -> T:
        """Run `work` in one writing transaction and commit."""
        ...

    async def read(self, work: Callable[[CaseView], T]) -> T:
        """Run `work` on one snapshot; it waits for no writer."""
        ...
