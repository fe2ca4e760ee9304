"""A notice of what an agency signed, set aside or used too soon: logged first, then sent, once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from hubformats.agency_events import CompromisedKeyUsed, EnvelopeSetAside, KeyUsed
from hubformats.set_aside import advice_for


class NoticeState(StrEnum):
    """How far a notice has come."""

    AWAITS_LOG = "awaits_log"
    READY = "ready"
    SENT = "sent"
    UNLOGGED = "unlogged"
    """The log refused its entry: it must not leave, and a person is told."""


class NoticeStep(StrEnum):
    """What can happen to a notice."""

    LOG = "log"
    REFUSE = "refuse"
    SEND = "send"


TRANSITIONS: Final[Mapping[tuple[NoticeState, NoticeStep], NoticeState]] = {
    (NoticeState.AWAITS_LOG, NoticeStep.LOG): NoticeState.READY,
    (NoticeState.AWAITS_LOG, NoticeStep.REFUSE): NoticeState.UNLOGGED,
    (NoticeState.READY, NoticeStep.SEND): NoticeState.SENT,
}
"""The state after each step; a pair that is not here cannot happen."""


class WrongState(ValueError):
    """A notice cannot take this step from where it stands."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One envelope that was set aside, for the agency that signed it. It holds no content.

    Or, with `used` and without an envelope, what a compromised key had signed that was used.
    """

    id: UUID
    agency: str
    event_id: UUID | None
    """The sender's own id of the event."""
    digest: str | None
    """SHA-256 of the envelope as it came, base64url."""
    reason_code: str
    received_at: datetime
    record_id: UUID
    """The audit record that must be in the log first."""
    state: NoticeState = NoticeState.AWAITS_LOG
    log_index: int | None = None
    sent_at: datetime | None = None
    used: KeyUsed | None = None

    def can(self, step: NoticeStep) -> bool:
        """Tell whether it can take this step now."""
        return (self.state, step) in TRANSITIONS

    def logged(self, index: int) -> "Notice":
        """Note that its entry is in the log, at this place."""
        return self._take(NoticeStep.LOG, log_index=index)

    def refused(self) -> "Notice":
        """Note that the log could not take its entry."""
        return self._take(NoticeStep.REFUSE)

    def sent(self, at: datetime) -> "Notice":
        """Let it leave for its agency."""
        return self._take(NoticeStep.SEND, sent_at=at)

    def to_event(self) -> EnvelopeSetAside | CompromisedKeyUsed:
        """Make what the agency reads. Raises WrongState before its entry is in the log."""
        if self.log_index is None:
            raise WrongState("not logged")
        if self.used is not None:
            return CompromisedKeyUsed(
                notice_id=self.id,
                used=self.used,
                found_at=self.received_at,
                log_index=self.log_index,
            )
        if self.event_id is None or self.digest is None:
            raise WrongState("no envelope")
        return EnvelopeSetAside(
            notice_id=self.id,
            event_id=self.event_id,
            digest=self.digest,
            reason_code=self.reason_code,
            advice=advice_for(self.reason_code),
            received_at=self.received_at,
            log_index=self.log_index,
        )

    def _take(self, step: NoticeStep, **changes: Any) -> "Notice":
        to = TRANSITIONS.get((self.state, step))
        if to is None:
            raise WrongState(f"{step} from {self.state}")
        return replace(self, state=to, **changes)
