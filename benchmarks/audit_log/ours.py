"""Our two sides: the log layer alone (sequencer, tiles, heads, proofs), and everything a record
goes through in the real service."""

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.log.repository.tiles import TileFolder
from audit.log.worker.checkpoint import HeadSigner
from audit.log.worker.sequencer import Sequencer
from benchmarks import measuring
from benchmarks.audit_log.journal import Journal
from common import topics
from common.bus import Outgoing
from common.events.audit import AuditBatch, RecordItem
from hubformats.audit_record import SALT_BYTES
from hubformats.bootstrap import SERVICE_KEY
from hubformats.canonical import b64u, canonical
from hubformats.envelope import Message, seal
from hubformats.ids import opaque, uuid7
from tests.support.audit_service import AuditHarness, running_audit

LEAF_BYTES = 600
CHECKPOINT_S = 0.1  # as Tessera is set in main.go
PER_ENVELOPE = 128
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Appended:
    """One run: seconds until every entry was sequenced durably, and until the checkpoint covered
    it; CPU of the process.
    """

    entries: int
    sequenced_s: float
    published_s: float
    cpu_s: float
    resident_mib: float


def log_layer(entries: int, batch: int) -> Appended:
    """600 B leaves through `Sequencer`, `TileFolder` and `HeadSigner`, a synced file in place of
    the database; a proof for each.
    """
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_log_layer(Path(folder), entries, batch))


async def _log_layer(folder: Path, entries: int, batch: int) -> Appended:
    journal, files = Journal(folder / "journal"), TileFolder(folder / "log")
    sequencer = Sequencer(
        journal,
        files,
        HeadSigner("log.example.org/bench", secrets.token_bytes(32)),
        lambda code: None,
    )
    batches = [
        [os.urandom(LEAF_BYTES) for _ in range(min(batch, entries - first))]
        for first in range(0, entries, batch)
    ]
    await sequencer.boot()
    began, cpu, published = time.perf_counter(), time.process_time(), time.perf_counter()
    for leaves in batches:
        await journal.append(leaves)
        await sequencer.round()
        if time.perf_counter() - published >= CHECKPOINT_S:
            await sequencer.publish()
            published = time.perf_counter()
    sequenced = time.perf_counter() - began
    await sequencer.publish()
    done = time.perf_counter() - began
    used = time.process_time() - cpu
    assert sequencer.published_size == entries
    assert journal.proofs == entries - 1  # entry 0 has no producer that waits
    journal.close()
    return Appended(entries, sequenced, done, used, measuring.resident_mib(os.getpid()))


def whole_ingest(entries: int) -> Appended:
    """Sealed batches from the embedded bus through inbox, checks, search rows, tree, heads and
    sealed receipts, on SQLite.
    """
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_whole_ingest(Path(folder), entries))


async def _whole_ingest(folder: Path, entries: int) -> Appended:
    async with running_audit(folder) as harness:
        sequencer = harness.sequencer
        await harness.receipted(1)
        # the receipts go out on the bus; reading them is the producer's work, in a process of its
        # own
        harness.producer.pause()
        await harness.service.pause()
        await harness.bus.door("sharing").publish(_messages(harness, entries))
        target = sequencer.signed_size + entries
        began, cpu = time.perf_counter(), time.process_time()
        await harness.service.resume()
        sequenced = await _reached(lambda: sequencer.signed_size >= target, began)
        published = await _reached(lambda: sequencer.published_size >= target, began)
        return Appended(
            entries,
            sequenced,
            published,
            time.process_time() - cpu,
            measuring.resident_mib(os.getpid()),
        )


async def _reached(true: Callable[[], bool], began: float) -> float:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - the sequencer tells nobody outside when it has signed
            await asyncio.sleep(0.005)
    return time.perf_counter() - began


def _messages(harness: AuditHarness, entries: int) -> list[Outgoing]:
    sender = harness.keyring("sharing").signing_key(SERVICE_KEY)
    recipient = harness.producer.keys.recipient("svc:audit")
    assert recipient is not None
    src, topic = opaque(), topics.audit("sharing")
    made = []
    for number, first in enumerate(range(1, entries + 1, PER_ENVELOPE), start=1):
        items = tuple(
            _item(seq, harness.clock.micros())
            for seq in range(first, min(first + PER_ENVELOPE, entries + 1))
        )
        event = AuditBatch(service="sharing", src=src, epoch=1, first_seq=first, items=items)
        value = seal(
            Message(
                type=event.TYPE,
                version=event.VERSION,
                data=event.data(),
                stream=f"{topic}/{src}",
                seq=number,
                id=uuid7(),
                issued_at=harness.clock.now(),
            ),
            sender=sender,
            recipients=[recipient],
        )
        made.append(Outgoing(topic, src.encode(), value))
    return made


def _item(seq: int, at: int) -> RecordItem:
    """A record of a disclosure with every field such records have: about 600 bytes, with tokens and
    a sealed subject part.
    """
    digest = b64u(secrets.token_bytes(32))
    record: dict[str, Any] = {
        "v": 1,
        "id": str(uuid7()),
        "te": at,
        "op": "disclosure",
        "out": "permit",
        "svc": "sharing",
        "org": "northmoor-police",
        "act": opaque(),
        "role": "system",
        "case": opaque(),
        "cl": "nm-3",
        "ag": "northmoor-2026",
        "dec": str(uuid7()),
        "rcp": "northmoor-idva",
        "ch": "hub",
        "dl": str(uuid7()),
        "dc": digest,
        "lb": "ukgdpr-6-1-e",
        "gw": "cda-1998-s115",
        "pu": "protect",
        "sub": [opaque()],
        "ss": digest,
        "sa": digest,
        "ps": digest,
        "pa": digest,
    }
    tokens: dict[str, tuple[str, ...]] = {
        kind: (b64u(secrets.token_bytes(16)),) for kind in ("subject", "case", "delivery")
    }
    return RecordItem(
        seq=seq,
        record=b64u(canonical(record)),
        salt=b64u(secrets.token_bytes(SALT_BYTES)),
        tokens=tokens,
        subject_sealed=b64u(os.urandom(96)),
        actor_sealed=b64u(os.urandom(96)),
    )


def record_bytes() -> int:
    """Size of one such record."""
    return len(_item(1, 1).record) * 3 // 4
