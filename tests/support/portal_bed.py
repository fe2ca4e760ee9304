"""The portal's pages over an in-memory hub: real envelopes, packages, log and keys; nobody signs in
by OAuth here."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from jinja2 import Environment

import portal.wiring
from common.access import Granted
from common.settings import Settings
from common.testing import ManualClock
from common.web.app import HubApp, create_app
from hubformats.agency_events import DisclosurePackage, Promise
from hubformats.audit_record import AuditEntry, Leaf, content_commitment, record_hash
from hubformats.canonical import b64u, canonical
from hubformats.clock import Clock
from hubformats.envelope import Message, seal
from hubformats.keys import OpeningKey, SigningKey, StaticKeys, generate_opening, generate_signing
from hubformats.tlog import Checkpoint, Signer, Verifier, format_proof, leaf_hash, node_hash
from portal.api import ROUTERS
from portal.api.failures import error_page, register
from portal.api.pages import environment
from portal.domain.delivery import Known, Sealed, Waiting
from portal.domain.emergency import Unproven, UnprovenList
from portal.domain.visit import Draft, Grantings, PendingSignIn, Person, Session
from portal.ports import Redirect, SignInFailed
from portal.usecases import PortalDesk

BASE = "http://portal.example.org"
ME = "northmoor-idva"
DELIVERY = UUID("01932000-0000-7000-8000-000000000021")
SECRET_NAME = "Marta Quillfeather"
CONTENT: dict[str, Any] = {
    "v": 1,
    "kind": "disclosure",
    "deliveryId": str(DELIVERY),
    "recipient": ME,
    "caseReference": "NM-7F3K-9QXA-2C4T",
    "asOf": "2026-11-21T02:00:00Z",
    "provisional": False,
    "urgent": True,
    "otherClauses": [],
    "clause": {
        "id": "NM-1",
        "text": "Danger is told at once.",
        "agreement": "northmoor",
        "version": "1.0",
        "hash": "A" * 43,
    },
    "purpose": "protect_victim",
    "necessity": "Life may be at risk.",
    "lawfulBasis": "6ea_emergency",
    "condition": "9c",
    "gateway": "common_law",
    "obligations": [{"code": "safe-contact-only", "text": "Contact only by the rule shown."}],
    "sections": [
        {
            "category": "victim_identity",
            "label": "Victim",
            "clause": "NM-1",
            "items": [
                {"label": "Name", "value": SECRET_NAME, "quality": "fact", "about": "Victim"}
            ],
        }
    ],
}


@dataclass
class Log:
    """A log with one leaf before ours."""

    signer: Signer = field(default_factory=lambda: Signer("example.org/northmoor-log", bytes(32)))

    @property
    def verifier(self) -> Verifier:
        """Its public key."""
        return self.signer.verifier

    def prove(self, leaf: bytes) -> str:
        """A proof that `leaf` is entry 1 of 2."""
        first = leaf_hash(b"the leaf before")
        note = self.signer.sign(
            Checkpoint(self.verifier.name, 2, node_hash(first, leaf_hash(leaf))).text()
        )
        return format_proof(1, (first,), note)


SHARING, IDVA = generate_signing("svc:sharing"), generate_opening(ME)
IDVA_SIGNING = generate_signing(ME)
LOG = Log()


def package(content: Mapping[str, Any] = CONTENT, /, **changes: Any) -> DisclosurePackage:
    """A package that verifies, unless `changes` to its fields spoil it."""
    raw, salt = canonical(dict(content)), b"c" * 32
    clause = content["clause"]
    record = canonical(
        {
            "v": 1,
            "id": "01932000-0000-7000-8000-000000000022",
            "te": 1_795_000_000_000_000,
            "op": "disclosure",
            "out": "permit",
            "svc": "sharing",
            "rcp": content["recipient"],
            "dl": content["deliveryId"],
            "cl": clause["id"],
            "ag": clause["hash"],
            "dc": content_commitment(salt, raw),
        }
    )
    leaf = Leaf("kq3Xh2", 1, 1, 1_795_000_000_000_000, record_hash(b"r" * 32, record)).encode()
    made = DisclosurePackage(
        kind="disclosure",
        delivery_id=DELIVERY,
        content=b64u(raw),
        content_salt=b64u(salt),
        record=b64u(record),
        record_salt=b64u(b"r" * 32),
        leaf=b64u(leaf),
        proof=LOG.prove(leaf),
    )
    return made.model_copy(update=changes)


def promised(content: Mapping[str, Any] = CONTENT) -> DisclosurePackage:
    """An emergency release: an entry promised, not proven."""
    made = package(content)
    h = Leaf.decode(base64.urlsafe_b64decode(made.leaf + "=" * (-len(made.leaf) % 4))).h
    return package(
        content,
        leaf="",
        proof="",
        promise=Promise(src="kq3Xh2", ep=1, seq=1, h=h, due=ManualClock().now()),
    )


def envelope(made: DisclosurePackage, *, sender: SigningKey = SHARING) -> bytes:
    """The package sealed to us."""
    return seal(
        Message(
            type=DisclosurePackage.TYPE,
            version=1,
            data=made.model_dump(mode="json", by_alias=True, exclude_none=True),
            stream=ME,
            seq=1,
            id=DELIVERY,
            issued_at=ManualClock().now(),
        ),
        sender=sender,
        recipients=[IDVA.public()],
    )


@dataclass
class MemoryHub:
    """Fulfils `portal.ports.Hub` for one delivery."""

    value: bytes
    state: str = "delivered"
    saved_at: str = ""
    kind: str = "disclosure"
    done: list[str] = field(default_factory=list)
    served_entry: dict[str, Any] = field(default_factory=dict)
    without_proof: list[Unproven] = field(default_factory=list)
    room: int = 100
    against: Exception | None = None
    unread: Exception | None = None
    unlisted: Exception | None = None
    listed: list[Waiting] | None = None
    gone: Unproven | None = None
    found: list[dict[str, Any]] = field(default_factory=list)

    async def waiting(self) -> Sequence[Waiting]:
        if self.unlisted is not None:
            raise self.unlisted
        return self.listed or [
            Waiting(
                str(DELIVERY),
                "disclosure",
                self.state,
                "2026-11-21T02:05:00Z",
                self.value,
                saved_at=self.saved_at,
            )
        ]

    async def delivery(self, delivery_id: str) -> Sealed:
        self.done.append("fetched")
        return Sealed(
            Waiting(
                delivery_id, self.kind, self.state, "2026-11-21T02:05:00Z", saved_at=self.saved_at
            ),
            self.value,
        )

    async def send_receipt(self, delivery_id: str, receipt: str) -> None:
        self.done.append("receipt")
        self.state, self.saved_at = "saved", "2026-11-21T02:06:00Z"

    async def acknowledge(self, delivery_id: str, role: str) -> None:
        self.done.append(f"acknowledged as {role}")
        self.state = "acknowledged"

    async def ask_log(self, purpose: str, justification: str, wanted: Mapping[str, Any]) -> str:
        if self.against is not None:
            raise self.against
        self.done.append(f"asked {sorted(wanted)}")
        return "01932000-0000-7000-8000-000000000031"

    async def answers(self, query_id: str, cursor: str | None = None) -> Mapping[str, Any]:
        if self.unread is not None:
            raise self.unread
        return {"items": self.found, "nextCursor": None}

    async def entry(self, index: int) -> Mapping[str, Any]:
        if self.unread is not None:
            raise self.unread
        return self.served_entry

    async def unproven(self, delivery_id: str = "") -> UnprovenList:
        self.done.append("looked at what has no proof")
        if delivery_id:
            return UnprovenList(
                tuple(one for one in self.without_proof if one.delivery_id == delivery_id),
                more=False,
            )
        return UnprovenList(
            tuple(self.without_proof[: self.room]), more=len(self.without_proof) > self.room
        )

    async def left(self, delivery_id: str, case_reference: str) -> Unproven | None:
        self.done.append(f"asked what became of {case_reference}")
        return self.gone

    async def clauses(self) -> Mapping[str, str]:
        return {"NM-2": "When a victim is at high risk, the IDVA service is told."}

    async def release_in_emergency(self, delivery_id: str, code: str, reason: str) -> None:
        if self.against is not None:
            raise self.against
        self.done.append(f"released {code}")
        self.without_proof = [
            replace(one, promised=one.promised or one.delivery_id == delivery_id)
            for one in self.without_proof
        ]

    async def me(self) -> Mapping[str, Any]:
        return {}


@dataclass
class MemoryRecorder:
    """Fulfils `portal.ports.Recorder`; `order` is shared with the hub's `done`, so that a test sees
    what came first.
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


class MemoryCustody:
    """Keys of one agency."""

    opening_keys: Mapping[str, OpeningKey] = {IDVA.kid: IDVA}

    def opening(self, granted: Granted) -> Mapping[str, OpeningKey]:
        return self.opening_keys if granted.principal.agency == ME else {}

    def signing(self, granted: Granted) -> SigningKey | None:
        return IDVA_SIGNING if granted.principal.agency == ME else None


class MemoryShelf:
    """Fulfils `portal.ports.Shelf`."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Known] = {}

    async def remember(self, agency: str, delivery_id: str, known: Known, now: object) -> None:
        self.kept[agency, delivery_id] = known

    async def known(self, agency: str, delivery_ids: Sequence[str]) -> Mapping[str, Known]:
        return {one: self.kept[agency, one] for one in delivery_ids if (agency, one) in self.kept}


class MemorySessions:
    """Fulfils `portal.ports.Sessions` with the rules of the real one and no encryption."""

    def __init__(self) -> None:
        self.open: dict[str, Session] = {}
        self.begun: dict[str, PendingSignIn] = {}

    async def begin(self, cookie: str, pending: PendingSignIn) -> None:
        self.begun[cookie] = pending

    async def take(self, cookie: str, now: object) -> PendingSignIn | None:
        return self.begun.pop(cookie, None)

    async def put(self, cookie: str, session: Session) -> None:
        self.open[cookie] = session

    async def amend(self, cookie: str, session: Session) -> None:
        if cookie in self.open:
            self.open[cookie] = session

    async def find(self, cookie: str, now: Any, *, used: bool = True) -> Session | None:
        found = self.open.get(cookie)
        if found is None or found.over(now):
            self.open.pop(cookie, None)
            return None
        if used:
            self.open[cookie] = replace(found, seen=now)
        return found

    async def end(self, cookie: str) -> None:
        self.open.pop(cookie, None)


class NoAuthorization:
    """Fulfils `portal.ports.Authorization` for tests that sign nobody in; what was asked for is
    kept.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Draft | None]] = []
        self.against = ""

    async def begin(self, also: str = "", draft: Draft | None = None) -> Redirect:
        self.asked.append((also, draft))
        return Redirect(
            "http://identity.example.org/authorize",
            PendingSignIn("s", "v", {}, ManualClock().now(), draft),
        )

    async def complete(
        self, pending: PendingSignIn, *, code: str, state: str, iss: str
    ) -> Grantings:
        raise SignInFailed(self.against)

    async def revoke(self, session: Session) -> None:
        return


@dataclass
class PortalBed:
    """The pages, who is signed in, and what they stand on."""

    client: httpx2.AsyncClient
    clock: ManualClock
    hub: MemoryHub
    recorder: MemoryRecorder
    shelf: MemoryShelf
    sessions: MemorySessions
    desk: PortalDesk
    session: Session
    authorization: NoAuthorization

    async def get(self, path: str) -> httpx2.Response:
        """A page as the signed-in person gets it."""
        return await self.client.get(path)

    async def post(self, path: str, **form: str) -> httpx2.Response:
        """A form of our own page."""
        return await self.client.post(
            path,
            data={"csrf": self.session.csrf, **form},
            headers={"Sec-Fetch-Site": "same-origin"},
        )


def signed_in(
    clock: Clock,
    *,
    agency: str = ME,
    roles: tuple[str, ...] = ("idva",),
    scope: str = "disclosure.read disclosure.acknowledge",
    signed_in_for: float = 60.0,
    name: str = "Amina Yusuf",
) -> Session:
    """A visit that began now."""
    grantings = Grantings(
        "refresh",
        scope,
        "http://identity.example.org",
        "demo",
        int(clock.now().timestamp() - signed_in_for),
    )
    person = Person("p-1", name, agency, roles)
    return Session(b"", person, grantings, {}, "csrf-of-this-visit", clock.now(), clock.now())


@asynccontextmanager
async def portal_bed(value: bytes, folder: Path, **who: Any) -> AsyncIterator[PortalBed]:
    """Pages over one delivery whose envelope is `value`."""
    clock, hub, authorization = ManualClock(), MemoryHub(value), NoAuthorization()
    recorder, shelf, sessions = MemoryRecorder(hub.done), MemoryShelf(), MemorySessions()
    session = signed_in(clock, **who)
    desk = PortalDesk(
        base_url=BASE,
        issuer="http://identity.example.org",
        clock=clock,
        log=LOG.verifier,
        keys=StaticKeys(SHARING),
        custody=MemoryCustody(),
        recorder=recorder,
        shelf=shelf,
        hub_for=lambda _: hub,
        agencies={ME: "Northmoor IDVA Service"},
    )
    await sessions.put("visit", session)
    transport = httpx2.ASGITransport(
        app=_app(folder, clock, desk, sessions, authorization), raise_app_exceptions=False
    )
    async with httpx2.AsyncClient(
        transport=transport, base_url=BASE, cookies={"hub": "visit"}
    ) as client:
        yield PortalBed(client, clock, hub, recorder, shelf, sessions, desk, session, authorization)


@cache
def _pages() -> Environment:
    """Loading the design system's macros takes a second; they hold no state."""
    return environment()


def _app(
    folder: Path,
    clock: Clock,
    desk: PortalDesk,
    sessions: MemorySessions,
    authorization: NoAuthorization,
) -> HubApp:
    urls = {
        f"{name}_url": f"http://{name}.example.org"
        for name in ("referral", "sharing", "audit", "identity")
    }
    settings = Settings(
        service_url=BASE,
        issuer=urls["identity_url"],
        database_url="sqlite:///unused",
        keyring_dir=folder,
        bootstrap_file=folder,
        data_dir=folder,
        portal_url=BASE,
        demo=True,
        **urls,  # type: ignore[arg-type]  # a dict of URLs only
    )
    app = create_app(
        "portal",
        settings,
        title="Portal",
        description="",
        routers=ROUTERS,
        authenticator=None,
        clock=clock,
        error_page=error_page,
        media_types=portal.wiring.FORMS,
        headers={"content-security-policy": portal.wiring.content_policy(settings)},
        state={
            "desk": desk,
            "sessions": sessions,
            "authorization": authorization,
            "pages": _pages(),
            "assets_version": "v",
            "neutral_place": "/hidden",
        },
    )
    register(app)
    return app
