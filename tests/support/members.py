"""Two services on one bus, wired as in production: database, outbox and inbox with real keys and
real envelopes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from common.bus import Bus
from common.database import Database, ensure_schema, new_metadata
from common.inbox import Inbox, inbox_tables
from common.outbox import Outbox, outbox_tables
from common.topics import topics
from hubformats.clock import Clock
from hubformats.keys import (
    KeySource,
    OpeningKey,
    SigningKey,
    StaticKeys,
    generate_signing,
    thumbprint,
)
from standalone.bus import EmbeddedBus


def _pair(owner: str, number: int) -> tuple[SigningKey, OpeningKey]:
    """The same keys in every process of a test."""
    one, two = (
        ec.derive_private_key(number + offset, ec.SECP256R1()) for offset in (1_000_003, 2_000_003)
    )
    return SigningKey(thumbprint(one.public_key()), owner, one), OpeningKey(
        thumbprint(two.public_key()), owner, two
    )


_PAIRS = {
    owner: _pair(owner, number)
    for number, owner in enumerate(("svc:referral", "svc:sharing", "svc:audit"))
}
SIGNING = {owner: pair[0] for owner, pair in _PAIRS.items()}
OPENING = {owner: pair[1] for owner, pair in _PAIRS.items()}
STRANGER = generate_signing("svc:referral")
"""A key that claims an owner the directory never gave it."""

KEYS = StaticKeys(*SIGNING.values(), *OPENING.values())
METADATA = new_metadata()
outbox_tables(METADATA)
inbox_tables(METADATA)


def embedded_bus(folder: Path) -> EmbeddedBus:
    """A bus with every topic of a hub with two agencies."""
    return EmbeddedBus(folder / "bus.db", topics(["northmoor-police", "northmoor-idva"]))


def outbox_of(
    database: Database,
    bus: Bus,
    clock: Clock,
    owner: str,
    *,
    keys: KeySource = KEYS,
    sender: SigningKey | None = None,
) -> Outbox:
    """The outbox of `owner`."""
    return Outbox(database, bus, clock=clock, sender=sender or SIGNING[owner], keys=keys)


def inbox_of(
    database: Database, outbox: Outbox, clock: Clock, owner: str, *, keys: KeySource = KEYS
) -> Inbox:
    """The inbox of `owner`."""
    return Inbox(
        database, outbox, clock=clock, me=owner, opening=lambda: opening_of(owner), keys=keys
    )


def opening_of(owner: str) -> dict[str, OpeningKey]:
    """The opening keys of `owner` by id."""
    return {OPENING[owner].kid: OPENING[owner]}


async def prepare(database: Database) -> None:
    """Create outbox and inbox tables."""
    await ensure_schema(database, METADATA)


async def until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    """Wait for something to become true; AssertionError after `patience` seconds."""
    async with asyncio.timeout(patience):
        # What is awaited happens in another thread or process and has no event
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
