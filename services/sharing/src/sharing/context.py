"""What every use case of sharing is given: the context of the process, and the shared ports."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar
from uuid import UUID

from common.access import Granted, own_work
from common.events import Event
from hubformats.audit_record import Actor, AuditEntry
from hubformats.case_reference import case_reference
from hubformats.clock import Clock

SERVICE: Final = "svc:sharing"
SERVICE_ACTOR: Final = Actor(subject=SERVICE, agency=SERVICE, role="system")

T = TypeVar("T")


class ContentGone(LookupError):
    """What was asked for is gone: the case's key was destroyed."""


@dataclass(frozen=True, slots=True)
class Context:
    """The clock, the secrets from which names are made, and the issuer of own grants."""

    clock: Clock
    issuer: str
    reference_secret: bytes
    delivery_secret: bytes

    def reference(self, agency: str, case_id: UUID) -> str:
        """Return the case reference `agency` knows this case by."""
        return case_reference(self.reference_secret, agency, case_id)

    def decision_name(self, decision_id: UUID, recipient: str) -> str:
        """Make the id under which the log names a decision to one recipient, from a secret.

        UUID version 8 (RFC 9562 section 5.8). Two recipients who compare theirs cannot see that it
        was one decision. Whoever holds the secret can say which records it made.
        """
        named = "\0".join(("decision", str(decision_id), recipient)).encode()
        raw = bytearray(hmac.digest(self.delivery_secret, named, "sha256")[:16])
        raw[6] = raw[6] & 0x0F | 0x80
        raw[8] = raw[8] & 0x3F | 0x80
        return str(UUID(bytes=bytes(raw)))

    def own_work(self) -> Granted:
        """Make the grant for work that a verified event or an earlier decision started."""
        return own_work(
            "sharing", issuer=self.issuer, scope="case.read", operation="disclosure", at=self.now()
        )

    def now(self) -> datetime:
        """Return the present moment, UTC."""
        return self.clock.now()


@dataclass(frozen=True, slots=True)
class Record:
    """An audit record as it was written, for the package that must prove it."""

    id: UUID
    record: bytes
    salt: bytes


class Writing(Protocol):
    """What every writing transaction can do.

    Obligations: everything takes part in the caller's transaction and never commits. What is
    published or recorded leaves only if the transaction commits.
    """

    def record(self, entry: AuditEntry) -> Record:
        """Write an audit record; durable when the transaction is."""
        ...

    def publish(self, case_id: UUID, event: Event) -> None:
        """Tell referral, in order per case."""
        ...


TxT_co = TypeVar("TxT_co", covariant=True)
ViewT_co = TypeVar("ViewT_co", covariant=True)


class Store(Protocol[TxT_co, ViewT_co]):
    """Opens transactions.

    Obligation: `write` returns only after the commit; an exception leaves nothing behind.
    """

    async def write(self, work: Callable[[TxT_co], T]) -> T:
        """Run `work` in one writing transaction and commit."""
        ...

    async def read(self, work: Callable[[ViewT_co], T]) -> T:
        """Run `work` on one snapshot that cannot write."""
        ...
