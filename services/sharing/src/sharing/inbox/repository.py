"""Keeps the agencies' inboxes: sealed envelopes in the order in which each was given them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Insert, Select, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from common import topics
from common.access import Granted
from common.database import Prepared, Unit, among
from common.faults import crash_point
from common.outbox import RecipientUnknown
from common.sealed import RowAltered
from hubformats.agency_events import DeliveryStopped, DisclosurePackage
from hubformats.envelope import digest
from sharing.cases.model import CaseFile
from sharing.cases.ports import Cases
from sharing.content.model.projection import Kind
from sharing.disclosures.model.disclosure import Disclosure, State
from sharing.disclosures.ports import Disclosures
from sharing.inbox.model import (
    AuthorisedDelivery,
    Delivery,
    Only,
    Shown,
    UnderWay,
    authorised_delivery,
)
from sharing.tables import DELIVERY, INBOX_PLACE, DisclosureRow, RepositoryDeps, table_of

_DISCLOSURE = table_of(DisclosureRow)
_FIELDS: Final = tuple(field.name for field in fields(Delivery))

# Made once: a waiting reader looks after every delivery.
_NEW: Final = Prepared(insert(DELIVERY), "agency", *_FIELDS, "row_seal")
_SHOWN: Final = select(*(DELIVERY.c[name] for name in _FIELDS), DELIVERY.c.row_seal).join(
    _DISCLOSURE, _DISCLOSURE.c.id == DELIVERY.c.delivery_id
)
_OWN: Final = DELIVERY.c.agency == bindparam("b_agency")
_STANDS: Final = _DISCLOSURE.c.state == State.RELEASED.value
"""It was not taken back."""
_GIVEN: Final = _SHOWN.where(_OWN, DELIVERY.c.delivery_id == bindparam("b_delivery")).order_by(
    DELIVERY.c.position
)
_ALL_GIVEN: Final = Prepared(_GIVEN)
_ENVELOPES: Final = Prepared(_GIVEN.where(_STANDS))
_MESSAGES: Final = Prepared(
    lambda dialect: select(DELIVERY.c.agency, DELIVERY.c.event_id).where(
        among(DELIVERY.c.event_id, "ids", dialect)
    )
)
_THESE: Final = Prepared(
    lambda dialect: _SHOWN.where(_OWN, among(DELIVERY.c.event_id, "ids", dialect), _STANDS)
)


def _page(query: Select[Any]) -> Mapping[Only, Prepared]:
    """Prepare the queries for an inbox behind a place: all of it, and withdrawals alone."""
    behind = query.where(_OWN, DELIVERY.c.position > bindparam("b_after"), _STANDS)
    part = behind.order_by(DELIVERY.c.position).limit(bindparam("b_limit"))
    withdrawals = part.where(DELIVERY.c.kind == "withdrawal")
    return {None: Prepared(part), "withdrawal": Prepared(withdrawals)}


_BEHIND: Final = _page(_SHOWN)
_CASES: Final = select(DELIVERY.c.visible_at, _DISCLOSURE.c.case_id).join(
    _DISCLOSURE, _DISCLOSURE.c.id == DELIVERY.c.delivery_id
)
_WAITING: Final = _page(_CASES)
_CASE_OF: Final = Prepared(
    _CASES.where(
        _OWN,
        DELIVERY.c.delivery_id == bindparam("b_delivery"),
        DELIVERY.c.kind != "withdrawal",
        _STANDS,
    ).limit(1)
)


def _placing(dialect: str) -> Insert:
    new = sqlite.insert(INBOX_PLACE) if dialect == "sqlite" else postgresql.insert(INBOX_PLACE)
    taken = new.on_conflict_do_update(
        index_elements=["agency"], set_={"last": INBOX_PLACE.c.last + 1}
    )
    return taken.returning(INBOX_PLACE.c.last)


_PLACED: Final = Prepared(_placing, "agency", "last")


class SqlInbox:
    """Fulfils `inbox.ports.Inbox` and `disclosures.ports.InboxWriter` inside one unit of work."""

    def __init__(
        self, unit: Unit, deps: RepositoryDeps, disclosures: Disclosures, cases: Cases
    ) -> None:
        self._unit = unit
        self._conn = unit.connection
        self._deps = deps
        self._disclosures = disclosures
        self._cases = cases
        self._seal = deps.seals.delivery

    def send(
        self,
        disclosure: Disclosure,
        package: DisclosurePackage,
        *,
        kind: Kind,
        not_before: datetime | None,
    ) -> str:
        """Make one envelope, in the outbox and in the inbox, byte for byte the same."""
        agency = disclosure.recipient
        sent = self._deps.outbox.send(
            self._unit,
            topic=topics.disclosure(agency),
            key=agency,
            event=package,
            to=[agency],
            stream=agency,
            not_before=not_before,
        )
        crash_point("sharing.package-sealed")
        made = Delivery(
            position=self._place(agency),
            delivery_id=disclosure.id,
            kind=kind,
            envelope=sent.value,
            digest=sent.digest,
            event_id=sent.id,
            visible_at=not_before or self._deps.clock.now(),
        )
        row = {name: getattr(made, name) for name in _FIELDS}
        seal = self._seal.of(_sealed(agency, made))
        _NEW.run(self._conn, {"agency": agency, **row, "row_seal": seal})
        self._unit.after_commit(lambda: self._deps.after_send(agency))
        return sent.digest

    def behind(
        self, granted: Granted, after: int, limit: int, now: datetime, only: Only = None
    ) -> tuple[Shown, ...]:
        """Stop at the first that may not be seen yet: a reader's place must never jump over it."""
        agency = granted.principal.agency
        found = self._shown(_BEHIND[only], b_agency=agency, b_after=after, b_limit=limit)
        early = next(
            (place for place, each in enumerate(found) if each.delivery.visible_at > now),
            len(found),
        )
        return found[:early]

    def envelopes(self, granted: Granted, delivery_id: UUID) -> tuple[Shown, ...]:
        """Ask with one predicate, agency and id."""
        return self._shown(_ENVELOPES, b_agency=granted.principal.agency, b_delivery=delivery_id)

    def given_to(self, granted: Granted, delivery_id: UUID) -> AuthorisedDelivery | None:
        """Ask by agency and id, then lock the disclosure. Raises RowAltered."""
        recipient = granted.principal.agency
        shown = self._shown(_ALL_GIVEN, b_agency=recipient, b_delivery=delivery_id)
        found = self._disclosures.get(delivery_id) if shown else None
        return None if found is None else authorised_delivery(recipient, found, shown)

    def stop(self, disclosure: Disclosure) -> None:
        """Replace each of its envelopes that waits; one that nobody can be told of never leaves."""
        agency, outbox = disclosure.recipient, self._deps.outbox
        given = {"b_agency": agency, "b_delivery": disclosure.id}
        for row in list(_ALL_GIVEN.run(self._conn, given)):
            try:
                outbox.replace(self._unit, row.event_id, DeliveryStopped(delivery_id=disclosure.id))
            except RecipientUnknown:
                outbox.confirm(self._unit, [row.event_id])

    def under_way(self, event_ids: Collection[UUID]) -> tuple[UnderWay, ...]:
        """Look agency by agency, because each row is checked as its recipient's."""
        of: dict[str, list[UUID]] = {}
        for row in _MESSAGES.run(self._conn, {"ids": list(event_ids)}):
            of.setdefault(row.agency, []).append(row.event_id)
        found = []
        for agency, ids in of.items():
            shown = {
                each.delivery.event_id: each
                for each in self._shown(_THESE, b_agency=agency, ids=ids)
            }
            found += [UnderWay(one, agency, shown.get(one)) for one in ids]
        return tuple(found)

    def confirmed(self, event_ids: Sequence[UUID]) -> None:
        """Let the outbox forget the bytes; the inbox row keeps its own until expiry."""
        self._deps.outbox.confirm(self._unit, event_ids)

    def _shown(self, query: Prepared, *, b_agency: str, **values: object) -> tuple[Shown, ...]:
        """List what was really given to this agency; anything altered is alarmed and left out.

        One altered row must not hide the others, which may tell of danger.
        """
        found = []
        for row in query.run(self._conn, {"b_agency": b_agency, **values}):
            one = Delivery(**{name: getattr(row, name) for name in _FIELDS})
            with suppress(RowAltered):
                self._seal.check(one.event_id, _sealed(b_agency, one), row.row_seal)
                found.append(one)
        disclosures = self._disclosures.delivered({one.delivery_id for one in found})
        cases = self._cases.named({each.case_id for each in disclosures.values()})
        shown = []
        for one in found:
            disclosure = disclosures.get(one.delivery_id)
            case = None if disclosure is None else cases.get(disclosure.case_id)
            if disclosure is None or case is None:
                continue
            if disclosure.recipient != b_agency:
                self._seal.altered(one.event_id)
                continue
            shown.append(_shown(one, disclosure, case))
        return tuple(shown)

    def _place(self, agency: str) -> int:
        """Hand positions out under a row lock.

        So a reader who has seen one never finds a smaller one later.
        """
        place: int = _PLACED.run(self._conn, {"agency": agency, "last": 1}).scalar_one()
        return place


def _sealed(agency: str, one: Delivery) -> dict[str, object]:
    """Return what is bound of a delivery: all of it, the envelope by its digest."""
    kept: dict[str, object] = {name: getattr(one, name) for name in _FIELDS}
    return {**kept, "agency": agency, "envelope": digest(one.envelope)}


def _shown(one: Delivery, disclosure: Disclosure, case: CaseFile) -> Shown:
    return Shown(
        delivery=one,
        case_id=disclosure.case_id,
        referrer=case.referrer,
        saved_at=disclosure.saved_at,
        acknowledged_at=disclosure.acknowledged_at,
        vetoes=frozenset(case.markings),
        opened_at=disclosure.opened_at,
        answer_due=disclosure.answer_due,
        answered_at=disclosure.answered_at,
        answer=disclosure.answer,
        duty=disclosure.duty,
    )


class SqlInboxViews:
    """Fulfils `sharing.inbox.ports.InboxViews` on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection

    def waiting(
        self, agency: str, after: int, limit: int, now: datetime, only: Only = None
    ) -> frozenset[UUID] | None:
        """Look as far as the first that may not be seen yet: no reader's place jumps over it."""
        wanted = {"b_agency": agency, "b_after": after, "b_limit": limit}
        found = _WAITING[only].run(self._conn, wanted)
        rows = takewhile(lambda row: row.visible_at <= now, found)
        return frozenset(row.case_id for row in rows) or None

    def case_of(self, agency: str, delivery_id: UUID) -> UUID | None:
        """Ask with one predicate, agency and id."""
        row = _CASE_OF.run(self._conn, {"b_agency": agency, "b_delivery": delivery_id}).first()
        return None if row is None else row.case_id
