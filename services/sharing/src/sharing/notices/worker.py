"""Sends notices that are logged, page by page, in the rounds of the release worker."""

from functools import partial
from typing import Final
from uuid import UUID

from sharing.context import Store
from sharing.notices import use_cases
from sharing.notices.model import Notice
from sharing.notices.ports import NoticeTx, NoticeView
from sharing.notices.use_cases import NoticeContext

_BATCH: Final = 64


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
