"""The second-look queue in memory, held to the contract suite of the real one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from common.access import Granted
from hubformats.audit_record import Actor
from sharing.second_look.model import (
    WAITING,
    Filed,
    LookBook,
    LookOver,
    LookState,
    Party,
    SecondLook,
    read_rules,
)
from tests.architecture.tree import ROOT

RULES = ROOT / "services/sharing/src/sharing/second_look/rules/northmoor-2026-04-01.toml"
BOOK = LookBook(read_rules([RULES.read_text("utf-8")]), "northmoor", b"l" * 32)
EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class KeptLooks:
    """What the queue holds."""

    items: dict[UUID, SecondLook] = field(default_factory=dict)
    alarmed: dict[UUID, datetime] = field(default_factory=dict)
    told: set[UUID] = field(default_factory=set)


class FakeSecondLooks:
    """Fulfils `second_look.ports.SecondLooks`."""

    def __init__(self, kept: KeptLooks, book: LookBook = BOOK) -> None:
        self._kept = kept
        self._book = book

    def file(self, filed: Filed) -> SecondLook:
        return self._kept.items.setdefault(filed.id, self._book.opened(filed))

    def party_of(self, granted: Granted) -> Party:
        who = granted.principal
        role = ",".join(sorted(who.roles)) or "system"
        return self._book.party(Actor(f"{who.issuer}|{who.subject}", who.agency, role))

    def find(self, granted: Granted, look_id: UUID) -> SecondLook | None:
        return next((each for each in self._of_others(granted) if each.id == look_id), None)

    def listed(self, granted: Granted, limit: int, *, waiting: bool) -> Sequence[SecondLook]:
        found = [each for each in self._of_others(granted) if (each.state in WAITING) is waiting]
        found.sort(key=lambda each: each.id)
        if waiting:
            found.sort(key=lambda each: each.due_at)
        else:
            found.sort(key=lambda each: each.reviewed_at or EARLIEST, reverse=True)
        return tuple(found[:limit])

    def replace(self, old: SecondLook, new: SecondLook) -> None:
        if self._kept.items[old.id] != old:
            raise LookOver
        if new.state is LookState.ESCALATED is not old.state:
            self._kept.told.discard(new.id)
            self._kept.alarmed.pop(new.id, None)
        self._kept.items[new.id] = new

    def to_tell(self, now: datetime) -> Sequence[SecondLook]:
        found = [
            each
            for each in self._kept.items.values()
            if each.state in WAITING and each.id not in self._kept.told
        ]
        self._kept.told.update(each.id for each in found)
        return tuple(sorted(found, key=lambda each: (each.due_at, each.id)))

    def to_alarm(self, now: datetime, before: datetime) -> Sequence[SecondLook]:
        found = [
            each
            for each in self._kept.items.values()
            if each.overdue(now) and self._kept.alarmed.get(each.id, EARLIEST) <= before
        ]
        self._kept.alarmed.update(dict.fromkeys((each.id for each in found), now))
        return tuple(sorted(found, key=lambda each: (each.due_at, each.id)))

    def _of_others(self, granted: Granted) -> list[SecondLook]:
        me = self.party_of(granted).token
        return [
            each
            for each in self._kept.items.values()
            if me not in {party.token for party in each.parties}
        ]
