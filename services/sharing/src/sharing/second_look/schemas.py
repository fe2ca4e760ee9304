"""What the routes of second looks take and answer."""

from uuid import UUID

from pydantic import Field

from common.models import ApiModel, Timestamp
from common.texts import Reason
from sharing.second_look.model import (
    Act,
    LookOutcome,
    LookState,
    Party,
    SecondLook,
)


class PartyOut(ApiModel):
    """Somebody who took part; the name stands in the audit log alone."""

    agency: str
    role: str


class SecondLookOut(ApiModel):
    """One item of the queue."""

    look_id: UUID
    act: Act
    reason_code: str
    case_reference: str = Field(description="The reference by which your agency knows the case")
    parties: tuple[PartyOut, ...]
    filed_at: Timestamp
    due_at: Timestamp
    overdue: bool
    state: LookState
    owner: str = Field(description="you, another, or nobody")
    reviewed_at: Timestamp | None
    outcome_code: str | None
    next: tuple[LookOutcome, ...] = Field(
        description="The outcomes that you can still give; none for what you escalated yourself"
    )


class SecondLooksOut(ApiModel):
    """The queue: what is due soonest first; of what was closed the newest first."""

    items: tuple[SecondLookOut, ...]


class OutcomeIn(ApiModel):
    """What came of it."""

    outcome: LookOutcome
    reason_code: str = Field(
        pattern=r"^[a-z]+(_[a-z]+)*$",
        max_length=40,
        description="A code of the area's rules for this outcome; see GET /v1/second-look-reasons",
    )
    reason: Reason = Field(min_length=1, max_length=2_000, description="In words. Kept sealed")


class CodeOut(ApiModel):
    """A reason code and its meaning."""

    code: str
    meaning: str


class LookReasonsOut(ApiModel):
    """The reasons in force today, by outcome. They change by date: compare `version`."""

    version: str
    reasons: dict[LookOutcome, tuple[CodeOut, ...]]


def look_out(look: SecondLook, *, reference: str, me: Party, overdue: bool) -> SecondLookOut:
    """Show an item to an officer who had no part in it."""
    owner = "nobody" if look.owner is None else "you" if look.owner == me.token else "another"
    return SecondLookOut(
        look_id=look.id,
        act=look.act,
        reason_code=look.reason_code,
        case_reference=reference,
        parties=tuple(PartyOut(agency=each.agency, role=each.role) for each in look.parties),
        filed_at=look.filed_at,
        due_at=look.due_at,
        overdue=overdue,
        state=look.state,
        owner=owner,
        reviewed_at=look.reviewed_at,
        outcome_code=look.outcome_code,
        next=look.outcomes_for(me),
    )
