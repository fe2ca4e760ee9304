"""What the queue's screens need from outside: sharing's queue, as one signed-in person reads it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.access import Granted
from portal.second_look.model import Look, Reasons
from portal.shell.model import Session


class Looks(Protocol):
    """The queue for one person.

    Obligation: each call carries that person's own token. Every method raises CallRefused, NoAnswer
    or TokenRefused. Sharing records each look.
    """

    async def listed(self, granted: Granted, *, closed: bool) -> Sequence[Look]:
        """List what waits, soonest due first, or what was closed."""
        ...

    async def one(self, granted: Granted, look_id: str) -> Look:
        """Read one."""
        ...

    async def reasons(self, granted: Granted) -> Reasons:
        """Return the reasons in force for each outcome."""
        ...

    async def take(self, granted: Granted, look_id: str) -> None:
        """Say that this person looks at it."""
        ...

    async def answer(
        self, granted: Granted, look_id: str, outcome: str, code: str, reason: str
    ) -> None:
        """Say what came of it. Said twice, the second is a conflict."""
        ...


@dataclass(frozen=True, slots=True)
class SecondLookPorts:
    """What the screens of the second look use."""

    looks_for: Callable[[Session], Looks]
