"""Sends notices that are logged, and looks back at what compromised keys signed, in the rounds of
the release worker."""

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from sharing.context import Store
from sharing.directory.model import Compromise
from sharing.notices import use_cases
from sharing.notices.model import Notice
from sharing.notices.ports import NoticeTx, NoticeView
from sharing.notices.use_cases import NoticeContext

_log = logging.getLogger("hub.sharing")
_BATCH: Final = 64
_LOOK_EVERY: Final = timedelta(seconds=30)
"""What another process took in just before it heard of the key is found after so long."""


class Notifier:
    """What is due stands in the database, so a crash loses nothing and sends nothing twice."""

    def __init__(self, store: Store[NoticeTx, NoticeView], context: NoticeContext) -> None:
        self._store = store
        self._context = context

    async def step(self) -> int:
        """Send all that may leave now; how many did.

        One for an agency that cannot hear now stays, and does not hide what stands behind it.
        """
        done, after = 0, None
        while page := await self._page(after):
            for notice in page:
                if use_cases.may_hear(self._context, notice.agency):
                    done += await self._store.write(
                        partial(use_cases.send, context=self._context, notice_id=notice.id)
                    )
            after = page[-1].id
        return done

    async def _page(self, after: UUID | None) -> tuple[Notice, ...]:
        return await self._store.read(lambda view: view.notices.ready(after, _BATCH))


class LookBack:
    """Finds what a key had signed that was used before this service heard of its compromise.

    That it was done stands in the database, so a restart looks for nothing twice.
    """

    def __init__(self, store: Store[NoticeTx, NoticeView], context: NoticeContext) -> None:
        self._store = store
        self._context = context
        self._known: tuple[Compromise, ...] = ()
        self._next: datetime | None = None

    async def step(self) -> int:
        """Look back for each key of which that is due; how many looks said something."""
        now, known = self._context.now(), self._context.directory.compromised()
        if known == self._known and self._next is not None and now < self._next:
            return 0
        done = sum([await self._look(key) for key in known])
        self._known, self._next = known, now + _LOOK_EVERY
        return done

    async def _look(self, key: Compromise) -> bool:
        if not await self._store.read(lambda view: view.signed.unseen(key)):
            return False
        look = partial(use_cases.look_back, context=self._context, key=key)
        found = await self._store.write(look)
        if found is None:
            return False  # another process did it
        if found.count:
            said = {"alarm": "compromised-key-used", "agency": key.agency, "count": found.count}
            _log.error("a compromised key may have signed what was used", extra=said)
        return True
