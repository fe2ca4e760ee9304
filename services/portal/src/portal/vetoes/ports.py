"""What the screens of vetoes need from outside: referral's vetoes, as one signed-in person may use
them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.access import Granted
from portal.shell.model import Session
from portal.vetoes.model import CaseVetoes, Lifting, Reasons, Sent


class Vetoes(Protocol):
    """Vetoes on the agency's own referrals, and liftings that wait for a second person.

    Obligation: each call carries that person's own token. Every method raises CallRefused, NoAnswer
    or TokenRefused. Referral records each look.
    """

    async def sent(self, granted: Granted) -> Sequence[Sent]:
        """List the agency's referrals, the newest change first."""
        ...

    async def of_referral(self, granted: Granted, referral_id: str) -> CaseVetoes:
        """Read the vetoes in force on one of them."""
        ...

    async def reasons(self) -> Reasons:
        """Return the codes in force."""
        ...

    async def set(
        self, granted: Granted, referral_id: str, choice: str, agency: str, reason: str
    ) -> str:
        """Set a veto at once. `choice` is its kind and reason code. Returns the veto's id."""
        ...

    async def ask(
        self, granted: Granted, referral_id: str, veto_id: str, code: str, reason: str
    ) -> None:
        """Ask to lift one."""
        ...

    async def waiting(self, granted: Granted) -> Sequence[Lifting]:
        """List what waits for a second person, and what the own agency asked for and lapsed."""
        ...

    async def lapsed(self, granted: Granted) -> Sequence[Lifting]:
        """List what the own agency asked for and nobody confirmed in time, the newest first."""
        ...

    async def lifting(self, granted: Granted, lifting_id: str) -> Lifting:
        """Read one with who asked first, and why."""
        ...

    async def settle(self, granted: Granted, lifting_id: str, choice: str, reason: str) -> None:
        """Confirm or refuse it. `choice` is the answer and its reason code."""
        ...


@dataclass(frozen=True, slots=True)
class VetoPorts:
    """What the screens of vetoes use."""

    vetoes_for: Callable[[Session], Vetoes]
