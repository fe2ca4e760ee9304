"""Ports of sharing's notices in memory, with the obligations of the real ones."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID

from common.access import Granted
from common.events import Event
from hubformats.agency_events import CompromisedKeyUsed, EnvelopeSetAside
from hubformats.audit_record import AuditEntry
from hubformats.ids import uuid7
from sharing.context import Record
from sharing.directory.ports import Directory
from sharing.notices.model import Notice, NoticeState
from tests.support.signed_fakes import FakeKeyUses

T = TypeVar("T")


@dataclass(slots=True)
class FakeNotices:
    """Fulfils `notices.ports.Notices` and `NoticeViews`."""

    directory: Directory
    kept: dict[UUID, Notice] = field(default_factory=dict)
    left: list[tuple[str, EnvelopeSetAside | CompromisedKeyUsed]] = field(default_factory=list)

    def add(self, notice: Notice) -> None:
        self.kept[notice.id] = notice

    def get(self, notice_id: UUID) -> Notice | None:
        return self.kept.get(notice_id)

    def by_record(self, record_id: UUID) -> Notice | None:
        return next((one for one in self.kept.values() if one.record_id == record_id), None)

    def replace(self, old: Notice, new: Notice) -> None:
        self.kept[old.id] = replace(
            self.kept[old.id], state=new.state, log_index=new.log_index, sent_at=new.sent_at
        )

    def send(self, notice: Notice) -> None:
        if self.directory.sealing_key(notice.agency) is None:
            raise LookupError(notice.agency)
        self.left.append((notice.agency, notice.to_event()))

    def ready(self, after: UUID | None, limit: int) -> tuple[Notice, ...]:
        return self._found(lambda one: one.state is NoticeState.READY, after, limit)

    def told(self, granted: Granted, after: UUID | None, limit: int) -> tuple[Notice, ...]:
        mine = granted.principal.agency
        return self._found(
            lambda one: one.agency == mine and one.state is NoticeState.SENT, after, limit
        )

    def _found(
        self, here: Callable[[Notice], bool], after: UUID | None, limit: int
    ) -> tuple[Notice, ...]:
        behind = [one for one in self.kept.values() if after is None or one.id > after]
        return tuple(sorted(filter(here, behind), key=lambda one: one.id)[:limit])


@dataclass(slots=True)
class FakeNoticeTx:
    """Fulfils `notices.ports.NoticeTx` and `NoticeView`."""

    notices: FakeNotices
    signed: FakeKeyUses = field(default_factory=FakeKeyUses)
    records: list[AuditEntry] = field(default_factory=list)

    def record(self, entry: AuditEntry) -> Record:
        self.records.append(entry)
        return Record(uuid7(), b"{}", b"s" * 32)

    def publish(self, case_id: UUID, event: Event) -> None:
        raise AssertionError("a notice tells referral nothing")


@dataclass(slots=True)
class FakeNoticeStore:
    """Fulfils `sharing.context.Store` for notices."""

    tx: FakeNoticeTx

    async def write(self, work: Callable[[FakeNoticeTx], T]) -> T:
        return work(self.tx)

    async def read(self, work: Callable[[FakeNoticeTx], T]) -> T:
        return work(self.tx)
