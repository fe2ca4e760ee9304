"""What the emergency release needs from outside: sharing's list, its clauses, and the release."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from common.access import Granted
from portal.emergency.model import Unproven, UnprovenList
from portal.shell.model import Session


class Releases(Protocol):
    """Disclosures of the agency's own referrals, as one signed-in person may release them.

    Obligation: each call carries that person's own token. Every method raises CallRefused, NoAnswer
    or TokenRefused. Sharing records each look.
    """

    async def unproven(self, granted: Granted, delivery_id: str = "") -> UnprovenList:
        """List what waits for its receipt or left on a promise, or that one alone, given an id."""
        ...

    async def after_send(
        self, granted: Granted, delivery_id: str, case_reference: str
    ) -> Unproven | None:
        """Tell where one disclosure stands once it has left, None before, or for no such."""
        ...

    async def clauses(self) -> Mapping[str, str]:
        """Return what each clause of the sharing agreements says, by its code."""
        ...

    async def release(self, granted: Granted, delivery_id: str, code: str, reason: str) -> None:
        """Let one go with a promise in place of its proof. Asked twice it leaves once."""
        ...


@dataclass(frozen=True, slots=True)
class EmergencyPorts:
    """What the screens of emergency release use."""

    releases_for: Callable[[Session], Releases]
