"""What a use case says happened, before it is a record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from hubformats.audit_record.words import Human, Operation, Outcome


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted. `subject`, `session` and all from `name` on are sealed by the producer."""

    subject: str
    agency: str
    role: str = "system"
    acr: str = ""
    session: str = ""
    name: str = ""
    title: str = ""
    number: str = ""
    """Staff or collar number."""
    employer: str = ""
    grant: str = ""
    """Id of the grant by which the person held the role at the time."""
    means: Mapping[str, str] = field(default_factory=dict)
    """How they signed in, or which token they came with."""
    device: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Why a worker did it, in their own words; sealed apart from the person it was about.

    So that erasing a victim does not erase the worker's reason (law reference F).
    """

    text: str = ""
    necessity: str = ""
    victim_asked: Literal["", "yes", "no", "unsafe"] = ""
    victim_answer: str = ""
    escalated_to: str = ""

    def content(self) -> dict[str, Any]:
        """Return the sealed part's content: what was said, nothing empty."""
        said = {
            "text": self.text,
            "necessity": self.necessity,
            "victimAsked": self.victim_asked,
            "victimAnswer": self.victim_answer,
            "escalatedTo": self.escalated_to,
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a party may disclose or receive, as codes of the sharing agreement; empty where unknown.

    `special` is the condition of Article 9 or Schedule 8, `criminal` that of Article 10.
    """

    basis: str = ""
    special: str = ""
    criminal: str = ""
    gateway: str = ""
    authority: str = ""
    confidence: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What a use case says happened.

    The audit trail turns it into a record; identifiers become handles or sealed parts.

    `subjects` are the people it was about, `case_id` the case. By `case_references` agencies may
    later look for it; `deliveries` were shown together. None of the four stands in the record. The
    short codes (`lawful_basis`, `purpose`, `clause` …) stand in it as they are. So they must be
    codes, never text that somebody typed.
    """

    operation: Operation
    outcome: Outcome
    actor: Actor
    subjects: tuple[UUID, ...] = ()
    case_id: UUID | None = None
    case_references: tuple[str, ...] = ()
    resource_type: str = ""
    resource_id: str = ""
    resource_version: int | None = None
    """Sealed with the resource or the case: a version counts what others did to it."""
    field_set: str = ""
    lawful_basis: str = ""
    condition: str = ""
    gateway: str = ""
    purpose: str = ""
    justification_code: str = ""
    clause: str = ""
    agreement: str = ""
    agreement_version: str = ""
    rules: str = ""
    """Version of the dated rules that were applied."""
    disclosed_under: Ground | None = None
    received_under: Ground | None = None
    human: Human | Literal[""] = ""
    decision: str = ""
    """An id of this record's own: a decision on several recipients has one for each."""
    inputs: str = ""
    """Hash of what was decided on; the record commits to it under a salt of its own."""
    checked: Mapping[str, Any] | None = None
    """Answer of the release check; committed to, like `inputs`."""
    shown: bytes | None = None
    """Exact bytes shown or exported; committed to, never kept."""
    recipient: str = ""
    channel: str = ""
    delivery: str = ""
    deliveries: tuple[str, ...] = ()
    content_commitment: str = ""
    envelope_digest: str = ""
    receipt_digest: str = ""
    template: str = ""
    stage: str = ""
    reason_code: str = ""
    """Why. Of what was withheld it does not stand in the record but beside it, for those who may
    know it.
    """
    answers: tuple[UUID, ...] = ()
    """Ids of the records that this one answers, corrects or reviews; at most 16."""
    on_behalf_of: Actor | None = None
    second: Actor | None = None
    """Who authorised it beside the actor."""
    count: int | None = None
    emergency: bool = False
    account: Account | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Sealed with the subject part, and dies with it: what an auditor may need after an unseal."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which process writes records: the same in all of them.

    `software` and `configuration` are digests; `clock_bound_ms` is how far its clock may be off,
    None when nobody has said.
    """

    service: str
    software: str = ""
    configuration: str = ""
    clock_source: str = ""
    clock_bound_ms: int | None = None

    def fields(self) -> dict[str, Any]:
        """Return what each record says of its process."""
        said = {"svc": self.service, "sw": self.software, "cfg": self.configuration}
        said["cks"] = self.clock_source
        known: dict[str, Any] = {name: value for name, value in said.items() if value}
        if self.clock_bound_ms is not None:
            known["cko"] = self.clock_bound_ms
        return known
