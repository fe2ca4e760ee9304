"""What intake needs from the outside, with the obligations an adapter must keep."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from common.access import Granted
from referral.cases.ports import CaseTx
from referral.intake.model.refused import IntakeMarks, RefusedIntake, RefusedPage, RefusedPlace

T = TypeVar("T")


class Refused(Protocol):
    """Open alarms inside one transaction.

    Obligations: nothing of what was sent is kept. None is dropped, however many there are. Another
    agency's are as if they did not exist, with the same work done.
    """

    def note(self, agency: str, code: str, at: datetime, marks: IntakeMarks) -> bool:
        """Remember that a sender's intake was refused; refused again, it is still one.

        True when they have just become so many that a person must be told.
        """
        ...

    def correct(self, granted: Granted, marks: IntakeMarks) -> None:
        """End the alarms of those refused under the same Idempotency-Key or external reference."""
        ...

    def acknowledge(self, granted: Granted, refused_id: UUID) -> RefusedIntake | None:
        """End one alarm of the agency; answers with it, or None when there is none of that id."""
        ...

    def open(self, granted: Granted, after: RefusedPlace | None, limit: int) -> RefusedPage:
        """List the agency's open alarms behind a place, oldest first."""
        ...


class IntakeTx(CaseTx, Protocol):
    """One transaction that takes referrals in."""

    @property
    def refused(self) -> Refused:
        """Alarms of refused intakes."""
        ...


class IntakeStore(Protocol):
    """Opens transactions that take referrals in.

    Obligation: `write` returns only after the commit; an exception leaves nothing behind.
    """

    async def write(self, work: Callable[[IntakeTx], T]) -> T:
        """Run `work` in one writing transaction and commit."""
        ...
