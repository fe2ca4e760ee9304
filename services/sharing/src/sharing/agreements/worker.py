"""Reminds the owners of agreements once a day."""

from sharing.agreements.use_cases import Agreements
from sharing.context import Context


class Reminder:
    """One step of a worker's round; it does something at most once a day."""

    def __init__(self, agreements: Agreements, context: Context) -> None:
        self._agreements = agreements
        self._context = context
        self._reminded_on = context.now().date()  # wiring has looked on the day of the start

    async def step(self) -> int:
        """Remind if a new day has begun. Returns 0: nothing is left to do at once."""
        today = self._context.now().date()
        if today != self._reminded_on:
            self._reminded_on = today
            self._agreements.remind(today)
        return 0
