"""What the authorization server needs from outside, and what each provider owes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from hubformats.audit_record import AuditEntry
from hubformats.bootstrap import Person
from identity.agencies.ports import Agencies
from identity.oauth.model import Authenticated, Code, Issued, Pushed, TokenFamily

T = TypeVar("T")


class Authenticator(Protocol):
    """How people prove who they are. Another one takes its place without any other change.

    Obligation: `check` answers only for who proves it in this very request. So the time of a
    sign-in is now. Nothing of an earlier sign-in counts; a second one (RFC 9470) is a whole one.
    """

    @property
    def acr_values(self) -> frozenset[str]:
        """List what it can vouch for; nothing where nobody can sign in."""
        ...

    def offered(self) -> Sequence[Person]:
        """List the people whom the page lets one choose; none where people name themselves."""
        ...

    def check(self, form: Mapping[str, str]) -> Authenticated | None:
        """Tell who proved it by this form of the sign-in page, or None."""
        ...


class SeenOnce(Protocol):
    """Values that may be presented once: assertions and proofs of possession."""

    def claim(self, purpose: str, value: str, expires_at: datetime) -> bool:
        """Tell whether this is the first claim of the value for the purpose.

        Obligation: atomic among parallel transactions.
        """
        ...


class PushedRequests(Protocol):
    """Authorization requests that clients pushed."""

    def save(self, pushed: Pushed) -> None:
        """Keep a request under its handle's digest."""
        ...

    def find(self, handle: str) -> Pushed | None:
        """Find a request that is neither completed nor expired."""
        ...

    def complete(self, handle: str) -> bool:
        """Use up a request; True for exactly one caller, and only before it expires."""
        ...


class Codes(Protocol):
    """Authorization codes, by digest."""

    def save(self, code: Code) -> None:
        """Keep a fresh code."""
        ...

    def consume(self, digest: str) -> Code | None:
        """Give the code to exactly one caller; None when unknown, expired or used.

        An expired code is used up too.
        """
        ...

    def used(self, digest: str) -> Code | None:
        """Find a code that was consumed before: whoever presents it again has a copy."""
        ...


class TokenFamilies(Protocol):
    """What each sign-in gave: a refresh token and every access token of it."""

    def save(self, family: TokenFamily) -> None:
        """Keep a family."""
        ...

    def by_refresh(self, refresh_digest: str) -> TokenFamily | None:
        """Find the family of a refresh token, revoked or not."""
        ...

    def revoke(self, family_id: str) -> None:
        """End a family: its refresh token and every access token of it."""
        ...


class AccessTokens(Protocol):
    """Access tokens that we issued, by `jti`."""

    def save(self, token: Issued) -> None:
        """Keep what may be asked about or revoked until it expires."""
        ...

    def find(self, jti: str) -> Issued | None:
        """Find a token, revoked or not; `revoked` is true too when its family is."""
        ...

    def revoke(self, jti: str) -> None:
        """End one token."""
        ...


class OAuthTx(Protocol):
    """One transaction. Everything done through it happens together or not at all."""

    @property
    def seen(self) -> SeenOnce:
        """Values presented before."""
        ...

    @property
    def requests(self) -> PushedRequests:
        """Pushed requests."""
        ...

    @property
    def codes(self) -> Codes:
        """Authorization codes."""
        ...

    @property
    def families(self) -> TokenFamilies:
        """Token families."""
        ...

    @property
    def tokens(self) -> AccessTokens:
        """Access tokens."""
        ...

    @property
    def agencies(self) -> Agencies:
        """Agencies and who of them is suspended."""
        ...

    def record(self, entry: AuditEntry) -> None:
        """Record what happened, durable with this transaction."""
        ...


class OAuthStore(Protocol):
    """Where the transactions come from."""

    async def write(self, work: Callable[[OAuthTx], T]) -> T:
        """Run `work` in one transaction, in a thread; returns after it is durable.

        An exception undoes only this work. `work` may run twice.
        """
        ...

    async def read(self, work: Callable[[OAuthTx], T]) -> T:
        """Run `work`, which must not change anything."""
        ...
