"""Identity's composition root: the only file that knows every folder."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import httpx2
from sqlalchemy.engine import Connection

import identity.agencies.routes
import identity.directory.routes
import identity.oauth.routes
import identity.people.routes
from common.bus import Bus
from common.database import Database, Unit
from common.directory import DirectoryKeys, DirectoryState
from common.events import Event
from common.keyring import Keyring
from common.settings import Settings
from common.topics import IDENTITY
from common.web.app import Api, HubApp, create_app
from common.web.frame import Frame, Host
from common.web.paging import Cursors
from common.web.rates import Budgets
from common.web.run import kafka_tls
from common.web.runtime import Runtime
from common.web.service import Service
from hubformats.audit_record import AuditEntry
from hubformats.bootstrap import SERVICES, TOKEN_KEY, Bootstrap
from hubformats.clock import Clock
from identity.agencies.model import AgencyState, Ended
from identity.agencies.ports import AgencyStore, Heartbeat
from identity.agencies.repository import SqlAgencies, SqlServiceKeySets, forget_heartbeats
from identity.agencies.worker import Pulse
from identity.directory.repository import KafkaTopicAccess
from identity.directory.worker import TopicAccessKeeper
from identity.oauth.ports import Authenticator, OAuthStore
from identity.oauth.repository import (
    SignInSeals,
    SqlAccessTokens,
    SqlCodes,
    SqlPushedRequests,
    SqlSeenOnce,
    SqlTokenFamilies,
    end_access,
    end_client,
    ended_tokens,
    purge,
)
from identity.oauth.use_cases.authority import Authority, authority_from
from identity.oauth.use_cases.client_proof import ClientGate
from identity.people.repository import DemoClick, NoWayIn
from identity.tables import FRAME_TABLES

T = TypeVar("T")
_OTHERS: Final = tuple(f"svc:{name}" for name in SERVICES if name != "identity")
_API: Final = Api(
    "identity",
    title="Identity service",
    description="Access tokens for systems and people, the agencies of the partnership, and "
    "their public keys.",
    routers=[
        identity.oauth.routes.router,
        identity.people.routes.router,
        identity.agencies.routes.router,
        identity.directory.routes.router,
        identity.people.routes.signed_in,
    ],
    tags={
        "oauth": "OAuth 2.0 authorization server after the FAPI 2.0 Security Profile.",
        "agencies": "Agencies, their suspension, and public keys.",
    },
    media_types=frozenset({"application/json", identity.oauth.routes.FORM}),
    error_page=identity.people.routes.error_page,
    # Without these nobody could get the token that resuming this very service asks for.
    unpaused=("/token", "/jwks", "/.well-known/"),
)
_log = logging.getLogger("hub.identity")


class Outgoing(Protocol):
    """The outbox, as far as identity uses it."""

    def send(self, unit: Unit, *, topic: str, key: str, event: Event, to: tuple[str, ...]) -> Any:
        """Seal the event to its recipients and keep it for the relay."""
        ...

    def confirm(self, unit: Unit, ids: Any) -> Any:
        """Forget what need not be sent again."""
        ...


class Trail(Protocol):
    """The audit trail, as far as identity uses it."""

    def record(self, unit: Unit, entry: AuditEntry) -> Any:
        """Record what happened, durable with the unit."""
        ...


class SqlTx:
    """Fulfils `OAuthTx` and `AgencyTx` on one connection; without a unit it only reads."""

    def __init__(self, connection: Connection, store: "SqlStore", unit: Unit | None) -> None:
        self._connection = connection
        self._store = store
        self._unit = unit
        self.seen = SqlSeenOnce(connection)
        self.requests = SqlPushedRequests(connection, store.clock)
        self.codes = SqlCodes(connection, store.clock, store.seals)
        self.families = SqlTokenFamilies(connection, store.seals)
        self.tokens = SqlAccessTokens(connection)
        self.agencies = SqlAgencies(connection)
        self.service_keys = SqlServiceKeySets(connection)

    def end_access(self, agency: str) -> int:
        """End every living token family and access token of an agency. Returns how many."""
        return end_access(self._connection, agency)

    def end_client(self, client_id: str) -> int:
        """End every living access token of one client. Returns how many."""
        return end_client(self._connection, client_id)

    def ended(self, now: datetime) -> Ended:
        """List access tokens that were ended and that a service could still take as valid."""
        return ended_tokens(self._connection, now)

    def purge(self, now: datetime) -> int:
        """Delete what expired and nobody can present any more. Returns the number of rows."""
        return purge(self._connection, now)

    def publish(self, event: Event) -> None:
        """Send an event to every other service."""
        self._store.outbox.send(
            self._writing(), topic=IDENTITY, key="directory", event=event, to=_OTHERS
        )

    def record(self, entry: AuditEntry) -> None:
        """Record what happened, durable with this transaction."""
        self._store.trail.record(self._writing(), entry)

    def _writing(self) -> Unit:
        if self._unit is None:
            raise RuntimeError("a read can neither publish nor record")
        return self._unit


@dataclass(frozen=True, slots=True)
class SqlStore:
    """Fulfils `OAuthStore` and `AgencyStore` over the service's database."""

    database: Database
    clock: Clock
    outbox: Outgoing
    trail: Trail
    seals: SignInSeals

    async def write(self, work: Callable[[SqlTx], T]) -> T:
        """Run `work` in one transaction of the writer thread; returns after the group's commit."""
        return await self.database.write(lambda unit: work(SqlTx(unit.connection, self, unit)))

    async def read(self, work: Callable[[SqlTx], T]) -> T:
        """Run `work` on a snapshot that cannot be written to."""
        return await self.database.read(lambda connection: work(SqlTx(connection, self, None)))

    async def forget_heartbeats(self, before: datetime) -> None:
        """Forget heartbeats that the bus took before a moment."""
        await self.database.write(lambda unit: forget_heartbeats(unit, self.outbox, before))


@dataclass(frozen=True, slots=True)
class OwnDirectory:
    """A Part that starts before the first heartbeat: whom it is sealed to stands in our tables."""

    store: SqlStore
    keys: DirectoryKeys

    async def start(self) -> None:
        """Read what this service would answer the others."""
        agencies, services = await self.store.read(
            lambda tx: (tx.agencies.all(), tx.service_keys.all())
        )
        self.keys.take({**services, **{agency.id: agency.key_set for agency in agencies}})

    async def stop(self) -> None:
        """Do nothing: nothing is left running."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes stand on."""

    store: SqlStore
    authority: Authority
    bootstrap: Bootstrap
    cursors: Cursors
    heartbeat: Heartbeat


async def build(
    settings: Settings, *, bus: Bus, clock: Clock, keyring: Keyring, http: httpx2.AsyncClient
) -> Service:
    """Put the identity service together, not yet started."""
    frame = Frame(
        "identity",
        Host(settings, bus, clock, keyring, http),
        FRAME_TABLES,
        follows_directory=False,
    )
    seals = SignInSeals(keyring.secret("row-seal"))
    store = SqlStore(frame.database, clock, frame.outbox, frame.trail, seals)
    keeper = _topic_access(store, settings)
    authority = build_authority(settings, frame.bootstrap, keyring, clock)
    pulse = build_pulse(store, frame.directory, frame.bootstrap, authority, keeper)
    app = build_app(frame.runtime, Parts(store, authority, frame.bootstrap, frame.cursors, pulse))
    return Service(
        "identity",
        app,
        parts=[frame, OwnDirectory(store, frame.keys), *([keeper] if keeper else []), pulse],
        pausable=[frame],
    )


def build_app(runtime: Runtime, parts: Parts) -> HubApp:
    """Make the app over its parts."""
    authority = parts.authority
    return create_app(
        _API,
        runtime,
        provides={
            AgencyStore: parts.store,
            Authority: authority,
            Bootstrap: parts.bootstrap,
            Budgets: Budgets(identity.oauth.routes.QUOTAS),
            ClientGate: ClientGate(authority),
            Cursors: parts.cursors,
            Heartbeat: parts.heartbeat,
            OAuthStore: parts.store,
        },
        answers={
            **identity.agencies.routes.PROBLEMS,
            **identity.directory.routes.PROBLEMS,
            **identity.people.routes.PROBLEMS,
        },
    )


def build_pulse(
    store: SqlStore,
    directory: DirectoryState,
    bootstrap: Bootstrap,
    authority: Authority,
    keeper: TopicAccessKeeper | None = None,
) -> Pulse:
    """Make the heartbeat; each beat renews the clients' keys, and with a keeper the topics."""

    def after_beat(agencies: Sequence[AgencyState]) -> None:
        authority.client_keys.update(agencies)
        if keeper is not None:
            keeper.wake()

    return Pulse(store, directory, bootstrap, store.clock, after_beat)


def build_authority(
    settings: Settings, bootstrap: Bootstrap, keyring: Keyring, clock: Clock
) -> Authority:
    """Join the bootstrap file with this deployment's addresses and the token key."""
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
        authenticator=build_authenticator(settings, bootstrap),
    )


def build_authenticator(settings: Settings, bootstrap: Bootstrap) -> Authenticator:
    """Choose how people sign in.

    The demo's click needs both the setting and a file made for a demonstration. So one mistake
    alone opens nothing.
    """
    return DemoClick(bootstrap.people) if settings.demo and bootstrap.demo else NoWayIn()


def _topic_access(store: SqlStore, settings: Settings) -> TopicAccessKeeper | None:
    """Make the keeper of the agencies' topics, which stand on Kafka alone.

    The embedded bus is inside this process, where no agency reads it.
    """
    if settings.bus != "kafka":
        return None
    if not settings.kafka_doorkeeper_password:
        _log.error(
            "a suspended agency can still read its topic: no doorkeeper password",
            extra={"alarm": "topics-stay-open"},
        )
        return None
    access = KafkaTopicAccess(
        settings.kafka_bootstrap, settings.kafka_doorkeeper_password, kafka_tls(settings)
    )
    return TopicAccessKeeper(store, access, access.stop)
