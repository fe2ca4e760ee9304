"""Shapes of questions, entries and proofs."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from audit.questions.model import Filter, Found, Purpose, Question
from audit.questions.use_cases import Asked
from common.models import ApiModel, FieldError, StrictBool, Timestamp
from common.texts import Reason
from hubformats.audit_record import OPERATIONS, Leaf, record_hash
from hubformats.canonical import parse

_MICROS: Final = 1_000_000
_UNREADABLE: Final[dict[str, Any]] = {"op": "", "out": ""}
"""Shown in place of a record that is not the one in the log: its producer never stated it."""
_VEILED: Final = frozenset({"why", "sub", "subn", "fs", "rv"})
"""What later versions of the record do not say of anything withheld."""

Code = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]*$")]
ProofText = Annotated[
    str, StringConstraints(strip_whitespace=False, min_length=1, max_length=20_000)
]
"""Kept to the last newline: a signed note that lost it is no note any more."""


class FilterIn(ApiModel):
    """What to look for; every part given must hold. Times are the log's own."""

    case_reference: Annotated[str, Field(min_length=4, max_length=40)] | None = None
    actor: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=300,
                description="A person's or client's id, or `issuer|id`",
            ),
        ]
        | None
    ) = None
    subject: UUID | None = None
    recipient: Code | None = None
    delivery: UUID | None = None
    operation: Code | None = None
    emergency: StrictBool = False
    from_: Annotated[Timestamp | None, Field(alias="from")] = None
    to: Timestamp | None = None

    @model_validator(mode="after")
    def _something(self) -> "FilterIn":
        if not any(value for name, value in self if name in type(self).model_fields):
            raise FieldError("must name at least one thing to look for")
        if self.operation is not None and self.operation not in OPERATIONS:
            raise FieldError("names an operation the log does not know", "operation")
        return self


class QuestionIn(ApiModel):
    """A question and why it is asked.

    The purpose is one of the four of DPA 2018 s.62(4), or a data subject's right under UK GDPR.
    """

    purpose: Purpose
    justification: Annotated[Reason, Field(min_length=3, max_length=1000)]
    filter: FilterIn

    def asked(self) -> Asked:
        """Give the question as the use case takes it."""
        wanted = self.filter
        return Asked(
            purpose=self.purpose,
            justification=self.justification,
            case_reference=wanted.case_reference,
            actor=wanted.actor,
            subject=wanted.subject,
            filter=Filter(
                recipient=wanted.recipient,
                delivery=None if wanted.delivery is None else str(wanted.delivery),
                operation=wanted.operation,
                since=_micros(wanted.from_),
                until=_micros(wanted.to),
                emergency=wanted.emergency,
            ),
        )


class QuestionOut(ApiModel):
    """A recorded question.

    `size` is the log's size when it was asked: its answers come from these entries.
    """

    id: UUID
    purpose: Purpose
    agency: str | None = Field(
        description="The agency whose entries it shows; null for a mandated cross-agency auditor"
    )
    size: int


class EntryOut(ApiModel):
    """One entry as an auditor reads it.

    `record` is what the producer stated; handles in it mean nothing outside this entry.
    """

    index: int
    logged_at: Timestamp = Field(description="The log's own time, which never goes back")
    happened_at: Timestamp | None = Field(
        description="When the producer says it happened; absent for a rejected record"
    )
    service: str
    src: str
    epoch: int
    seq: int
    operation: str
    outcome: str
    rejected: str = Field(
        description="Why the record was not acceptable; empty for an accepted one"
    )
    flags: str = Field(
        description="`late` or `future` when the producer's time and the log's differ"
    )
    intact: bool = Field(
        description="The record kept here is the one its leaf commits to; a changed one is not "
        "shown"
    )
    reason: str = Field(
        description="Why something was withheld, for a mandated cross-agency auditor; empty for "
        "the agency it was withheld from"
    )
    record: dict[str, Any]


class ProvenEntryOut(EntryOut):
    """An entry with everything an outsider needs to check it.

    Exact record and leaf bytes and salts are base64url; the proof is a tlog-proof. Record bytes and
    salt are empty where a record of version 1 says why something was withheld from the reader.
    """

    record_bytes: str
    salt: str
    reason_salt: str = Field(description="Salt of the record's commitment to `reason`, `whc`")
    leaf: str
    proof: ProofText
    verified: bool = Field(
        description="Checked here: the record is the one its leaf commits to, and the leaf is in "
        "the signed tree"
    )


class ProofIn(ApiModel):
    """A leaf (base64url of its exact bytes) and a tlog-proof of it."""

    leaf: Annotated[str, Field(min_length=1, max_length=2_000)]
    proof: ProofText


class VerificationOut(ApiModel):
    """Whether the proof holds under this log's key; `code` says why not."""

    verified: bool
    code: str = ""
    index: int | None = None
    size: int | None = None


def question_body(question: Question) -> dict[str, object]:
    """Make the body that answers a recorded question."""
    return QuestionOut(
        id=question.id, purpose=question.purpose, agency=question.agency, size=question.size
    ).model_dump(mode="json")


def shown(found: Found) -> EntryOut:
    """Give an entry its shape."""
    leaf = Leaf.decode(found.leaf)
    intact = leaf.h == record_hash(found.salt, found.record)
    record = parse(found.record) if intact else _UNREADABLE
    if found.veiled:
        record = {name: value for name, value in record.items() if name not in _VEILED}
    return EntryOut(
        index=found.index,
        logged_at=moment(leaf.tr),
        happened_at=None if found.rejected or not intact else moment(record["te"]),
        service=found.service,
        src=leaf.src,
        epoch=leaf.ep,
        seq=leaf.seq,
        operation=record["op"],
        outcome=record["out"],
        rejected=found.rejected,
        flags=found.flags,
        intact=intact,
        reason=held_of(found)["why"],
        record=record,
    )


def held_of(found: Found) -> dict[str, str]:
    """Give the reason held back and its salt; empty texts when there is none to show."""
    return json.loads(found.held) if found.held else {"why": "", "salt": ""}


def moment(micros: int) -> datetime:
    """Give microseconds since the epoch as a time."""
    return datetime.fromtimestamp(micros / _MICROS, UTC)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * _MICROS)
