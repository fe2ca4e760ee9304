"""Tells of new second looks, and pages for those that nobody takes in time."""

from datetime import datetime, timedelta
from typing import Any, Final

from sharing.context import Store
from sharing.second_look import use_cases
from sharing.second_look.ports import LookTx
from sharing.second_look.use_cases import LookContext

_EVERY: Final = timedelta(seconds=30)


class LookAlarm:
    """What is overdue stands in the database, and when it was last said, so a crash repeats it."""

    def __init__(self, store: Store[LookTx, Any], given: LookContext) -> None:
        self._store = store
        self._given = given
        self._next: datetime | None = None

    async def step(self) -> int:
        """Look every thirty seconds; how many items were told of or alarmed."""
        now = self._given.context.now()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + _EVERY
        return await self._store.write(self._said)

    def _said(self, tx: LookTx) -> int:
        return use_cases.tell(tx, self._given) + use_cases.alarm(tx, self._given)
