"""What agencies signed and this service took in, and what of it a compromised key may have."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from hubformats.agency_events import SavedReceipt

Channel = Literal["topic", "api"]
CASE: Final = "case"
"""The kind of what is no message: a case of which a new version came."""
NAMED: Final = 100
"""How many a notice names at most."""


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message that an agency signed and this service took in.

    `kind` is the event's type; `signed_at` is what the signer says, None when it does not.
    """

    agency: str
    reference: UUID
    key_id: str
    kind: str
    channel: Channel
    arrived_at: datetime
    signed_at: datetime | None = None
    event_id: UUID | None = None
    delivery_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class KeyUse:
    """Something that a compromised key signed, or may have, and that was used before that was
    known.

    `certain`: its key is known. `kind` is None for a message of which its id alone was kept.
    """

    agency: str
    key_id: str
    since: datetime
    reference: UUID
    certain: bool
    kind: str | None
    channel: Channel | None
    arrived_at: datetime
    signed_at: datetime | None
    event_id: UUID | None
    delivery_id: UUID | None
    case_id: UUID | None
    found_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found: how many of each, and the first of those the agency may be told of.

    `kept_out` counts cases that keep their own referrer out.
    """

    messages: int
    older: int
    cases: int
    kept_out: int
    first: tuple[KeyUse, ...]

    @property
    def count(self) -> int:
        """All of them."""
        return self.messages + self.older + self.cases + self.kept_out


def receipt_message(
    agency: str, key_id: str, receipt: str, channel: Channel, at: datetime, delivery: UUID
) -> SignedMessage:
    """Describe a saved receipt, which is signed by itself and has no event's id of its own."""
    reference = UUID(bytes=hashlib.sha256(receipt.encode()).digest()[:16])
    return SignedMessage(
        agency, reference, key_id, SavedReceipt.TYPE, channel, at, delivery_id=delivery
    )
