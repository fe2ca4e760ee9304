"""What every use case is given once, by wiring."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from common.access import Granted
from common.attempts import Answer, Attempt
from hubformats.audit_record import Actor, AuditEntry, Operation
from hubformats.case_reference import case_reference
from hubformats.clock import Clock


@dataclass(frozen=True, slots=True)
class Context:
    """The clock, and the secret behind case references."""

    clock: Clock
    reference_secret: bytes = field(repr=False)

    def reference(self, agency: str, case_id: UUID) -> str:
        """Make the case reference by which `agency`, and no other, knows this case."""
        return case_reference(self.reference_secret, agency, case_id)

    def entry(
        self, operation: Operation, granted: Granted, case_id: UUID, resource: UUID, version: int
    ) -> AuditEntry:
        """Make the audit entry of something done with a referral."""
        return AuditEntry(
            operation=operation,
            outcome="done",
            actor=actor_of(granted),
            case_id=case_id,
            case_references=(self.reference(granted.principal.agency, case_id),),
            resource_type="referral",
            resource_id=str(resource),
            resource_version=version,
            purpose="protect_victim",
        )


SERVICE_ACTOR: Final = Actor(subject="svc:referral", agency="svc:referral", role="system")
"""Who did what time alone brings about."""


@dataclass(frozen=True, slots=True)
class AgencyDirectory:
    """The agencies of this hub, by id."""

    agencies: frozenset[str]

    def knows(self, agency: str) -> bool:
        """Tell whether there is an agency of that id."""
        return agency in self.agencies


class Recording(Protocol):
    """What every transaction can do, whatever else it reaches.

    Obligation: all takes part in the caller's transaction, and nothing commits.
    """

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Run `work` once per Idempotency-Key; a repeat gets the stored answer, kept encrypted in
        the same transaction.
        """
        ...

    def record(self, entry: AuditEntry) -> None:
        """Write the audit record in this transaction; it is durable when the transaction is."""
        ...


def actor_of(granted: Granted) -> Actor:
    """Name the caller as the audit log does."""
    who = granted.principal
    role = "system" if who.kind == "system" else ",".join(sorted(who.roles)) or "person"
    return Actor(
        subject=f"{who.issuer}|{who.subject}", agency=who.agency, role=role, acr=who.acr or ""
    )
