"""The signed log as readers and intake see it: the sequencer on a database and its folder, and the
log in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from audit.intake.model import Sender
from audit.intake.use_cases import Delivery, append_batch
from audit.log.model.entries import LogHalted, LogStopped
from audit.log.ports import LogGate, PublicLog
from audit.log.use_cases import open_log
from audit.log.worker.sequencer import Sequencer
from common.events.audit import AuditBatch
from hubformats.tlog import Verifier, open_checkpoint, verify_proof
from tests.support.audit_fakes import MemoryHub
from tests.support.audit_log import BOOTSTRAP_DIGEST, LogHarness, records
from tests.support.audit_looks import ENTITLEMENTS
from tests.support.audit_public_log import MemoryLog
from tests.support.bus_harness import until
from tests.support.port_suites import Held

PORTS: Final = (
    Held(PublicLog, (Sequencer,), MemoryLog),
    Held(LogGate, (Sequencer,), MemoryLog),
)


@dataclass
class Log:
    """One log with entry 0, nothing of it signed."""

    public: PublicLog
    gate: LogGate
    verifier: Verifier
    append: Callable[[AuditBatch], Awaitable[object]]
    """Takes a batch in under the gate's fence."""
    leaf: Callable[[int], Awaitable[bytes]]
    publish: Callable[[], Awaitable[object]]
    replace: Callable[[], Awaitable[object]]
    """Has another take the log over."""

    async def signed(self, first: int, last: int) -> None:
        """Append records and wait until a head covers them."""
        await self.append(records(first, last))
        self.gate.wake()
        await until(lambda: self.public.signed_size == last + 1)


async def _in_memory() -> Log:
    hub = MemoryHub(ENTITLEMENTS)
    await hub.intake(lambda tx: open_log(tx, 0, BOOTSTRAP_DIGEST))
    log = MemoryLog(hub)
    await log.take_over()

    async def append(sent: AuditBatch) -> None:
        delivery = Delivery(Sender("sharing", "digest"), sent, 1, lambda raw: raw)
        await hub.intake(lambda tx: append_batch(tx, log.fence, delivery))

    async def leaf(index: int) -> bytes:
        return hub.rows.entries[index].leaf_bytes

    async def publish() -> None:
        log.publish()

    return Log(log, log, log.signer.verifier, append, leaf, publish, MemoryLog(hub).take_over)


@pytest.fixture(params=["memory", "sequencer"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """A log of one kind, working."""
    if request.param == "memory":
        yield await _in_memory()
        return
    harness = await LogHarness(tmp_path).open()
    sequencer = harness.sequencer
    # The steps of `start` but for its first round: nothing is signed before the test says so.
    rounds = asyncio.create_task(sequencer._until_halted(sequencer._next_round))
    yield Log(
        sequencer,
        sequencer,
        harness.log,
        harness.append,
        harness.leaf,
        sequencer.publish,
        harness.new_sequencer().boot,
    )
    rounds.cancel()
    await harness.close()


async def test_nothing_is_to_be_read_before_the_first_head(log: Log) -> None:
    public = log.public
    assert public.checkpoint is None
    assert (public.signed_size, public.published_size) == (0, 0)
    with pytest.raises(IndexError):
        await public.prove(0)


async def test_what_was_committed_is_signed_and_proven_once_the_log_is_woken(log: Log) -> None:
    await log.signed(1, 3)
    for index in range(4):
        proof = await log.public.prove(index)
        verify_proof(proof, await log.leaf(index), log.verifier)
    with pytest.raises(IndexError):
        await log.public.prove(4)


async def test_the_checkpoint_follows_when_it_is_published(log: Log) -> None:
    await log.signed(1, 3)
    assert (log.public.published_size, log.public.checkpoint) == (0, None)
    await log.publish()
    assert log.public.published_size == 4
    note = log.public.checkpoint
    assert note is not None
    assert open_checkpoint(note, log.verifier).size == 4
    await log.signed(4, 5)
    assert (log.public.signed_size, log.public.published_size) == (6, 4)


async def test_a_halted_log_says_why_and_stays_readable(log: Log) -> None:
    await log.signed(1, 3)
    await log.publish()
    log.public.demand_running()
    assert not log.gate.halted
    log.gate.halt(LogHalted("root-differs"))
    log.gate.halt(LogHalted("another"))
    assert (log.gate.halted, log.public.halted) == ("root-differs", "root-differs")
    with pytest.raises(LogStopped):
        log.public.demand_running()
    assert log.public.checkpoint
    assert await log.public.prove(2)


async def test_whoever_was_replaced_writes_no_more(log: Log) -> None:
    await log.append(records(1, 1))
    await log.replace()
    with pytest.raises(LogHalted, match="fence-lost"):
        await log.append(records(2, 2))
