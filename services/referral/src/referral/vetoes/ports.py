"""What lifting a veto needs from the outside, with the obligations an adapter must keep."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from common.access import Granted
from referral.cases.model.authority import AuthorisedCase
from referral.cases.ports import CaseTx
from referral.vetoes.model import Lapsed, Lifting

T = TypeVar("T")


class Liftings(Protocol):
    """Requests to lift a veto, inside one transaction.

    Obligation: who asked and why is sealed under the case's key, and opens for a proof alone.
    """

    def add(self, proof: AuthorisedCase, lifting: Lifting) -> None:
        """Store a new one.

        Raises NotAllowed for another case than the proof's.
        """
        ...

    def case_of(self, lifting_id: UUID) -> UUID | None:
        """Tell which case a lifting is about, so that the caller's relation can be looked for."""
        ...

    def get(self, proof: AuthorisedCase, lifting_id: UUID) -> Lifting | None:
        """Open one of the proof's case."""
        ...

    def of_case(self, proof: AuthorisedCase) -> tuple[Lifting, ...]:
        """Open all of the proof's case, oldest first."""
        ...

    def replace(self, proof: AuthorisedCase, old: Lifting, new: Lifting) -> None:
        """Compare and swap. Raises LiftingOver if somebody settled it first."""
        ...

    def waiting(self, granted: Granted, now: datetime, limit: int) -> tuple[UUID, ...]:
        """List what waits for a second person, oldest first, by id.

        A privacy officer sees all. Anybody else sees those that their own agency asked for, on
        cases from which it is not barred.
        """
        ...

    def lapse(self, now: datetime, limit: int) -> tuple[Lapsed, ...]:
        """Mark as lapsed what waits past its time, oldest first, each once; nothing is opened."""
        ...

    def lapsed(self, granted: Granted, since: datetime, limit: int) -> tuple[UUID, ...]:
        """List by id what the caller's own agency asked for and lapsed since, newest first.

        Cases from which it is barred are left out.
        """
        ...


class SecondLooks(Protocol):
    """Tells the keeper of the second-look queue what people did."""

    def file(self, lifting: Lifting, act: str, code: str, at: datetime) -> None:
        """Have a step of a lifting looked at again by somebody who took no part in it.

        Obligation: it is sent if the transaction commits, once for each step.
        """
        ...


class VetoTx(CaseTx, Protocol):
    """One transaction that reaches cases and liftings."""

    @property
    def liftings(self) -> Liftings:
        """The requests to lift vetoes."""
        ...

    @property
    def second_looks(self) -> SecondLooks:
        """The queue of second looks, which sharing keeps."""
        ...


class VetoStore(Protocol):
    """Opens transactions that reach cases and liftings.

    Obligation: `write` returns only after the commit; an exception leaves nothing behind.
    """

    async def write(self, work: Callable[[VetoTx], T]) -> T:
        """Run `work` in one writing transaction and commit."""
        ...
