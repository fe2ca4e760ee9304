"""What keeping the agencies needs from outside, and what each provider owes."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from common.events import Event
from common.events.identity import DirectoryHeartbeat
from hubformats.audit_record import AuditEntry
from identity.agencies.model import AgencyState, Ended

T = TypeVar("T")


class Agencies(Protocol):
    """Agencies, who of them is suspended, and how often that changed."""

    def find(self, agency: str) -> AgencyState | None:
        """Find one agency."""
        ...

    def all(self) -> list[AgencyState]:
        """List every agency, by id."""
        ...

    def add(self, agency: AgencyState) -> bool:
        """Store an agency unless it is known already; True when it was new."""
        ...

    def set_suspended(self, agency: str, at: datetime | None, reason_code: str) -> bool:
        """Suspend (`at` set) or restore (None); False when it already was so."""
        ...

    def set_key_set(self, agency: str, key_set: str) -> None:
        """Serve this set for an agency from now on."""
        ...

    def epoch(self) -> int:
        """Count the changes to who may act so far."""
        ...

    def advance_epoch(self) -> int:
        """Count one more change and return the new number."""
        ...


class ServiceKeySets(Protocol):
    """The services' own key sets, each signed by the service."""

    def all(self) -> Mapping[str, str]:
        """Give every set by owner."""
        ...

    def put(self, owner: str, key_set: str) -> None:
        """Keep a set in place of the owner's earlier one."""
        ...


class AgencyTx(Protocol):
    """One transaction. Everything done through it happens together or not at all."""

    @property
    def agencies(self) -> Agencies:
        """The agencies."""
        ...

    @property
    def service_keys(self) -> ServiceKeySets:
        """The services' key sets."""
        ...

    def end_access(self, agency: str) -> int:
        """End every living token family and access token of an agency. Returns how many."""
        ...

    def end_client(self, client_id: str) -> int:
        """End every living access token of one client. Returns how many."""
        ...

    def ended(self, now: datetime) -> Ended:
        """List access tokens that were ended and that a service could still take as valid."""
        ...

    def purge(self, now: datetime) -> int:
        """Delete what expired and nobody can present any more. Returns the number of rows."""
        ...

    def publish(self, event: Event) -> None:
        """Send an event on hub.identity.v1 to every other service."""
        ...

    def record(self, entry: AuditEntry) -> None:
        """Record what happened, durable with this transaction."""
        ...


class AgencyStore(Protocol):
    """Where the transactions come from."""

    async def write(self, work: Callable[[AgencyTx], T]) -> T:
        """Run `work` in one transaction, in a thread; returns after it is durable.

        An exception undoes only this work. `work` may run twice.
        """
        ...

    async def read(self, work: Callable[[AgencyTx], T]) -> T:
        """Run `work`, which must not change anything."""
        ...

    async def forget_heartbeats(self, before: datetime) -> None:
        """Forget heartbeats the bus took before a moment: later ones say all that they said."""
        ...


class Heartbeat(Protocol):
    """Tells every service who may act."""

    async def beat(self) -> DirectoryHeartbeat:
        """Publish the state now, and take it in ourselves."""
        ...
