"""Looks for cases that a suspension passed over and whose agency may act again, and has them
decided on anew."""

import logging
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from common.database import DatabaseStopped, DatabaseUnavailable
from common.telemetry import describe
from sharing.ports import Store, Tx
from sharing.usecases.desk import Desk
from sharing.usecases.redeciding import decide_for_restored

_log = logging.getLogger("hub.sharing")
_PAGE: Final = 16
_EVERY: Final = timedelta(seconds=30)


class Restored:
    """A round goes over all such cases, a page at a time, so that what is due for release never
    waits long behind it.

    What is due stands in the database and ends with the decision: a crash, or a restoration we
    never heard announced, is made up for by the next round. A round begins when an agency may act
    that could not, and every thirty seconds.
    """

    def __init__(self, store: Store, desk: Desk) -> None:
        self._store = store
        self._desk = desk
        self._acting: frozenset[str] = frozenset()
        self._next = desk.now()
        self._under_way = False
        self._after: UUID | None = None

    async def step(self) -> int:
        """Decide on one page of cases; how many there were.

        Nothing while nobody can say who is suspended.
        """
        if not self._desk.directory.fresh():
            return 0
        self._begin()
        if not self._under_way:
            return 0
        page = await self._store.read(
            lambda view: view.passed_over(self._acting, self._after, _PAGE)
        )
        for case_id in page:
            await self._again(case_id)
            self._after = case_id
        self._under_way = len(page) == _PAGE
        return len(page)

    def _begin(self) -> None:
        acting = frozenset(
            agency.id for agency in self._desk.directory.agencies() if not agency.suspended
        )
        if acting - self._acting or self._desk.now() >= self._next:
            self._under_way, self._after, self._next = True, None, self._desk.now() + _EVERY
        self._acting = acting

    async def _again(self, case_id: UUID) -> None:
        """One transaction; a case that cannot be decided on must not keep the others, and is tried
        at the next round.
        """
        try:
            done = await self._store.write(partial(_decide, desk=self._desk, case_id=case_id))
        except (DatabaseUnavailable, DatabaseStopped):
            raise
        except Exception as error:  # noqa: BLE001 - tried again at the next round, loudly
            _log.error(
                "deciding again failed",
                extra={"alarm": "decide-again-failed", "error": describe(error)},
            )
        else:
            _log.info("decided again after a restoration", extra={"prepared": done})


def _decide(tx: Tx, *, desk: Desk, case_id: UUID) -> int:
    done = decide_for_restored(tx, desk, desk.own_work(), case_id)
    return 0 if done is None else len(done.prepared)
