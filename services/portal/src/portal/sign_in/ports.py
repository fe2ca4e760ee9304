"""What signing in needs from outside: the authorization server, and the person's name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from portal.shell.model import Draft, Grantings, PendingSignIn, Person, Session
from portal.shell.ports import Revocation
from portal.sign_in.model import Callback, Redirect


class Authorization(Revocation, Protocol):
    """The authorization server.

    Obligation: state, issuer and key binding are checked before anything is granted.
    """

    async def begin(
        self, asked: Mapping[str, str] | None = None, draft: Draft | None = None
    ) -> Redirect:
        """Push a sign-in request.

        With `asked` it is a second one: OAuth's parameters of what it must bring besides, a further
        `scope` or `acr_values` and `max_age` (RFC 9470). `draft` is kept with it.

        Raises SignInFailed.
        """
        ...

    async def complete(self, pending: PendingSignIn, back: Callback) -> Grantings:
        """Exchange the code. Raises SignInFailed."""
        ...


class People(Protocol):
    """What identity says of the signed-in person."""

    async def me(self) -> Person:
        """Name who is signed in. Raises CallRefused, NoAnswer or TokenRefused."""
        ...


@dataclass(frozen=True, slots=True)
class SignInPorts:
    """What the screens of coming in use."""

    authorization: Authorization
    people_for: Callable[[Session], People]
