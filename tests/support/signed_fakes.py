"""What agencies signed, in memory, with the obligations of the real ports."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sharing.directory.model import Compromise
from sharing.signed.model import CASE, NAMED, Channel, Found, KeyUse, SignedMessage
from sharing.signed.ports import Place


@dataclass(slots=True)
class FakeKeyUses:
    """Fulfils `signed.ports.KeyUses` and `KeyUseViews`."""

    messages: dict[tuple[str, UUID], SignedMessage] = field(default_factory=dict)
    marks: list[tuple[str, UUID, datetime]] = field(default_factory=list)
    """Of messages whose key was not kept: agency, event and when it was applied."""
    versions: list[tuple[str, UUID, datetime]] = field(default_factory=list)
    """Of cases: who referred, the case and when a version was decided on."""
    kept_out: set[UUID] = field(default_factory=set)
    deliveries: dict[UUID, UUID] = field(default_factory=dict)
    looks: set[tuple[str, datetime]] = field(default_factory=set)
    uses: dict[tuple[str, UUID], KeyUse] = field(default_factory=dict)

    def note(self, message: SignedMessage) -> None:
        self.messages.setdefault((message.agency, message.reference), message)

    def look_back(self, compromise: Compromise, notice_id: UUID, now: datetime) -> Found | None:
        first = self._first(compromise)
        self.looks.add((compromise.key_id, compromise.since))
        new = self._new(compromise, now)
        older = self._older(compromise, now) if first else []
        cases = self._cases(compromise, now) if first else []
        if not (first or new):
            return None
        found = [*new, *older, *cases]
        self.uses |= {(one.key_id, one.reference): one for one in found}
        told = [one for one in found if one.reference not in self.kept_out]
        told.sort(key=lambda one: (not one.certain, one.arrived_at, one.reference))
        hidden = len(found) - len(told)
        return Found(len(new), len(older), len(cases) - hidden, hidden, tuple(told[:NAMED]))

    def unseen(self, compromise: Compromise) -> bool:
        return self._first(compromise) or bool(self._new(compromise, compromise.since))

    def used(self, agency: str | None, after: Place | None, limit: int) -> tuple[KeyUse, ...]:
        found = [
            one
            for place, one in sorted(self.uses.items())
            if agency in {None, one.agency} and (after is None or place > after)
        ]
        return tuple(found[:limit])

    def _first(self, key: Compromise) -> bool:
        return (key.key_id, key.since) not in self.looks

    def _new(self, key: Compromise, now: datetime) -> list[KeyUse]:
        found = []
        for one in self.messages.values():
            late = max(one.arrived_at, one.signed_at or one.arrived_at) >= key.since
            mine = (one.agency, one.key_id) == (key.agency, key.key_id)
            if mine and late and (key.key_id, one.reference) not in self.uses:
                case = self.deliveries.get(one.delivery_id) if one.delivery_id else None
                found.append(
                    KeyUse(
                        key.agency,
                        key.key_id,
                        key.since,
                        one.reference,
                        True,
                        one.kind,
                        one.channel,
                        one.arrived_at,
                        one.signed_at,
                        one.event_id,
                        one.delivery_id,
                        case,
                        now,
                    )
                )
        return found

    def _older(self, key: Compromise, now: datetime) -> list[KeyUse]:
        return [
            self._may_be(key, event, "topic", at, now, event_id=event)
            for agency, event, at in self.marks
            if agency == key.agency
            and at >= key.since
            and (agency, event) not in self.messages
            and (key.key_id, event) not in self.uses
        ]

    def _cases(self, key: Compromise, now: datetime) -> list[KeyUse]:
        newest: dict[UUID, datetime] = {}
        for agency, case, at in self.versions:
            if agency == key.agency and at >= key.since and (key.key_id, case) not in self.uses:
                newest[case] = max(at, newest.get(case, at))
        return [self._may_be(key, case, None, at, now, case_id=case) for case, at in newest.items()]

    def _may_be(
        self,
        key: Compromise,
        reference: UUID,
        channel: Channel | None,
        at: datetime,
        now: datetime,
        **names: UUID,
    ) -> KeyUse:
        kind = CASE if "case_id" in names else None
        return KeyUse(
            agency=key.agency,
            key_id=key.key_id,
            since=key.since,
            reference=reference,
            certain=False,
            kind=kind,
            channel=channel,
            arrived_at=at,
            signed_at=None,
            event_id=names.get("event_id"),
            delivery_id=None,
            case_id=names.get("case_id"),
            found_at=now,
        )
