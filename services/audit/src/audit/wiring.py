"""Audit's composition root: the only file that knows every folder."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from importlib.resources import files as files_of
from pathlib import Path
from typing import Final

import httpx2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import audit.completeness.routes
import audit.log.routes
import audit.questions.routes
from audit.completeness.ports import BoardStore
from audit.completeness.repository import SqlBoardStore
from audit.context import Context
from audit.intake.consumers import RecordConsumer
from audit.log.model.entries import SERVICE, HistoryDiffers
from audit.log.ports import LogStore, LogTx, PublicLog, TileFiles
from audit.log.repository.entries import SqlLogTx
from audit.log.repository.heads import SqlSequencerStore
from audit.log.repository.search_rows import SqlLogStore
from audit.log.repository.tiles import TileFolder
from audit.log.use_cases import open_log
from audit.log.worker.checkpoint import HeadSigner
from audit.log.worker.sequencer import Sequencer
from audit.questions.model import Entitlements, Mandates, Rules, read_rules, rules_on
from audit.questions.ports import QuestionStore
from audit.questions.repository import SqlQuestionStore
from audit.questions.schemas import question_body
from audit.questions.use_cases import Asking
from audit.tables import FRAME_TABLES
from common.audit_trail import AuditTrail, origin_of
from common.bus import Bus
from common.database import ProcessLock, Unit
from common.events.audit import AuditBatch, AuditReceipts, AuditRejected
from common.keyring import Keyring
from common.settings import Settings, StartRefused
from common.topics import SERVICES
from common.web.app import Api, HubApp, create_app
from common.web.frame import Frame, Host
from common.web.idempotency import Idempotency
from common.web.paging import Cursors
from common.web.service import Service
from hubformats.bootstrap import LOG_SEED, Bootstrap
from hubformats.clock import Clock
from hubformats.tlog import Verifier

_STANDBY_SECONDS: Final = 1.0
_DAMAGED: Final = {"checkpoint-not-ours": "checkpoint", "signed-head-not-ours": "signed-head"}
_REJECTED_SECRET: Final = "audit-rejected"  # noqa: S105 - a key's name, not a secret

_API: Final = Api(
    SERVICE,
    title="Audit service",
    description="Who saw what, why, and proof of it: a public transparency log and an "
    "auditor's questions.",
    routers=(
        audit.log.routes.router,
        audit.questions.routes.questions,
        audit.completeness.routes.router,
        audit.questions.routes.entries,
        audit.log.routes.search_rows,
    ),
    tags={
        "log": "The public log, in the C2SP tlog-tiles layout.",
        "questions": "Questions of auditors, each recorded before it is answered.",
        "entries": "Single entries and their proofs.",
        "search rows": "For the operator: check and rebuild what searches use.",
    },
)

_log = logging.getLogger("hub.audit")


class Log:
    """The log as a Part that starts before everything else.

    Whoever records an act of audit needs it.
    """

    def __init__(self, frame: Frame, files: TileFolder, sequencer: Sequencer) -> None:
        self._frame = frame
        self._files = files
        self._sequencer = sequencer
        self._lock: ProcessLock | None = None

    async def start(self) -> None:
        """Wait to be the only sequencer of database and folder, then go on with the log.

        Makes entry 0 if there is none, and checks the log first.
        """
        await self._frame.open_database()
        self._lock = self._frame.database.lock("sequencer")
        while not (await self._lock.acquire() and self._files.lock()):
            _log.warning("another process writes this log; standing by")
            await asyncio.sleep(_STANDBY_SECONDS)
        try:
            await self._sequencer.demand_one_history()
        except HistoryDiffers as found:
            raise StartRefused(_what_to_restore(found, self._frame, self._files.folder)) from None
        now, digest = self._frame.clock.micros(), self._frame.bootstrap.digest
        await self._frame.database.write(lambda unit: open_log(log_tx(unit), now, digest))
        await self._sequencer.start()

    async def stop(self) -> None:
        """Let another process take over."""
        await self._sequencer.stop()
        self._files.unlock()
        if self._lock is not None:
            await self._lock.release()


def _what_to_restore(found: HistoryDiffers, frame: Frame, folder: Path) -> str:
    database, checkpoint = frame.database.place, folder / "checkpoint"
    if found.code in _DAMAGED:
        return (
            f"the {_DAMAGED[found.code]} is damaged or was signed by another log (in {folder}): "
            "restore it from the newest copy of that folder"
        )
    if found.code == "heads-lost":
        return (
            f"the database {database} holds {found.held} entries, and both {checkpoint} and the "
            "signed head beside it are lost: restore the checkpoint from the newest copy; "
            "everybody who verified the log has one"
        )
    said = {
        "database-lost": "is lost or empty",
        "database-older": f"is older: it holds {found.held} entries",
        "database-other": "is another one",
    }[found.code]
    return (
        f"the audit log signed a head of {found.published} entries ({checkpoint}), and its "
        f"database {database} {said}: restore the newest backup of the database; no second "
        "history is begun under the same key"
    )


class Intake:
    """The consumption of records as a Part that starts last and stops first.

    The sequencer stops with it.
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
        """End the sequencer while its database still runs.

        The inbox, which the frame stops, ends the consumption.
        """
        await self._sequencer.stop()


def rules() -> tuple[Rules, ...]:
    """Read the dated clocks shipped with this service."""
    folder = files_of("audit") / "questions" / "rules"
    return read_rules(
        entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


async def build(
    settings: Settings, *, bus: Bus, clock: Clock, keyring: Keyring, http: httpx2.AsyncClient
) -> Service:
    """Build the audit service, not yet started.

    Raises RulesUnknown when no clocks of its area are in force.
    """

    def ship(unit: Unit, batch: AuditBatch) -> None:
        consumer.ship(unit, batch)  # made below: trail, consumer and sequencer need one another

    def trail(frame: Frame) -> AuditTrail:
        return AuditTrail(
            frame.database,
            frame.outbox,
            frame.inbox,
            keyring=keyring,
            origin=origin_of(SERVICE, frame.settings),
            ship=ship,
        )

    frame = Frame(
        SERVICE,
        Host(settings, bus, clock, keyring, http),
        FRAME_TABLES,
        trail=trail,
    )
    log = _log_of(frame)
    consumer = RecordConsumer(
        log.sequencer,
        clock,
        _sealer(keyring.secret(_REJECTED_SECRET)),
        log_tx,
    )
    consumer.register(frame.inbox)
    intake = Intake(frame, consumer, log.sequencer)
    service = Service(
        SERVICE,
        _app(frame, log),
        parts=[Log(frame, log.files, log.sequencer), frame, intake],
        pausable=[frame],
    )
    intake.belong_to(service)
    return service


@dataclass(frozen=True, slots=True)
class LogParts:
    """The parts of the log that others are built on."""

    files: TileFolder
    signer: HeadSigner
    sequencer: Sequencer


def log_tx(unit: Unit) -> LogTx:
    """Give the log inside a unit of work."""
    return SqlLogTx(unit.connection)


def build_log(
    store: SqlSequencerStore,
    folder: Path,
    signer: HeadSigner,
    on_halt: Callable[[str], Awaitable[None] | None],
) -> LogParts:
    """Put a log together over its database and its folder."""
    files = TileFolder(folder)
    return LogParts(files, signer, Sequencer(store, files, signer, on_halt))


def _log_of(frame: Frame) -> LogParts:
    return build_log(
        SqlSequencerStore(frame.database, frame.outbox, _own_replies(frame)),
        frame.settings.data_dir / "log",
        HeadSigner(frame.bootstrap.log.origin, frame.keyring.secret(LOG_SEED)),
        _alarm,
    )


def _app(frame: Frame, log: LogParts) -> HubApp:
    entitlements = Entitlements(_mandates(frame.bootstrap), rules())
    area = frame.bootstrap.area.id
    # A log whose questions nobody could ever read does not start.
    rules_on(entitlements.rules, area, frame.clock.now().date())
    context = Context(area, frame.settings.issuer, frame.keyring.secret("audit-index"))
    store = SqlQuestionStore(frame.database, frame.trail, frame.idempotency, entitlements)
    ready = {**frame.readiness, "log": lambda: log.sequencer.halted is None}
    return create_app(
        _API,
        replace(frame.runtime, readiness=ready),
        provides={
            Asking: Asking(context, entitlements, question_body),
            BoardStore: SqlBoardStore(frame.database),
            Cursors: frame.cursors,
            Entitlements: entitlements,
            Idempotency: frame.idempotency,
            LogStore: SqlLogStore(frame.database, frame.trail),
            QuestionStore: store,
            PublicLog: log.sequencer,
            TileFiles: log.files,
            Verifier: log.signer.verifier,
        },
        answers={**audit.log.routes.PROBLEMS, **audit.questions.routes.PROBLEMS},
    )


def _own_replies(frame: Frame) -> Callable[[Unit, AuditReceipts | AuditRejected], None]:
    """Take answers to this service's own records: they need no bus."""

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
    """Make the function that seals a refused record as it came.

    It may hold anything, so it is kept unreadable, for the producer's repair.
    """
    cipher = AESGCM(key)

    def seal(raw: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + cipher.encrypt(nonce, raw, b"hub-audit-rejected")

    return seal


def _alarm(_code: str) -> None:
    """Do nothing: the sequencer has logged it, and readiness fails from now on, which pages."""
