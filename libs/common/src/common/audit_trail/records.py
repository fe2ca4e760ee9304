"""Records as they travel to the log: items of batches."""

from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Final

from common.events.audit import BATCH_LIMIT, Held, RecordItem
from hubformats.audit_record import SIBLINGS, SealedPart, Written
from hubformats.canonical import b64u

_SHUFFLED: Final = SystemRandom()
_BATCH_BYTES: Final = (
    185_000  # of 196 kB that the largest statement carries; the rest is for claims
)


def item(written: Written, seq: int) -> RecordItem:
    """Return the record as number `seq` of a batch."""
    held = written.held
    return RecordItem(
        seq=seq,
        record=b64u(written.ref.record),
        salt=b64u(written.ref.salt),
        tokens=dict(written.tokens),
        subject_sealed=_sealed(written.subject),
        actor_sealed=_sealed(written.actor),
        account_sealed=_sealed(written.account),
        held=None if held is None else Held(why=held.why, salt=b64u(held.salt)),
    )


def covered(
    written: Sequence[Written], multiple: int, cover: Callable[[], Written]
) -> Sequence[Written]:
    """Fill up what several recipients' records stand among, and leave it in no order."""
    if multiple == 1 or not any(each.operation in SIBLINGS for each in written):
        return written
    whole = [*written, *(cover() for _ in range(-len(written) % multiple))]
    return _SHUFFLED.sample(whole, len(whole))


def chunks(written: Sequence[Written]) -> list[list[Written]]:
    """Split records into batches of at most 256, and of the bytes the largest statement carries."""
    made: list[list[Written]] = []
    room = 0
    for each in written:
        if not made or len(made[-1]) == BATCH_LIMIT or each.size > room:
            made.append([])
            room = _BATCH_BYTES
        made[-1].append(each)
        room -= each.size
    return made


def _sealed(part: SealedPart | None) -> str:
    return "" if part is None else b64u(part.sealed)
