"""Find cases that skipped a suspended agency which may act again, and decide on them anew."""

import logging
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from common.database import DatabaseStopped, DatabaseUnavailable
from common.telemetry import describe
from sharing.context import Store
from sharing.decisions.ports import DecisionTx, DecisionView
from sharing.decisions.use_cases.redeciding import decide_for_restored
from sharing.decisions.use_cases.run import DecisionContext

_log = logging.getLogger("hub.sharing")
_PAGE: Final = 16
_EVERY: Final = timedelta(seconds=30)


class Restored:
    """A round goes over all such cases, a page at a time.

    So what is due for release never waits long behind it. What is due stands in the database and
    ends with the decision: a crash, or a restoration we never heard announced, is made up for by
    the next round. A round begins when an agency may act that could not, and every thirty seconds.
    """

    def __init__(self, store: Store[DecisionTx, DecisionView], context: DecisionContext) -> None:
        self._store = store
        self._context = context
        self._acting: frozenset[str] = frozenset()
        self._next = context.now()
        self._under_way = False
        self._after: UUID | None = None

    async def step(self) -> int:
        """Decide on one page of cases; how many there were.

        Nothing while nobody can say who is suspended.
        """
        if not self._context.directory.fresh():
            return 0
        self._begin()
        if not self._under_way:
            return 0
        page = await self._store.read(
            lambda view: view.cases.that_skipped(self._acting, self._after, _PAGE)
        )
        for case_id in page:
            await self._again(case_id)
            self._after = case_id
        self._under_way = len(page) == _PAGE
        return len(page)

    def _begin(self) -> None:
        acting = frozenset(
            agency.id for agency in self._context.directory.agencies() if not agency.suspended
        )
        now = self._context.now()
        if acting - self._acting or now >= self._next:
            self._under_way, self._after, self._next = True, None, now + _EVERY
        self._acting = acting

    async def _again(self, case_id: UUID) -> None:
        """Decide in one transaction; what fails must not keep the others, and is tried again."""
        try:
            done = await self._store.write(
                partial(decide_for_restored, context=self._context, case_id=case_id)
            )
        except (DatabaseUnavailable, DatabaseStopped):
            raise
        except Exception as error:  # noqa: BLE001 - tried again at the next round, loudly
            _log.error(
                "deciding again failed",
                extra={"alarm": "decide-again-failed", "error": describe(error)},
            )
        else:
            prepared = 0 if done is None else len(done.prepared)
            _log.info("decided again after a restoration", extra={"prepared": prepared})
