"""The portal's ports in memory, each with the obligations of the real adapter and no encryption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from common.access import Granted
from common.testing import ManualClock
from hubformats.audit_record import AuditEntry
from hubformats.ids import opaque
from hubformats.keys import OpeningKey, SigningKey
from hubformats.statement import EnvelopeRefused
from portal.emergency.model import Unproven, UnprovenList
from portal.shell.model import (
    SIGN_IN_LASTS,
    CallRefused,
    Draft,
    Grantings,
    NoAnswer,
    PendingSignIn,
    Person,
    Session,
    TokenRefused,
)
from portal.shell.repository import hashed
from portal.sign_in.model import Callback, Redirect, SignInFailed
from portal.work.model.delivery import Delays, Known, Sealed, Standing, Waiting
from tests.support.portal_packages import ME, keys

ISSUER = "http://identity.example.org"


class MemorySessions:
    """Fulfils `portal.shell.ports.Sessions`."""

    def __init__(self) -> None:
        self.open: dict[str, Session] = {}
        self.begun: dict[str, PendingSignIn] = {}

    async def begin(self, cookie: str, pending: PendingSignIn) -> None:
        self.begun[cookie] = pending

    async def take(self, cookie: str, now: datetime) -> PendingSignIn | None:
        found = self.begun.pop(cookie, None)
        return None if found is None or now - found.began > SIGN_IN_LASTS else found

    async def put(self, cookie: str, session: Session) -> None:
        self.open[cookie] = replace(session, id=hashed(cookie))

    async def amend(self, cookie: str, session: Session) -> None:
        kept = self.open.get(cookie)
        if kept is not None:
            self.open[cookie] = replace(session, id=kept.id, created=kept.created, seen=kept.seen)

    async def find(self, cookie: str, now: datetime, *, used: bool = True) -> Session | None:
        found = self.open.get(cookie)
        if found is None or found.over(now):
            self.open.pop(cookie, None)
            return None
        if used:
            self.open[cookie] = replace(found, seen=now)
        return found

    async def end(self, cookie: str) -> None:
        self.open.pop(cookie, None)


class MemoryAuthorization:
    """Fulfils `portal.sign_in.ports.Authorization`; what was asked for and ended is kept."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mapping[str, str], Draft | None]] = []
        self.revoked: list[Session] = []
        self.grants: Grantings | None = None
        self.against = "invalid_grant"

    async def begin(
        self, asked: Mapping[str, str] | None = None, draft: Draft | None = None
    ) -> Redirect:
        second = {} if asked is None else {**asked, "prompt": "login"}
        self.asked.append((second, draft))
        return Redirect(
            f"{ISSUER}/authorize",
            PendingSignIn("s", "v", {}, ManualClock().now(), draft),
        )

    async def complete(self, pending: PendingSignIn, back: Callback) -> Grantings:
        if back.state != pending.state:
            raise SignInFailed("state")
        if back.iss != ISSUER:
            raise SignInFailed("issuer")
        if self.grants is None:
            raise SignInFailed(self.against)
        return self.grants

    async def revoke(self, session: Session) -> None:
        self.revoked.append(session)


@dataclass
class MemoryPeople:
    """Fulfils `portal.sign_in.ports.People`."""

    person: Person

    async def me(self) -> Person:
        return self.person


@dataclass
class MemoryDeliveries:
    """Fulfils `portal.work.ports.Deliveries`; `done` tells in which order it was called."""

    items: list[Waiting]
    done: list[str] = field(default_factory=list)
    receipts: dict[str, str] = field(default_factory=dict)
    against: Exception | None = None
    delayed: Delays = field(default_factory=Delays)
    gone: dict[str, Standing] = field(default_factory=dict)
    """What was taken back: such are neither listed nor fetched."""

    def take_back(self, delivery_id: str, found: Standing) -> None:
        """Have one stand no longer."""
        self.items = [one for one in self.items if one.delivery_id != delivery_id]
        self.gone[delivery_id] = found

    def stand(self, **changes: Any) -> None:
        """Have every item stand otherwise."""
        self.items = [replace(one, **changes) for one in self.items]

    async def waiting(self, granted: Granted, *, withdrawals: bool = False) -> Sequence[Waiting]:
        assert granted.scope == "disclosure.read"
        if withdrawals:
            return [one for one in self.items if one.withdrawal]
        if self.against is not None:
            raise self.against
        return list(self.items)

    async def delays(self, granted: Granted) -> Delays:
        assert granted.scope == "disclosure.read"
        return self.delayed

    async def fetch(self, granted: Granted, delivery_id: str) -> Sealed:
        assert granted.scope == "disclosure.read"
        self.done.append("fetched")
        found = self._item(delivery_id)
        if self.against is not None and not found.withdrawal:
            raise self.against
        if found.envelope is None:
            raise EnvelopeRefused("digest-mismatch")
        return Sealed(found, found.envelope)

    async def standing(self, granted: Granted, delivery_id: str) -> Standing:
        assert granted.scope == "disclosure.read"
        if delivery_id in self.gone:
            return self.gone[delivery_id]
        self._item(delivery_id)
        return Standing(stands=True)

    async def send_receipt(self, granted: Granted, delivery_id: str, receipt: str) -> None:
        assert granted.scope == "disclosure.acknowledge"
        self._change(delivery_id, state="saved", saved_at="2026-11-21T02:06:00Z")
        self.receipts[delivery_id] = receipt
        self.done.append("receipt")

    async def acknowledge(self, granted: Granted, delivery_id: str, role: str) -> None:
        assert granted.scope == "disclosure.acknowledge"
        self._change(delivery_id, state="acknowledged")
        self.done.append(f"acknowledged as {role}")

    async def answer(self, granted: Granted, delivery_id: str, answer: str, duty: str) -> None:
        assert granted.scope == "disclosure.acknowledge"
        self._change(delivery_id, answer=answer, duty=duty)
        self.done.append(f"answered {answer} {duty}".strip())

    def _item(self, delivery_id: str) -> Waiting:
        found = [one for one in self.items if one.delivery_id == delivery_id]
        if not found:
            raise CallRefused(404, "not-found")
        return found[-1]

    def _change(self, delivery_id: str, **changes: Any) -> None:
        self._item(delivery_id)
        self.items = [
            replace(one, **changes) if one.delivery_id == delivery_id else one for one in self.items
        ]


class MemoryDeliverySummaries:
    """Fulfils `portal.work.ports.DeliverySummaries`."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Known] = {}

    async def remember(
        self, granted: Granted, delivery_id: str, known: Known, now: datetime
    ) -> None:
        assert now.tzinfo is not None
        self.kept[granted.principal.agency, delivery_id] = known

    async def known(self, granted: Granted, delivery_ids: Sequence[str]) -> Mapping[str, Known]:
        agency = granted.principal.agency
        return {one: self.kept[agency, one] for one in delivery_ids if (agency, one) in self.kept}


class MemoryAgencyKeys:
    """Fulfils `portal.work.ports.AgencyKeys` for one agency."""

    def opening(self, granted: Granted) -> Mapping[str, OpeningKey]:
        mine = granted.principal.kind == "person" and granted.principal.agency == ME
        return {keys().opening.kid: keys().opening} if mine else {}

    def signing(self, granted: Granted) -> SigningKey | None:
        return keys().signing if granted.principal.agency == ME else None


@dataclass
class MemoryRecorder:
    """Fulfils `portal.work.ports.Recorder`.

    `order` is shared with the deliveries' `done`, so that a test sees what came first.
    """

    order: list[str]
    entries: list[AuditEntry] = field(default_factory=list)
    is_ready: bool = True
    fails: bool = False

    async def record(self, entry: AuditEntry) -> None:
        if self.fails:
            raise OSError("the disk is full")
        self.order.append(f"recorded {entry.operation}")
        self.entries.append(entry)

    def ready(self) -> bool:
        return self.is_ready


@dataclass
class MemoryAuditLog:
    """Fulfils `portal.auditing.ports.AuditLog`; every question finds the same."""

    done: list[str] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)
    entries: dict[int, dict[str, Any]] = field(default_factory=dict)
    against: Exception | None = None
    unread: Exception | None = None

    async def ask(
        self, granted: Granted, purpose: str, justification: str, wanted: Mapping[str, str]
    ) -> str:
        assert granted.scope == "audit.read"
        assert purpose
        assert justification
        if self.against is not None:
            raise self.against
        self.done.append(f"asked {sorted(wanted)}")
        return "01932000-0000-7000-8000-000000000031"

    async def answers(
        self, granted: Granted, query_id: str, cursor: str | None = None
    ) -> Mapping[str, Any]:
        assert granted.scope == "audit.read"
        if self.unread is not None:
            raise self.unread
        assert query_id
        assert cursor is None
        return {"items": self.found, "nextCursor": None}

    async def entry(self, granted: Granted, index: int) -> Mapping[str, Any]:
        assert granted.scope == "audit.read"
        if self.unread is not None:
            raise self.unread
        if index not in self.entries:
            raise CallRefused(404, "not-found")
        return self.entries[index]


@dataclass
class MemoryReleases:
    """Fulfils `portal.emergency.ports.Releases`. One list holds `room` items at most."""

    done: list[str] = field(default_factory=list)
    without_proof: list[Unproven] = field(default_factory=list)
    sent: list[Unproven] = field(default_factory=list)
    room: int = 100
    against: Exception | None = None
    texts: dict[str, str] = field(
        default_factory=lambda: {"NM-2": "When a victim is at high risk, the IDVA service is told."}
    )

    async def unproven(self, granted: Granted, delivery_id: str = "") -> UnprovenList:
        assert granted.scope == "sharing.request"
        self.done.append("looked at what has no proof")
        found = [one for one in self.without_proof if delivery_id in ("", one.delivery_id)]
        return UnprovenList(tuple(found[: self.room]), more=len(found) > self.room)

    async def after_send(
        self, granted: Granted, delivery_id: str, case_reference: str
    ) -> Unproven | None:
        assert granted.scope == "sharing.request"
        self.done.append(f"asked what became of {case_reference}")
        wanted = (delivery_id, case_reference)
        return next(
            (one for one in self.sent if (one.delivery_id, one.case_reference) == wanted), None
        )

    async def clauses(self) -> Mapping[str, str]:
        return self.texts

    async def release(self, granted: Granted, delivery_id: str, code: str, reason: str) -> None:
        assert granted.scope == "sharing.request"
        assert reason
        if self.against is not None:
            raise self.against
        found = [one for one in self.without_proof if one.delivery_id == delivery_id]
        if not found or found[0].promised:
            raise CallRefused(409 if found else 404, "conflict" if found else "not-found")
        self.done.append(f"released {code}")
        self.without_proof = [
            replace(one, promised=True) if one in found else one for one in self.without_proof
        ]


Said = tuple[int, Mapping[str, Any] | None]
"""What a service says: a status with a body, or 0 for no answer at all."""


@dataclass(frozen=True)
class Asked:
    """One request as a service got it."""

    method: str
    service: str
    path: str
    scope: str
    told: Mapping[str, Any]
    key: str | None


@dataclass
class MemoryCalls:
    """Fulfils `portal.shell.ports.Calls` by what the services were told to say, in order."""

    says: list[Said] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    no_token: set[str] = field(default_factory=set)

    async def get(
        self, service: str, path: str, scope: str, params: Mapping[str, str | int] | None = None
    ) -> Any:
        return self._call(Asked("GET", service, path, scope, params or {}, None), tries=4)

    async def post(self, service: str, path: str, scope: str, body: Mapping[str, Any]) -> Any:
        return self._call(Asked("POST", service, path, scope, body, opaque()), tries=4)

    async def post_once(self, service: str, path: str, scope: str, body: Mapping[str, Any]) -> Any:
        return self._call(Asked("POST", service, path, scope, body, None), tries=1)

    def _call(self, asked: Asked, tries: int) -> Any:
        if asked.scope in self.no_token:
            raise TokenRefused("invalid_scope")
        for left in reversed(range(tries)):
            self.asked.append(asked)
            status, body = self.says.pop(0)
            if status in {0, 503} and left:
                continue
            if status == 0:
                raise NoAnswer("ConnectError")
            if status >= 400:
                raise CallRefused(status, (body or {})["code"])
            return body
        return None
