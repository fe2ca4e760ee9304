"""What the shell needs from outside: where visits are kept, how tokens end, and calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from portal.shell.model import PendingSignIn, Session


class Sessions(Protocol):
    """Visits and sign-ins under way.

    Obligations: cookies are stored only as hashes, contents only sealed. `take` gives a sign-in to
    exactly one caller. What `put` answered is durable. An ended session is gone before `end`
    returns.
    """

    async def begin(self, cookie: str, pending: PendingSignIn) -> None:
        """Keep a sign-in under way."""
        ...

    async def take(self, cookie: str, now: datetime) -> PendingSignIn | None:
        """Take the sign-in under way of this cookie, once."""
        ...

    async def put(self, cookie: str, session: Session) -> None:
        """Keep a new session."""
        ...

    async def amend(self, cookie: str, session: Session) -> None:
        """Keep what changed in an open session. One that has ended meanwhile stays ended."""
        ...

    async def find(self, cookie: str, now: datetime, *, used: bool = True) -> Session | None:
        """Find the session of this cookie, and mark it as seen if a person `used` it.

        One that is over is deleted.
        """
        ...

    async def end(self, cookie: str) -> None:
        """Delete it."""
        ...


class Revocation(Protocol):
    """Ends what identity gave."""

    async def revoke(self, session: Session) -> None:
        """End every token of the visit. Never raises: tokens run out by themselves."""
        ...


class Calls(Protocol):
    """The other services as one signed-in person may call them.

    Obligation: each call carries that person's own token for `scope`. Every method raises
    CallRefused, NoAnswer or TokenRefused. Another agency's object and a missing one fail alike.
    """

    async def get(
        self, service: str, path: str, scope: str, params: Mapping[str, str | int] | None = None
    ) -> Any:
        """Read something. Returns the parsed body."""
        ...

    async def post(self, service: str, path: str, scope: str, body: Mapping[str, Any]) -> Any:
        """Do something that is safe to repeat. It is repeated under one idempotency key."""
        ...

    async def post_once(self, service: str, path: str, scope: str, body: Mapping[str, Any]) -> Any:
        """Do something that a person repeats, never the portal by itself."""
        ...


@dataclass(frozen=True, slots=True)
class ShellPorts:
    """What every page's guard and "Hide this screen" use."""

    sessions: Sessions
    revocation: Revocation
