"""A sign-in under way: where to send the browser, and how it can fail."""

from dataclasses import dataclass

from portal.shell.model import PendingSignIn, Person


class SignInFailed(Exception):
    """The authorization server's answer cannot be trusted or says no.

    `code` is one word, never what was sent.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where to send the browser, and what to keep until it returns."""

    location: str
    pending: PendingSignIn


@dataclass(frozen=True, slots=True)
class Callback:
    """What the authorization server sent back with the browser."""

    code: str
    state: str
    iss: str


NOBODY = Person(id="", name="", agency="", roles=())
"""Who a visit belongs to until identity has named the person."""
