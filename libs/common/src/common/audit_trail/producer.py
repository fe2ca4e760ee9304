"""Gives a process its place among the producers.

An opaque code is leased for as long as it lives, and each restore begins an epoch.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from common.audit_trail.tables import PRODUCER
from common.database import Database, DatabaseUnavailable, ProcessLock, Unit
from hubformats.clock import Clock
from hubformats.ids import opaque


async def lease(database: Database, clock: Clock) -> tuple[str, ProcessLock]:
    """Lease a code that no other live process uses; return it with the lock that holds it.

    Raises DatabaseUnavailable.

    If the lock is lost with its connection, two processes may have one code. They still number
    without a gap, for every group commit locks the row.
    """
    for src in await database.read(_producers):
        lock = database.lock(_lock_name(src))
        if await lock.acquire():
            return src, lock
    src, now = opaque(12), clock.now()
    row = {"src": src, "epoch": 1, "last_seq": 0, "created_at": now, "epoch_began_at": now}
    await database.write(lambda unit: unit.connection.execute(insert(PRODUCER), row))
    lock = database.lock(_lock_name(src))
    if not await lock.acquire():
        raise DatabaseUnavailable("the lock of a new producer code is not to be had")
    return src, lock


def begin_epoch(src: str, clock: Clock, unit: Unit) -> int:
    """Begin the next epoch, numbering from 1 again, and return it."""
    values = {"epoch": PRODUCER.c.epoch + 1, "last_seq": 0, "epoch_began_at": clock.now()}
    changed = (
        update(PRODUCER).where(PRODUCER.c.src == src).values(values).returning(PRODUCER.c.epoch)
    )
    epoch: int = unit.connection.execute(changed).scalar_one()
    return epoch


def _lock_name(src: str) -> str:
    return f"audit-producer.{src}"


def _producers(connection: Connection) -> Sequence[str]:
    return (
        connection.execute(select(PRODUCER.c.src).order_by(PRODUCER.c.created_at)).scalars().all()
    )
