"""The agencies' inboxes in memory, without encryption."""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import takewhile
from uuid import UUID

from common.access import Granted
from hubformats.agency_events import DisclosurePackage
from hubformats.audit_record import new_salt
from hubformats.canonical import b64u, canonical
from hubformats.clock import Clock
from hubformats.envelope import digest
from hubformats.ids import uuid7
from sharing.content.model.projection import Kind
from sharing.directory.ports import Directory
from sharing.disclosures.model.disclosure import Disclosure
from sharing.inbox.model import (
    AuthorisedDelivery,
    Delivery,
    Only,
    Shown,
    UnderWay,
    authorised_delivery,
)
from tests.support.sharing_kept import Kept


class FakeInbox:
    """Fulfils `inbox.ports.Inbox`, `InboxViews` and `disclosures.ports.InboxWriter`."""

    def __init__(self, kept: Kept, clock: Clock, directory: Directory) -> None:
        self._kept = kept
        self._clock = clock
        self._directory = directory

    def send(
        self,
        disclosure: Disclosure,
        package: DisclosurePackage,
        *,
        kind: Kind,
        not_before: datetime | None,
    ) -> str:
        agency = disclosure.recipient
        if self._directory.sealing_key(agency) is None:
            raise LookupError("no key")
        envelope = canonical({"package": package.data(), "salt": b64u(new_salt())})
        place = self._kept.inbox.setdefault(agency, [])
        visible = not_before or self._clock.now()
        sealed = digest(envelope)
        place.append(
            Delivery(len(place) + 1, disclosure.id, kind, envelope, sealed, uuid7(), visible)
        )
        return sealed

    def stop(self, disclosure: Disclosure) -> None:
        self._kept.stopped += [
            each.event_id
            for each in self._kept.inbox.get(disclosure.recipient, [])
            if each.delivery_id == disclosure.id
        ]

    def under_way(self, event_ids: Collection[UUID]) -> tuple[UnderWay, ...]:
        return tuple(
            UnderWay(each.event_id, agency, self._shown(each) if self._stands(each) else None)
            for agency, given in self._kept.inbox.items()
            for each in given
            if each.event_id in event_ids
        )

    def behind(
        self, granted: Granted, after: int, limit: int, now: datetime, only: Only = None
    ) -> tuple[Shown, ...]:
        found = self._behind(granted.principal.agency, after, only)[:limit]
        seen = []
        for each in found:
            if each.visible_at > now:
                break
            seen.append(self._shown(each))
        return tuple(seen)

    def envelopes(self, granted: Granted, delivery_id: UUID) -> tuple[Shown, ...]:
        standing = self._standing(granted.principal.agency)
        stands = any(one.delivery_id == delivery_id for one in standing)
        return self._of(granted.principal.agency, delivery_id) if stands else ()

    def given_to(self, granted: Granted, delivery_id: UUID) -> AuthorisedDelivery | None:
        recipient = granted.principal.agency
        shown = self._of(recipient, delivery_id)
        found = self._kept.disclosures.get(delivery_id)
        return authorised_delivery(recipient, found, shown) if shown and found else None

    def confirmed(self, event_ids: Sequence[UUID]) -> None:
        self._kept.confirmed += event_ids

    def waiting(
        self, agency: str, after: int, limit: int, now: datetime, only: Only = None
    ) -> frozenset[UUID] | None:
        found = self._behind(agency, after, only)[:limit]
        seen = takewhile(lambda each: each.visible_at <= now, found)
        return frozenset(self._kept.disclosures[one.delivery_id].case_id for one in seen) or None

    def case_of(self, agency: str, delivery_id: UUID) -> UUID | None:
        given = [
            one
            for one in self._standing(agency)
            if one.delivery_id == delivery_id and one.kind != "withdrawal"
        ]
        return self._kept.disclosures[delivery_id].case_id if given else None

    def _behind(self, agency: str, after: int, only: Only) -> list[Delivery]:
        return [
            each
            for each in self._standing(agency)
            if each.position > after and only in (None, each.kind)
        ]

    def _standing(self, agency: str) -> list[Delivery]:
        return [each for each in self._kept.inbox.get(agency, []) if self._stands(each)]

    def _stands(self, each: Delivery) -> bool:
        return self._kept.disclosures[each.delivery_id].left

    def _of(self, agency: str, delivery_id: UUID) -> tuple[Shown, ...]:
        return tuple(
            self._shown(each)
            for each in self._kept.inbox.get(agency, [])
            if each.delivery_id == delivery_id
        )

    def _shown(self, each: Delivery) -> Shown:
        one = self._kept.disclosures[each.delivery_id]
        case = self._kept.cases[one.case_id]
        vetoes = frozenset(case.markings)
        return Shown(
            each,
            one.case_id,
            case.referrer,
            one.saved_at,
            one.acknowledged_at,
            vetoes,
            one.opened_at,
            one.answer_due,
            one.answered_at,
            one.answer,
            one.duty,
        )
