"""Identity's composition root: the only file that knows every room."""

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Final

import httpx2
from sqlalchemy import select

from common import topics
from common.bootstrap import TOKEN_KEY, Bootstrap
from common.bus import Bus
from common.database import Database, Unit
from common.directory import DirectoryState
from common.keyring import Keyring
from common.outbox import Outbox
from common.outbox.tables import OUTBOX
from common.settings import Settings
from common.telemetry import describe
from common.web.app import create_app
from common.web.frame import Frame
from common.web.run import kafka_tls
from common.web.service import Service
from hubformats.clock import Clock, rest
from identity.api import agencies as agencies_api
from identity.api import oauth, sign_in
from identity.clients import KafkaDoors
from identity.ports import DoorsUnavailable
from identity.storage import TABLES, SqlStore
from identity.usecases import agencies, doors
from identity.usecases.authority import Authority, authority_from
from identity.usecases.client_proof import ClientGate

BEAT_SECONDS: Final = 15.0
_REPLACED: Final = timedelta(seconds=60)
_log = logging.getLogger("hub.identity")


async def build(
    settings: Settings, *, bus: Bus, clock: Clock, keyring: Keyring, http: httpx2.AsyncClient
) -> Service:
    """The identity service, not yet started."""
    frame = Frame(
        "identity",
        settings,
        bus=bus,
        clock=clock,
        keyring=keyring,
        http=http,
        tables=TABLES,
        follows_directory=False,
    )
    authority = _authority(settings, frame.bootstrap, keyring, clock)
    store = SqlStore(frame.database, clock, frame.outbox, frame.trail)
    doorkeeper = _doorkeeper(store, settings)
    pulse = Pulse(
        store, frame.database, frame.outbox, frame.directory, frame.bootstrap, clock, doorkeeper
    )
    app = create_app(
        "identity",
        settings,
        title="Identity service",
        description="Access tokens for systems and people, the agencies of the partnership, and "
        "their public keys.",
        routers=[oauth.router, sign_in.router, agencies_api.router],
        authenticator=frame.access,
        readiness=frame.readiness,
        on_refusal=frame.record_refusal,
        tags={
            "oauth": "OAuth 2.0 authorization server after the FAPI 2.0 Security Profile.",
            "agencies": "Agencies, their suspension, and public keys.",
        },
        clock=clock,
        media_types=frozenset({"application/json", oauth.FORM}),
        error_page=sign_in.error_page,
        # Without these nobody could get the token that resuming this very service asks for.
        unpaused=("/token", "/jwks", "/.well-known/"),
        state={
            "store": store,
            "authority": authority,
            "gate": ClientGate(authority.issuer, authority.clients, clock),
            "bootstrap": frame.bootstrap,
            "cursors": frame.cursors,
            "pulse": pulse,
        },
    )
    return Service(
        "identity",
        app,
        parts=[frame, *([doorkeeper] if doorkeeper else []), pulse],
        pausable=[frame],
    )


def _authority(
    settings: Settings, bootstrap: Bootstrap, keyring: Keyring, clock: Clock
) -> Authority:
    urls = {
        "referral": settings.referral_url,
        "sharing": settings.sharing_url,
        "audit": settings.audit_url,
        "identity": settings.identity_url,
        "portal": settings.portal_url,
    }
    return authority_from(
        bootstrap,
        issuer=settings.issuer,
        urls=urls,
        token_key=keyring.signing_key(TOKEN_KEY),
        clock=clock,
        demo=settings.demo,
    )


def _doorkeeper(store: SqlStore, settings: Settings) -> "Doorkeeper | None":
    """Agencies have topics of their own on Kafka alone; the embedded bus is inside this process,
    where no agency reads it.
    """
    if settings.bus != "kafka":
        return None
    if not settings.kafka_doorkeeper_password:
        _log.error(
            "a suspended agency can still read its topic: no doorkeeper password",
            extra={"alarm": "topics-stay-open"},
        )
        return None
    return Doorkeeper(
        store,
        KafkaDoors(
            settings.kafka_bootstrap, settings.kafka_doorkeeper_password, kafka_tls(settings)
        ),
    )


class Doorkeeper:
    """Closes a suspended agency's topic at the broker within moments, and tries again at every beat
    until the broker agrees.
    """

    def __init__(self, store: SqlStore, at_broker: KafkaDoors) -> None:
        self._store = store
        self._doors = at_broker
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with what changed while nobody looked."""
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="identity-doorkeeper")

    async def stop(self) -> None:
        """End; rules at the broker stay as they are."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._doors.stop()

    def wake(self) -> None:
        """Somebody was suspended or restored, or it is time to look again. Call on the loop."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                closed, opened = await doors.settle(self._store, self._doors)
            except DoorsUnavailable as error:
                _log.error(
                    "topics of suspended agencies not closed",
                    extra={"alarm": "topics-stay-open", "reason": str(error)},
                )
            # The next beat tries again; nothing may end this task
            except Exception as error:  # noqa: BLE001
                _log.error(
                    "topics of suspended agencies not closed",
                    extra={"alarm": "topics-stay-open", "error": describe(error)},
                )
            else:
                for agency in sorted(closed | opened):
                    _log.warning(
                        "own topic closed" if agency in closed else "own topic opened",
                        extra={"agency": agency},
                    )


class Pulse:
    """Tells every service, every fifteen seconds, who is suspended.

    If it stops, they deny within sixty seconds.
    """

    def __init__(
        self,
        store: SqlStore,
        database: Database,
        outbox: Outbox,
        directory: DirectoryState,
        bootstrap: Bootstrap,
        clock: Clock,
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        self._store = store
        self._database = database
        self._outbox = outbox
        self._directory = directory
        self._bootstrap = bootstrap
        self._clock = clock
        self._doorkeeper = doorkeeper
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Enrol new agencies of the bootstrap file, beat once, go on beating."""
        await self._store.write(lambda tx: agencies.enrol(tx, self._bootstrap))
        await self.beat()
        self._task = asyncio.create_task(self._every_beat())

    async def stop(self) -> None:
        """Beat no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def beat(self) -> None:
        """Publish the state and take it in ourselves; sweep what expired."""
        event = await self._store.write(lambda tx: agencies.beat(tx, self._clock))
        self._directory.apply(event)
        if self._doorkeeper is not None:
            self._doorkeeper.wake()
        await self._database.write(self._forget_replaced)

    def _forget_replaced(self, unit: Unit) -> None:
        # Nobody confirms a heartbeat: once the bus has it, a later one says all that it said.
        old = (
            OUTBOX.c.body.is_not(None)
            & (OUTBOX.c.topic == topics.IDENTITY)
            & (OUTBOX.c.sent_at < self._clock.now() - _REPLACED)
        )
        self._outbox.confirm(
            unit,
            unit.connection.execute(select(OUTBOX.c.id).where(old).limit(1_000)).scalars().all(),
        )

    async def _every_beat(self) -> None:
        while True:
            await rest(self._clock, BEAT_SECONDS)
            try:
                await self.beat()
            # The next beat tries again; silence denies, which is safe
            except Exception as error:  # noqa: BLE001
                _log.error("heartbeat not sent", extra={"error": describe(error)})
