"""What the use cases need from outside, and what each provider owes."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from common.events import Event
from hubformats.audit_record import AuditEntry
from identity.domain import AgencyState, Code, Issued, Pushed, TokenFamily

T = TypeVar("T")


class Tx(Protocol):
    """One transaction. Everything a use case does through it happens together or not at all."""

    def claim_once(self, purpose: str, value: str, expires_at: datetime) -> bool:
        """True the first time this value is claimed for this purpose; atomic among parallel
        transactions.
        """
        ...

    def save_pushed(self, pushed: Pushed) -> None:
        """Keep a pushed request under its handle's digest."""
        ...

    def pushed(self, handle: str) -> Pushed | None:
        """A pushed request that is neither completed nor expired."""
        ...

    def complete_pushed(self, handle: str) -> bool:
        """Use up a pushed request; True for exactly one caller, and only before it expires."""
        ...

    def save_code(self, code: Code) -> None:
        """Keep a fresh authorization code."""
        ...

    def consume_code(self, digest: str) -> Code | None:
        """The code, for exactly one caller, by one UPDATE … RETURNING; None when unknown, expired
        or used.
        """
        ...

    def used_code(self, digest: str) -> Code | None:
        """A code that was consumed before: whoever presents it again has a copy."""
        ...

    def save_family(self, family: TokenFamily) -> None:
        """Keep a token family."""
        ...

    def family(self, family_id: str) -> TokenFamily | None:
        """A token family, revoked or not."""
        ...

    def family_by_refresh(self, refresh_digest: str) -> TokenFamily | None:
        """The family a refresh token belongs to, revoked or not."""
        ...

    def revoke_family(self, family_id: str) -> None:
        """End a family: its refresh token and every access token of it."""
        ...

    def save_issued(self, token: Issued) -> None:
        """Keep what may be asked about or revoked until it expires."""
        ...

    def issued(self, jti: str) -> Issued | None:
        """An access token by its id, revoked or not; `revoked` is true too when its family is."""
        ...

    def revoke_issued(self, jti: str) -> None:
        """End one access token."""
        ...

    def revoke_agency(self, agency: str) -> int:
        """End every family and access token of an agency; returns how many of both."""
        ...

    def agency(self, agency: str) -> AgencyState | None:
        """One agency."""
        ...

    def agencies(self) -> list[AgencyState]:
        """Every agency, by id."""
        ...

    def add_agency(self, agency: AgencyState) -> bool:
        """Store an agency unless it is known already; True when it was new."""
        ...

    def set_suspended(self, agency: str, at: datetime | None, reason_code: str) -> bool:
        """Suspend (`at` set) or restore (None); False when it already was so."""
        ...

    def state_epoch(self) -> int:
        """The number of changes to who may act so far."""
        ...

    def advance_epoch(self) -> int:
        """Count one more change and return the new number."""
        ...

    def purge(self, now: datetime) -> int:
        """Delete what expired and nobody can present any more; returns the number of rows."""
        ...

    def publish(self, event: Event) -> None:
        """Send an event on hub.identity.v1 to every other service."""
        ...

    def record(self, entry: AuditEntry) -> None:
        """Record what happened, durable with this transaction."""
        ...


class DoorsUnavailable(Exception):
    """The broker did not answer, or refused; which topics are closed is not known.

    Carries no text of the broker.
    """


class Doors(Protocol):
    """The agencies' own topics at the broker: a closed one cannot be read by its agency, whatever
    rights it has there.
    """

    async def closed(self) -> frozenset[str]:
        """Agencies whose topic is closed. Raises DoorsUnavailable."""
        ...

    async def close(self, agency: str) -> None:
        """Close it; returns when the broker has taken the rule.

        Closing twice changes nothing. Raises DoorsUnavailable.
        """
        ...

    async def open(self, agency: str) -> None:
        """Take that rule away again. Opening twice changes nothing. Raises DoorsUnavailable."""
        ...


class Store(Protocol):
    """Where the transactions come from."""

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction, in a thread; returns after it is durable.

        An exception undoes only this work.
        """
        ...

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work`, which must not change anything."""
        ...
