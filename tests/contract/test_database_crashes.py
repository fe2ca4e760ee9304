"""SIGKILL on both sides of every commit and every send: nothing acknowledged is lost, nothing
happens twice, no number is missing."""

import signal
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from common import topics
from common.audit_trail.tables import PENDING
from common.database import Database
from common.events.audit import AuditBatch
from common.inbox.tables import QUARANTINE
from common.outbox.tables import OUTBOX
from hubformats.clock import SystemClock
from hubformats.envelope import open_envelope
from standalone.bus import EmbeddedBus
from tests.support.crash_worker import EFFECT, WORK, run
from tests.support.databases import database_url
from tests.support.forked import lived
from tests.support.members import KEYS, embedded_bus, opening_of

__all__ = ["database_url"]

POINTS = [
    "database.before-commit",
    "database.after-commit",
    "outbox.stored",
    "audit.numbered",
    "outbox.before-send",
    "outbox.after-send",
    "outbox.after-mark",
    "inbox.before-commit",
    "inbox.after-commit",
]


async def work(
    url: str, folder: Path, crash_at: str, after: int, total: int
) -> tuple[int, set[UUID]]:
    """Run the worker; its exit code and what it acknowledged."""
    code, said = await lived(run, url, folder, crash_at, after, total, output=folder / "said")
    # A line cut short by the kill was not acknowledged to anyone.
    return code, {UUID(text) for text in said.split("\n")[:-1]}


async def sent(bus: EmbeddedBus, topic: str, me: str) -> list[tuple[int, UUID, dict[str, object]]]:
    """What is on the bus: number, id and data, in order."""
    opened = [
        open_envelope(record.value, me=me, opening=opening_of(me), keys=KEYS)
        for record in await bus.read(topic)
    ]
    return [(each.seq, each.id, each.data) for each in opened]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
async def test_death_at_any_point_loses_nothing_acknowledged_and_repeats_no_effect(
    database_url: str, tmp_path: Path, point: str
) -> None:
    code, first = await work(database_url, tmp_path, point, 10, 100)
    assert code == -signal.SIGKILL
    assert 10 <= len(first) < 100
    code, second = await work(database_url, tmp_path, "-", 0, 10)
    assert (code, len(second)) == (0, 10)

    database = Database(database_url, clock=SystemClock(), name="judge")
    bus = embedded_bus(tmp_path)
    await database.start()
    await bus.start()
    try:
        await _judge(database, bus, first | second)
    finally:
        await bus.stop()
        await database.stop()


async def _judge(database: Database, bus: EmbeddedBus, acknowledged: set[UUID]) -> None:
    stored = await database.read(lambda c: list(c.execute(select(WORK.c.id)).scalars()))
    assert acknowledged <= set(stored)
    effects = await database.read(lambda c: list(c.execute(select(EFFECT.c.work)).scalars()))
    assert sorted(effects) == sorted(stored)  # each once, and only for what was committed
    cases = await sent(bus, topics.CASE, "svc:sharing")
    assert sorted({seq for seq, _, _ in cases}) == list(range(1, len(stored) + 1))
    assert len({message_id for _, message_id, _ in cases}) == len(
        stored
    )  # a repeat is the same bytes under the same id
    firsts = list(dict.fromkeys(seq for seq, _, _ in cases))
    assert firsts == sorted(firsts)
    batches = {
        message_id: AuditBatch.model_validate(data)
        for _, message_id, data in await sent(bus, topics.audit("referral"), "svc:audit")
    }
    numbers = [item.seq for batch in batches.values() for item in batch.items]
    assert sorted(numbers) == list(
        range(1, 2 * len(stored) + 1)
    )  # one record for the work, one for its effect
    pending = await database.read(
        lambda c: list(c.execute(select(PENDING.c.seq).order_by(PENDING.c.seq)).scalars())
    )
    assert pending == sorted(numbers)
    assert (
        await database.read(
            lambda c: c.execute(select(OUTBOX.c.id).where(OUTBOX.c.sent_at.is_(None))).all()
        )
        == []
    )
    assert await database.read(lambda c: c.execute(select(QUARANTINE.c.digest)).all()) == []
