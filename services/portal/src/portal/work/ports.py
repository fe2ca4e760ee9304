"""What the work list needs from outside: deliveries, their summaries, keys, and the audit trail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from common.access import Granted
from hubformats.audit_record import AuditEntry
from hubformats.keys import OpeningKey, SigningKey
from portal.shell.model import Session
from portal.work.model.delivery import Delays, Known, Sealed, Standing, Waiting


class Deliveries(Protocol):
    """The inbox of one signed-in person's agency.

    Obligation: each call carries that person's own token for the scope that was granted. Every
    method raises CallRefused, NoAnswer or TokenRefused. Another agency's delivery and a missing one
    fail alike.
    """

    async def waiting(self, granted: Granted, *, withdrawals: bool = False) -> Sequence[Waiting]:
        """List deliveries, oldest first. One that is damaged is listed like any other.

        `withdrawals` alone are listed also while it cannot be checked what else may be shown.
        """
        ...

    async def delays(self, granted: Granted) -> Delays:
        """Count what has not left, because its entry is not in the audit log. Names no case."""
        ...

    async def fetch(self, granted: Granted, delivery_id: str) -> Sealed:
        """Fetch one delivery.

        Raises EnvelopeRefused when the bytes are not what their digest says.
        """
        ...

    async def standing(self, granted: Granted, delivery_id: str) -> Standing:
        """Tell whether one delivery still stands. It is no look, and shows nothing of it."""
        ...

    async def send_receipt(self, granted: Granted, delivery_id: str, receipt: str) -> None:
        """Hand in the agency's signed receipt."""
        ...

    async def acknowledge(self, granted: Granted, delivery_id: str, role: str) -> None:
        """Say that a role has taken it up."""
        ...

    async def answer(self, granted: Granted, delivery_id: str, answer: str, duty: str) -> None:
        """Say what the agency did with what it was told before; `duty` where one keeps it."""
        ...


class DeliverySummaries(Protocol):
    """What an agency's people learned by opening deliveries, as the work list shows it.

    Obligations: stored only sealed, bound to agency and delivery. One agency never reads
    another's. Holds no name.
    """

    async def remember(
        self, granted: Granted, delivery_id: str, known: Known, now: datetime
    ) -> None:
        """Keep a summary for the caller's agency. The last one wins."""
        ...

    async def known(self, granted: Granted, delivery_ids: Sequence[str]) -> Mapping[str, Known]:
        """Return what the caller's agency knows of these deliveries."""
        ...


class AgencyKeys(Protocol):
    """Keys the hub keeps for agencies without a system of their own (design section 6).

    Obligation: gives an agency's keys to its own people only.
    """

    def opening(self, granted: Granted) -> Mapping[str, OpeningKey]:
        """Return the opening keys of the person's agency, none when it keeps its own."""
        ...

    def signing(self, granted: Granted) -> SigningKey | None:
        """Return the signing key of the person's agency, None when it keeps its own."""
        ...


class Recorder(Protocol):
    """Writes audit entries. Obligation: durable before it returns, or it raises."""

    async def record(self, entry: AuditEntry) -> None:
        """Record what is about to be shown or was done."""
        ...

    def ready(self) -> bool:
        """Tell whether reads can be accounted for."""
        ...


@dataclass(frozen=True, slots=True)
class WorkPorts:
    """What the screens of the work list use."""

    deliveries_for: Callable[[Session], Deliveries]
    summaries: DeliverySummaries
    keys: AgencyKeys
    recorder: Recorder
