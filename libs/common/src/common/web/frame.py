"""What every service stands on, from the database to access, built and started in one order."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import httpx2
from sqlalchemy import MetaData, Table

from common import topics
from common.access import Principal, Refusal
from common.audit_trail import AuditTrail, audit_trail_tables, origin_of
from common.audit_trail.birth import KEYRING_USED, demand_same_database, note_birth
from common.bus import Bus, Consumption
from common.database import Database, migrate, shared_histories
from common.directory import DirectoryKeys, DirectoryState, follow
from common.inbox import Inbox, inbox_tables
from common.keyring import Keyring
from common.outbox import Outbox, outbox_tables
from common.settings import Settings, SettingsError
from common.telemetry import describe
from common.web import idempotency, replay
from common.web.client import ServiceClient, TokenSource
from common.web.idempotency import Idempotency
from common.web.paging import Cursors
from common.web.replay import SqlReplayGuard
from common.web.rotation import KeyRotation
from common.web.runtime import Check, Runtime
from common.web.verifier import Access, access_for
from hubformats.audit_record import Actor, AuditEntry
from hubformats.bootstrap import SERVICE_KEY, Bootstrap, BootstrapRefused, read_bootstrap
from hubformats.clock import Clock, rest
from hubformats.keys import generate_signing

HEARTBEAT_SECONDS: Final = 60.0
_log = logging.getLogger("hub.frame")


@dataclass(frozen=True, slots=True)
class FrameTables:
    """The plumbing's tables on a service's metadata."""

    idempotency: Table
    replay: Table


def frame_tables(metadata: MetaData) -> FrameTables:
    """Declare outbox, inbox, audit trail, idempotency and DPoP tables on a service's metadata."""
    outbox_tables(metadata)
    inbox_tables(metadata)
    audit_trail_tables(metadata)
    return FrameTables(idempotency.table(metadata), replay.table(metadata))


@dataclass(frozen=True, slots=True)
class Subscription:
    """Topics one group of this service consumes beside the directory and its receipts.

    `senders`: who may speak on a topic.
    """

    group: str
    topics: Sequence[str]
    low_priority: Sequence[str] = ()
    senders: Callable[[str], Collection[str]] | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """What a process lends to each service in it."""

    settings: Settings
    bus: Bus
    clock: Clock
    keyring: Keyring
    http: httpx2.AsyncClient


def pinned_bootstrap(settings: Settings) -> Bootstrap:
    """Read the bootstrap file, signed by the operator's key that HUB_OPERATOR_KID pins.

    Demo mode may do without the pin; one that is set counts there, too.

    Raises SettingsError without a pin, or with one that does not fit.
    Raises BootstrapRefused.
    """
    kid, file = settings.operator_kid, settings.bootstrap_file
    if kid is None and not settings.demo:
        raise SettingsError("HUB_OPERATOR_KID", f"set unless HUB_DEMO is: it says whose {file} is")
    try:
        return read_bootstrap(file, kid)
    except BootstrapRefused as refused:
        if kid is None or refused.code != "operator-key-unknown":
            raise
        wanted = f"the thumbprint of the operator's key in the bootstrap file {file}; it is not"
        raise SettingsError("HUB_OPERATOR_KID", wanted) from None


class Frame:
    """The common parts of one service.

    Itself a Part: starts database first, consumers last; stops in reverse.
    """

    def __init__(
        self,
        service: str,
        host: Host,
        tables: FrameTables,
        *,
        trail: Callable[["Frame"], AuditTrail] | None = None,
        follows_directory: bool = True,
    ) -> None:
        """`trail` replaces the usual audit trail: audit ships its own records to itself."""
        self.service, settings = service, host.settings
        self.settings, self.bus, self.http = settings, host.bus, host.http
        self.clock, self.keyring = clock, keyring = host.clock, host.keyring
        self.bootstrap: Bootstrap = pinned_bootstrap(settings)
        self.database = Database(settings.database_url, clock=clock, name=service)
        known = settings.data_dir / f"{service}-directory.json"
        self.keys = DirectoryKeys(self.bootstrap, settings.identity_url, self.http, clock, known)
        self.directory = DirectoryState(clock)
        sender = keyring.signing_key(SERVICE_KEY)
        self.outbox = Outbox(self.database, self.bus, clock=clock, sender=sender, keys=self.keys)
        self.inbox = Inbox(
            self.database,
            self.outbox,
            clock=clock,
            me=f"svc:{service}",
            opening=lambda: keyring.opening_keys(SERVICE_KEY),
            keys=self.keys,
        )
        self.trail = (trail or _usual_trail)(self)
        self.replay = SqlReplayGuard(self.database, tables.replay, clock)
        self.access: Access = access_for(
            settings, http=self.http, clock=clock, directory=self.directory, replay=self.replay
        )
        self.idempotency = Idempotency(tables.idempotency, keyring.secret("idempotency"), clock)
        self.cursors = Cursors(keyring.secret("cursor"))
        self._rotation = self._key_rotation()
        self._shared = shared_histories(tables.replay.metadata)
        self._subscriptions: list[Subscription] = []
        self._consumptions: list[Consumption] = []
        self._follows = follows_directory
        self._heart: asyncio.Task[None] | None = None
        self._opened = False

    def subscribe(self, subscription: Subscription) -> None:
        """Consume these topics from start on; their handlers stand on `inbox`."""
        self._subscriptions.append(subscription)

    @property
    def readiness(self) -> Mapping[str, Check]:
        """Checks for /readyz. A stale directory is not ready: every request would be denied."""
        return {"audit": self.trail.ready, "directory": self.directory.fresh}

    @property
    def runtime(self) -> Runtime:
        """What the service's app runs on; change a part of it by `dataclasses.replace`."""
        return Runtime(self.settings, self.access, self.clock, self.readiness, self.record_refusal)

    async def record_refusal(self, refusal: Refusal) -> None:
        """Record one entry per refused known caller, one a minute for the unknown (section 9)."""
        code, count = ",".join(sorted(refusal.reasons)), sum(refusal.reasons.values())
        entry = AuditEntry(
            operation="denied",
            outcome="refused",
            actor=actor_of(refusal.principal),
            resource_type="route" if refusal.route else "",
            resource_id=refusal.route,
            reason_code=code[:200],
            count=count,
        )
        await self.database.write(lambda unit: self.trail.record(unit, entry))

    async def start(self) -> None:
        """Start database, trail and relay, then consumers: what they need can be written first."""
        await self.open_database()
        await self.trail.start()
        note_birth(self.keyring, self.trail.src)
        await self.outbox.start()
        await self.trail.consume(self.bus)
        if self._follows:
            follow(self.inbox, self.directory, self.keys)
            identity = Subscription(f"{self.service}.directory", (topics.IDENTITY,))
            self._subscriptions.insert(0, identity)
        for one in self._subscriptions:
            begun = await self.inbox.consume(
                self.bus,
                group=one.group,
                topics=list(one.topics),
                low_priority=list(one.low_priority),
                senders=one.senders,
            )
            self._consumptions.append(begun)
        self._heart = asyncio.create_task(self._beat())

    async def open_database(self) -> None:
        """Bring the schema up to date, then open. A part that starts earlier may call it."""
        if not self._opened:
            # Before anybody has a connection; a crash in between leaves the old schema whole.
            histories = history_of(self.service), *self._shared
            url = self.settings.database_url
            await demand_same_database(url, self.keyring, self._trace_of_use)
            await asyncio.to_thread(migrate, url, *histories)
            await self.database.start()
            self._opened = True

    async def _trace_of_use(self) -> str:
        """Say what shows that this service ran before, whatever its database holds."""
        if any(key.begins for key in self.keyring.opening_keys(SERVICE_KEY).values()):
            return KEYRING_USED  # the first key has no beginning, so this one was renewed
        own = topics.AUDIT_RECEIPT if self.service == "audit" else topics.audit(self.service)
        return f"the bus holds what it wrote ({own})" if await self.bus.used(own) else ""

    async def stop(self) -> None:
        """Stop consumers first, the database last."""
        if self._heart is not None:
            self._heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._heart
        await self.inbox.stop()
        await self.outbox.stop()
        await self.trail.stop()
        await self.database.stop()
        self._opened = False

    def pause(self) -> None:
        """Hold consumers and relay; go on following the directory, without which none resumes."""
        for consumption in self._holdable():
            consumption.pause()
        self.trail.pause()
        self.outbox.pause()

    def resume(self) -> None:
        """Go on from where each held."""
        self.outbox.resume()
        self.trail.resume()
        for consumption in self._holdable():
            consumption.resume()

    def _key_rotation(self) -> KeyRotation:
        settings, name = self.settings, f"svc-{self.service}"
        tokens = TokenSource(
            settings.issuer,
            name,
            signing=self.keyring.signing_key(SERVICE_KEY),
            dpop_key=generate_signing(name),
            http=self.http,
            clock=self.clock,
        )
        identity = settings.identity_url
        return KeyRotation(
            self.service,
            settings.issuer,
            self.bootstrap.created,
            self.clock,
            self.database,
            self.keyring,
            self.keys,
            self.inbox,
            self.trail,
            ServiceClient(identity, tokens, http=self.http, clock=self.clock),
            self.directory.fresh,
        )

    def _holdable(self) -> list[Consumption]:
        return self._consumptions[1:] if self._follows else self._consumptions

    async def _beat(self) -> None:
        while True:
            try:
                await self.database.write(self.trail.heartbeat)
            # A missed beat is itself the alarm; the next minute tries again
            except Exception as error:  # noqa: BLE001
                _log.error("heartbeat not recorded", extra={"error": describe(error)})
            await rest(self.clock, HEARTBEAT_SECONDS)
            try:
                await self._rotation.step()
            except Exception as error:  # noqa: BLE001 - the next minute tries again
                _log.error(
                    "opening keys not looked after",
                    extra={"alarm": "keys-not-renewed", "error": describe(error)},
                )


def actor_of(principal: Principal | None) -> Actor:
    """Name a caller for the audit trail; nobody is `anonymous`."""
    if principal is None:
        return Actor(subject="anonymous", agency="none", role="anonymous")
    role = "system" if principal.kind == "system" else ",".join(sorted(principal.roles)) or "person"
    subject, acr = f"{principal.issuer}|{principal.subject}", principal.acr or ""
    return Actor(subject=subject, agency=principal.agency, role=role, acr=acr)


def history_of(service: str) -> Path:
    """Return the folder of a service's Alembic history, shipped inside its package."""
    return Path(str(files(service))) / "migrations"


def _usual_trail(frame: Frame) -> AuditTrail:
    return AuditTrail(
        frame.database,
        frame.outbox,
        frame.inbox,
        keyring=frame.keyring,
        origin=origin_of(frame.service, frame.settings),
    )
