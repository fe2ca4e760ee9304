"""What referral tells of second looks, in memory."""

from datetime import datetime

from referral.vetoes.model import Lifting

Told = tuple[str, str, tuple[str, ...], datetime]
"""Act, reason code, subjects of those who took part, and when."""


class FakeSecondLooks:
    """Fulfils `vetoes.ports.SecondLooks`."""

    def __init__(self, told: list[Told]) -> None:
        self.told = told

    def file(self, lifting: Lifting, act: str, code: str, at: datetime) -> None:
        """Keep what would be sent."""
        parties = [each.subject for each in (lifting.asked_by, lifting.settled_by) if each]
        self.told.append((act, code, tuple(parties), at))
