"""Audit's composition root: the only file that knows every room."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from importlib.resources import files as files_of
from typing import Final

import httpx2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.api import ROUTERS
from audit.api.desk import LogDesk
from audit.checkpoint import HeadSigner
from audit.consumers import RecordConsumer
from audit.domain import Rules, read_rules, rules_on
from audit.permissions import Mandates
from audit.sequencer import Sequencer
from audit.storage.log import SqlLogTx
from audit.storage.queries import SqlAuditStore
from audit.storage.sequencing import SqlSequencerStore
from audit.storage.tables import METADATA
from audit.storage.tiles import TileFolder
from audit.usecases.intake import SERVICE, open_log
from audit.usecases.queries import Desk
from common.audit_trail import AuditTrail
from common.bootstrap import LOG_SEED, Bootstrap
from common.bus import Bus
from common.database import ProcessLock, Unit
from common.events.audit import AuditBatch, AuditReceipts, AuditRejected
from common.keyring import Keyring
from common.settings import Settings
from common.topics import SERVICES
from common.web.app import create_app
from common.web.frame import Frame, frame_tables
from common.web.service import Service
from hubformats.clock import Clock

_STANDBY_SECONDS: Final = 1.0
_REJECTED_SECRET: Final = "audit-rejected"  # noqa: S105 - a key's name, not a secret
_TABLES: Final = frame_tables(METADATA)

_log = logging.getLogger("hub.audit")


class Log:
    """The log as a Part that starts before everything else: whoever records an act of audit needs
    it.
    """

    def __init__(self, frame: Frame, files: TileFolder, sequencer: Sequencer) -> None:
        self._frame = frame
        self._files = files
        self._sequencer = sequencer
        self._lock: ProcessLock | None = None

    async def start(self) -> None:
        """Wait to be the only sequencer of database and folder, make entry 0 if there is none,
        check the log and go on with it.
        """
        await self._frame.open_database()
        self._lock = self._frame.database.lock("sequencer")
        while not (await self._lock.acquire() and self._files.lock()):
            _log.warning("another process writes this log; standing by")
            await asyncio.sleep(_STANDBY_SECONDS)
        now, digest = self._frame.clock.micros(), self._frame.bootstrap.digest
        await self._frame.database.write(
            lambda unit: open_log(SqlLogTx(unit.connection), now, digest)
        )
        await self._sequencer.start()

    async def stop(self) -> None:
        """Let another process take over."""
        await self._sequencer.stop()
        self._files.unlock()
        if self._lock is not None:
            await self._lock.release()


class Intake:
    """The consumption of records as a Part that starts last and stops first, and the sequencer with
    it.
    """

    def __init__(self, frame: Frame, consumer: RecordConsumer, sequencer: Sequencer) -> None:
        self._frame = frame
        self._consumer = consumer
        self._sequencer = sequencer
        self._service: Service | None = None

    def belong_to(self, service: Service) -> None:
        """Let the operator's switch reach the consumption."""
        self._service = service

    async def start(self) -> None:
        """Read the producers' topics."""
        producers = [service for service in SERVICES if service != SERVICE]
        consumption = await self._consumer.consume(self._frame.inbox, self._frame.bus, producers)
        if self._service is not None:
            self._service.add_pausable(consumption)

    async def stop(self) -> None:
        """The inbox, which the frame stops, ends the consumption; the sequencer ends here, while
        its database still runs.
        """
        await self._sequencer.stop()


def rules() -> tuple[Rules, ...]:
    """The dated clocks shipped with this service."""
    folder = files_of("audit") / "rules"
    return read_rules(
        entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


async def build(
    settings: Settings, *, bus: Bus, clock: Clock, keyring: Keyring, http: httpx2.AsyncClient
) -> Service:
    """The audit service, not yet started.

    Raises RulesUnknown when no clocks of its area are in force.
    """

    def ship(unit: Unit, batch: AuditBatch) -> None:
        consumer.ship(unit, batch)  # made below: trail, consumer and sequencer need one another

    def trail(frame: Frame) -> AuditTrail:
        return AuditTrail(
            frame.database,
            frame.outbox,
            frame.inbox,
            clock=clock,
            keyring=keyring,
            service=SERVICE,
            ship=ship,
        )

    frame = Frame(
        SERVICE,
        settings,
        bus=bus,
        clock=clock,
        keyring=keyring,
        http=http,
        tables=_TABLES,
        trail=trail,
    )
    files = TileFolder(settings.data_dir / "log")
    signer = HeadSigner(frame.bootstrap.log.origin, keyring.secret(LOG_SEED))

    sequencer = Sequencer(
        SqlSequencerStore(frame.database, frame.outbox, _own_replies(frame)), files, signer, _alarm
    )
    consumer = RecordConsumer(sequencer, clock, _sealer(keyring.secret(_REJECTED_SECRET)))
    consumer.register(frame.inbox)
    desk = LogDesk(
        store=SqlAuditStore(frame.database, frame.trail, frame.idempotency),
        sequencer=sequencer,
        files=files,
        desk=Desk(
            _mandates(frame.bootstrap),
            settings.issuer,
            keyring.secret("audit-index"),
            frame.bootstrap.area.id,
            rules(),
        ),
        cursors=frame.cursors,
        vkey=signer.verifier.format(),
    )
    rules_on(
        desk.desk.rules, desk.desk.area, clock.now().date()
    )  # a log whose questions nobody could ever read does not start
    intake = Intake(frame, consumer, sequencer)
    app = create_app(
        SERVICE,
        settings,
        title="Audit service",
        description="Who saw what, why, and proof of it: a public transparency log and an "
        "auditor's questions.",
        routers=ROUTERS,
        authenticator=frame.access,
        readiness={**frame.readiness, "log": lambda: not sequencer.halted},
        on_refusal=frame.record_refusal,
        tags={
            "log": "The public log, in the C2SP tlog-tiles layout.",
            "questions": "Questions of auditors, each recorded before it is answered.",
            "entries": "Single entries and their proofs.",
            "search rows": "For the operator: check and rebuild what searches use.",
        },
        clock=clock,
        state={"log": desk, "idempotency": frame.idempotency},
    )
    service = Service(
        SERVICE, app, parts=[Log(frame, files, sequencer), frame, intake], pausable=[frame]
    )
    intake.belong_to(service)
    return service


def _own_replies(frame: Frame) -> Callable[[Unit, AuditReceipts | AuditRejected], None]:
    """Answers to this service's own records: they need no bus."""

    def take(unit: Unit, event: AuditReceipts | AuditRejected) -> None:
        if isinstance(event, AuditReceipts):
            frame.trail.receive(unit, event)
        else:
            frame.trail.reject(unit, event)

    return take


def _mandates(bootstrap: Bootstrap) -> Mandates:
    people = {
        person.id: (person.mandate.begins, person.mandate.ends)
        for person in bootstrap.people.values()
        if person.mandate is not None
    }
    clients = frozenset(
        client.id for client in bootstrap.clients.values() if client.kind == "auditor"
    )
    return Mandates(bootstrap.area.id, frozenset(bootstrap.agencies), people, clients)


def _sealer(key: bytes) -> Callable[[bytes], bytes]:
    """Seals a refused record as it came: it may hold anything, so it is kept unreadable, for the
    producer's repair.
    """
    cipher = AESGCM(key)

    def seal(raw: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + cipher.encrypt(nonce, raw, b"hub-audit-rejected")

    return seal


def _alarm(_code: str) -> None:
    """The sequencer has logged it at the highest level; readiness fails from now on, which
    pages.
    """
