"""Published by sharing on ``hub.sharing.v1`` for referral: what became of each decision."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from hubformats.event import Event, Part


class RecipientOutcome(Part):
    """What was decided for one recipient, before anything is sent: permit or withhold, with the
    clause or reason code.
    """

    recipient: str
    outcome: Literal["permit", "withhold"]
    clause: str = ""
    reason_code: str = ""


class SnapshotDecided(Event):
    """Sharing has decided on this version and holds it durably.

    `outcomes` are those that are news, which may be none. Of a decision made again they are only
    those it was made for.
    """

    TYPE: ClassVar[str] = "hub.snapshot-decided"
    VERSION: ClassVar[int] = 2

    case_id: UUID
    snapshot_version: int
    outcomes: tuple[RecipientOutcome, ...] = ()
    decided_at: datetime


class DisclosureReleased(Event):
    """A sealed package left for one recipient; its audit entry was durable first, or was promised
    by a named person.
    """

    TYPE: ClassVar[str] = "hub.disclosure-released"
    VERSION: ClassVar[int] = 1

    case_id: UUID
    snapshot_version: int
    delivery_id: UUID
    recipient: str
    clause: str
    released_at: datetime
    proof: Literal["proven", "promised"]


class PromiseBroken(Event):
    """What left on a promise has no proof.

    `overdue`: not yet, though it was due; it may still come. `broken`: there will be none.
    """

    TYPE: ClassVar[str] = "hub.promise-broken"
    VERSION: ClassVar[int] = 1

    case_id: UUID
    snapshot_version: int
    delivery_id: UUID
    recipient: str
    standing: Literal["overdue", "broken"]
    reason_code: str
    found_at: datetime


class DisclosureBlocked(Event):
    """A permitted disclosure did not leave: a veto, a stale snapshot, a rejected audit record, or
    no answer.
    """

    TYPE: ClassVar[str] = "hub.disclosure-blocked"
    VERSION: ClassVar[int] = 1

    case_id: UUID
    snapshot_version: int
    delivery_id: UUID
    recipient: str
    reason_code: str
    blocked_at: datetime


class AnswerNews(Event):
    """What left was taken back, or corrected after it was opened, and what its recipient says.

    `due` is None where no answer is needed.
    """

    TYPE: ClassVar[str] = "hub.disclosure-answer"
    VERSION: ClassVar[int] = 1

    case_id: UUID
    snapshot_version: int
    delivery_id: UUID
    recipient: str
    standing: Literal["taken_back", "awaited", "overdue", "answered"]
    answer: str = ""
    duty: str = ""
    due: datetime | None = None
    at: datetime


class DisclosureSaved(Event):
    """The recipient's system of record, or a named practitioner, holds the case and signed for
    exactly that ciphertext.
    """

    TYPE: ClassVar[str] = "hub.disclosure-saved"
    VERSION: ClassVar[int] = 1

    case_id: UUID
    delivery_id: UUID
    recipient: str
    saved_at: datetime
