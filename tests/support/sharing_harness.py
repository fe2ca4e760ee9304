"""The sharing service as its wiring builds it, on a real database, over a directory, a log and
release checks that a test changes at will."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import select

import sharing.wiring
from common import events, topics
from common.access import Granted, Principal, grant
from common.audit_trail import Receipt, Rejection
from common.audit_trail.tables import PENDING
from common.events.audit import AuditBatch, RecordItem
from common.events.case import CaseSnapshot, Marking
from common.keyring import FileKeyring
from common.outbox.tables import OUTBOX
from common.testing import ManualClock
from common.topics import audit
from common.web.frame import Frame
from common.web.service import Service
from hubformats import jws
from hubformats.agency_events import DisclosurePackage
from hubformats.audit_record import Leaf, check_record, record_hash, token
from hubformats.bootstrap import SERVICE_KEY
from hubformats.canonical import b64u, unb64u
from hubformats.envelope import Opened, digest, open_envelope
from hubformats.keys import (
    OpeningKey,
    RecipientKey,
    SigningKey,
    VerificationKey,
    generate_opening,
    generate_signing,
)
from hubformats.tlog import Signer, format_proof, leaf_hash
from hubformats.tlog.checkpoint import Checkpoint
from identity.bootstrap.model.northmoor import AGENCIES
from identity.bootstrap.use_cases.create import create
from sharing.agreements.use_cases import Agreements
from sharing.cases.model import Reason
from sharing.decisions.use_cases.deciding import take_snapshot
from sharing.directory.model import Agency, Compromise
from sharing.directory.ports import KeysUnreachable
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.model.evidence import Evidence
from sharing.disclosures.ports import CaseState
from sharing.disclosures.repository.older import OlderRows
from sharing.inbox.model import RECEIPT_TYPE, Shown
from sharing.inbox.use_cases.receiving import Checked
from sharing.wiring import Outside, Parts, SqlTx
from standalone.bus import EmbeddedBus
from tests.support.road import _urls, settings_for

TYPES = {
    "northmoor-police": "police",
    "northmoor-idva": "idva_service",
    "northmoor-social-care": "childrens_social_care",
    "northmoor-victim-support": "victim_support",
    "northmoor-housing": "housing_la",
}


class Parties:
    """The directory: agencies, their state, and everybody's keys. A test changes it at will."""

    def __init__(self) -> None:
        self.suspended: set[str] = set()
        self.is_fresh = True
        self.away = False
        self.stolen: tuple[Compromise, ...] = ()
        self.signing: dict[str, SigningKey] = {
            owner: generate_signing(owner)
            for owner in (*TYPES, "svc:sharing", "svc:referral", "svc:audit")
        }
        self.opening: dict[str, OpeningKey] = {
            owner: generate_opening(owner) for owner in self.signing
        }

    def agencies(self) -> tuple[Agency, ...]:
        """All agencies with their state."""
        return tuple(
            Agency(name, kind, "northmoor", name in self.suspended) for name, kind in TYPES.items()
        )

    def fresh(self) -> bool:
        """Whether the copy may be relied on."""
        return self.is_fresh

    def sealing_key(self, agency: str) -> str | None:
        """The current key's id."""
        found = self.opening.get(agency)
        return None if found is None else found.kid

    def verification(self, kid: str) -> VerificationKey | None:
        """By id."""
        return next((key.public() for key in self.signing.values() if key.kid == kid), None)

    def recipient(self, owner: str) -> RecipientKey | None:
        """As a key source."""
        found = self.opening.get(owner)
        return None if found is None else found.public()

    def compromised(self) -> tuple[Compromise, ...]:
        """Keys that somebody else may have."""
        return self.stolen

    async def refresh(self) -> None:
        """Nothing to ask, unless nobody answers."""
        if self.away:
            raise KeysUnreachable(10.0)


class Checks:
    """Referral's answers: None while it is down."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.down = False
        self.unknown: set[UUID] = set()
        self.version: int | None = None
        self.vetoes: tuple[Marking, ...] = ()
        self.asked: list[tuple[UUID, int, tuple[UUID, ...]]] = []

    async def check(
        self, case_id: UUID, version: int, subjects: Sequence[UUID]
    ) -> CaseState | None:
        """The state of the moment."""
        self.asked.append((case_id, version, tuple(subjects)))
        return (
            None
            if self.down or case_id in self.unknown
            else CaseState(
                version if self.version is None else self.version,
                self.vetoes,
                self.clock.monotonic(),
            )
        )

    async def check_all(self, case_ids: Collection[UUID]) -> Mapping[UUID, CaseState] | None:
        """The states of the moment."""
        states = {one: await self.check(one, 1, ()) for one in case_ids}
        return {one: state for one, state in states.items() if state} if not self.down else None


class SharingHarness:
    """The built service, and what stands around it."""

    def __init__(self, service: Service, checks: Checks, parties: Parties, log: Signer) -> None:
        self.checks = checks
        self.parties = parties
        self.log = log
        frame = next(part for part in service._parts if isinstance(part, Frame))
        self.frame = frame
        self.clock = checks.clock
        self.database, self.keyring = frame.database, frame.keyring
        self.outbox, self.trail = frame.outbox, frame.trail
        provided = service.app.provisions.get
        self.rules = provided(Agreements).of_area("northmoor")
        self.parts = provided(Parts)
        self.store = self.parts.store
        self.deciding = self.parts.deciding
        self.releasing = self.parts.releasing
        self.receiving = self.parts.receiving
        self.releases = self.parts.releases
        self.restored = self.parts.restored
        self._fields: dict[bytes, dict[str, Any]] = {}
        self._batches: dict[bytes, Sequence[RecordItem]] = {}

    async def take(self, snapshot: CaseSnapshot) -> dict[str, Disclosure]:
        """Decide on a snapshot; the disclosures of its version by recipient."""
        await self.store.write(lambda tx: take_snapshot(tx, self.deciding, snapshot))
        return {
            each.recipient: each
            for each in await self.of_case(snapshot.case_id)
            if each.snapshot_version == snapshot.version
        }

    async def of_case(self, case_id: UUID) -> tuple[Disclosure, ...]:
        """All disclosures of a case."""
        return await self.store.write(lambda tx: tx.disclosures.of_case(case_id))

    def referrer(self, agency: str = "northmoor-police") -> Granted:
        """The referring agency's system, asking about its own referral."""
        who = Principal(
            "issuer",
            "police-system",
            "police-system",
            "system",
            agency,
            scopes=frozenset({"sharing.request"}),
        )
        return grant(who, scope="sharing.request", operation="consultation", at=self.clock.now())

    def reader(self, agency: str) -> Granted:
        """An agency's system that reads its inbox."""
        who = Principal(
            "issuer",
            f"{agency}-system",
            f"{agency}-system",
            "system",
            agency,
            scopes=frozenset({"disclosure.read"}),
        )
        return grant(who, scope="disclosure.read", operation="consultation", at=self.clock.now())

    async def checked(self, cases: frozenset[UUID]) -> Checked:
        """What referral says of these cases now."""
        states = await self.checks.check_all(cases)
        assert states is not None
        return Checked(cases, states)

    async def envelopes(self, agency: str, delivery_id: UUID) -> tuple[Shown, ...]:
        """Every envelope an agency was given of a delivery."""
        reader = self.reader(agency)
        return await self.store.write(lambda tx: tx.inbox.envelopes(reader, delivery_id))

    def open_case(self, tx: SqlTx, case_id: UUID) -> CaseSnapshot:
        """What the service itself may open of a case."""
        found = tx.cases.authorised(self.deciding.own_work(), case_id, Reason.DECIDE_AGAIN)
        assert found is not None
        return tx.cases.snapshot(found)

    def open_evidence(self, tx: SqlTx, delivery_id: UUID) -> Evidence:
        """What the service itself may open of a disclosure."""
        found = tx.disclosures.authorised(self.deciding.own_work(), delivery_id, Reason.RELEASE)
        assert found is not None
        return tx.disclosures.evidence(found)

    def waiting(self, agency: str) -> asyncio.Event:
        """What a reader of the agency's inbox waits for."""
        return self.parts.arrivals._events.setdefault(agency, asyncio.Event())

    async def state(self, delivery_id: UUID) -> Disclosure:
        """One disclosure as it stands."""
        found = await self.store.write(lambda tx: tx.disclosures.get(delivery_id))
        assert found is not None
        return found

    async def receipt(
        self, record_id: UUID, *, like: UUID | None = None, signer: Signer | None = None
    ) -> None:
        """The log's receipt for a record; `like` gives another record's leaf instead, `signer`
        another log's signature.
        """
        row = await self._pending(like or record_id)
        leaf = Leaf(
            src=row.src,
            ep=row.epoch,
            seq=row.seq,
            tr=self.clock.micros(),
            h=record_hash(row.salt, row.record),
        ).encode()
        note = (signer or self.log).sign(
            Checkpoint("log.test.example.org/hub", 1, leaf_hash(leaf)).text()
        )
        given = Receipt(
            record_id,
            row.src,
            row.epoch,
            row.seq,
            row.record,
            row.salt,
            leaf,
            0,
            format_proof(0, [], note),
        )
        await self.database.write(lambda unit: self.parts.receipts.proven(unit, given))

    async def reject(self, record_id: UUID) -> None:
        """The log refuses a record."""
        row = await self._pending(record_id)
        given = Rejection(record_id, row.src, row.epoch, row.seq, "record-malformed", 7)
        await self.database.write(lambda unit: self.parts.receipts.rejected(unit, given))

    async def records(self) -> list[dict[str, Any]]:
        """Every audit record written so far, oldest first, with the reason held back as `why`.

        What only covers others is left out.
        """
        query = select(PENDING.c.record).order_by(PENDING.c.record_id)
        found = [
            self._checked(raw)
            for raw in await self.database.read(
                lambda connection: list(connection.execute(query).scalars())
            )
        ]
        said = {}
        if any("whc" in fields for fields in found):
            said = {
                self._checked(unb64u(item.record))["id"]: {"why": item.held.why}
                for item in await self.items()
                if item.held is not None
            }
        return [
            {**fields, **said.get(fields["id"], {})} for fields in found if fields["op"] != "cover"
        ]

    def _checked(self, raw: bytes) -> dict[str, Any]:
        """One record's fields, checked once."""
        if raw not in self._fields:
            self._fields[raw] = check_record(raw)
        return self._fields[raw]

    async def items(self) -> list[RecordItem]:
        """What went to the log so far; each envelope is opened once, however often this is asked."""
        bodies = await self._bodies(audit("sharing"))
        for body in bodies:
            if body not in self._batches:
                opened = self.opened("svc:audit", body)
                batch = events.parse(opened.type, opened.version, opened.data)
                self._batches[body] = batch.items if isinstance(batch, AuditBatch) else ()
        return [item for body in bodies for item in self._batches[body]]

    async def found(self, kind: str, value: str) -> list[dict[str, Any]]:
        """What an auditor finds who searches the log by a case reference or a delivery."""
        secret = self.keyring.secret("audit-index")
        wanted = b64u(token(secret, kind, value))
        return [
            check_record(unb64u(item.record))
            for item in await self.items()
            if wanted in item.tokens.get(kind, ())
        ]

    async def sent(self, topic: str, reader: str) -> list[Opened]:
        """What waits in the outbox for a topic, opened as its reader."""
        return [self.opened(reader, body) for body in await self._bodies(topic)]

    async def _bodies(self, topic: str) -> list[bytes]:
        query = (
            select(OUTBOX.c.body)
            .where(OUTBOX.c.topic == topic, OUTBOX.c.body.is_not(None))
            .order_by(OUTBOX.c.seq)
        )
        return await self.database.read(
            lambda connection: list(connection.execute(query).scalars())
        )

    def opened(self, reader: str, envelope: bytes) -> Opened:
        """One envelope as its reader opens it."""
        key = self.parties.opening[reader]
        return open_envelope(envelope, me=reader, opening={key.kid: key}, keys=self.parties)

    async def packages(self, agency: str) -> list[DisclosurePackage]:
        """The packages sealed to an agency so far."""
        found = [
            events.parse(each.type, each.version, each.data)
            for each in await self.sent(f"hub.disclosure.{agency}.v1", agency)
        ]
        return [each for each in found if isinstance(each, DisclosurePackage)]

    async def told(self) -> list[events.Event]:
        """What referral was told so far."""
        return [
            events.parse(each.type, each.version, each.data)
            for each in await self.sent("hub.sharing.v1", "svc:referral")
        ]

    def saved_receipt(
        self,
        agency: str,
        delivery_id: UUID,
        envelope: bytes,
        *,
        key: SigningKey | None = None,
        **changes: Any,
    ) -> str:
        """A receipt as an agency signs it; `changes` replace claims."""
        signer = key or self.parties.signing[agency]
        claims = {
            "iss": agency,
            "dl": str(delivery_id),
            "ed": digest(envelope),
            "savedAt": "2026-11-21T02:00:05Z",
            "system": "case-system",
            "jti": "j-1",
        }
        return jws.sign({**claims, **changes}, signer, typ=RECEIPT_TYPE)

    async def _pending(self, record_id: UUID) -> Any:
        return await self.database.read(
            lambda connection: connection.execute(
                select(PENDING).where(PENDING.c.record_id == record_id)
            ).one()
        )


@cache
def _hub() -> Path:
    """The keys and the bootstrap file, made once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="sharing-hub-"))
    create(folder, _urls())
    return folder


@asynccontextmanager
async def sharing_harness(url: str, folder: Path) -> AsyncIterator[SharingHarness]:
    """A harness whose database and trail run; the relay does not, so that everything sent can be
    looked at.
    """
    hub = _hub()
    settings = settings_for("sharing", hub, 0).with_(database_url=url, data_dir=folder)
    keyring = FileKeyring(hub / "keyring" / "sharing", passphrase=None, open_allowed=True)
    clock, parties = ManualClock(), Parties()
    parties.signing["svc:sharing"] = keyring.signing_key(SERVICE_KEY)
    checks, log = Checks(clock), Signer("log.test.example.org/hub", bytes(range(32)))
    bus = EmbeddedBus(folder / "bus.db", topics.topics(tuple(AGENCIES)), clock=clock)

    def outside(frame: Frame) -> Outside:
        # A test takes keys away and gives new ones: no signed set has to come first.
        frame.outbox._keys = parties
        return Outside(parties, checks, log.verifier)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(_nobody_answers)) as http:
        service = await sharing.wiring.build(
            settings,
            bus=bus.door("sharing"),
            clock=clock,
            keyring=keyring,
            http=http,
            outside=outside,
        )
        harness = SharingHarness(service, checks, parties, log)
        await bus.start()
        await OlderRows(harness.frame, harness.parts.seals).start()
        await harness.trail.start()
        try:
            yield harness
        finally:
            await harness.trail.stop()
            await harness.database.stop()
            await bus.stop()


def _nobody_answers(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(503)
