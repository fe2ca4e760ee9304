"""What the portal's use cases need from outside."""

from datetime import datetime
from typing import Protocol

from portal.domain import PendingSignIn, Session


class Sessions(Protocol):
    """Visits and sign-ins under way.

    Obligations: cookies are stored only as hashes, contents only sealed; `take` gives a sign-in to exactly one caller; what
    `put` answered is durable; an ended session is gone before `end` returns.
    """

    async def begin(self, cookie: str, pending: PendingSignIn) -> None:
        """Keep a sign-in under way."""
        ...

    async def take(self, cookie: str, now: datetime) -> PendingSignIn | None:
        """The sign-in under way of this cookie, once."""
        ...

    async def put(self, cookie: str, session: Session) -> None:
        """Keep a new session."""
        ...

    async def find(self, cookie: str, now: datetime) -> Session | None:
        """The session of this cookie if it is not over, marked as seen; an over one is deleted."""
        ...

    async def end(self, cookie: str) -> None:
        """Delete it."""
        ...
