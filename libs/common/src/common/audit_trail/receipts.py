"""What the log answers about a record: a receipt that we check against what we wrote, or a
rejection."""

import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from opentelemetry import metrics
from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from common.audit_trail.tables import PENDING
from common.database import Prepared, Unit, among
from common.events.audit import AuditReceipts, AuditRejected, ReceiptItem
from common.outbox import Outbox
from hubformats.audit_record import Leaf, RecordRefused
from hubformats.canonical import CanonicalError, unb64u
from hubformats.clock import Clock
from hubformats.tlog import ProofRefused, format_proof

_log = logging.getLogger(__name__)
_meter = metrics.get_meter("hub.audit_trail")
_receipts = _meter.create_counter("hub_audit_receipts", description="Receipts by what they came to")

_HASH: Final = 32


def is_open() -> ColumnElement[bool]:
    """Return the condition for records that are neither receipted nor rejected."""
    return PENDING.c.receipted_at.is_(None) & PENDING.c.rejected.is_(None)


# Made once: every batch of receipts runs them.
_WANTED: Final = Prepared(
    lambda dialect: select(PENDING).where(
        PENDING.c.src == bindparam("b_src"),
        PENDING.c.epoch == bindparam("b_epoch"),
        among(PENDING.c.seq, "b_seqs", dialect),
    )
)
_RECEIPTED: Final = Prepared(
    update(PENDING)
    .where(PENDING.c.record_id == bindparam("record"))
    .values(
        receipted_at=bindparam("now"),
        leaf=bindparam("leaf"),
        log_index=bindparam("index"),
        proof=bindparam("proof"),
    )
)
_STILL_OPEN: Final = Prepared(
    lambda dialect: (
        select(PENDING.c.batch_id)
        .where(among(PENDING.c.batch_id, "b_batches", dialect), is_open())
        .distinct()
    )
)
_OLDEST_OPEN: Final = Prepared(select(func.min(PENDING.c.created_at)).where(is_open()))


@dataclass(frozen=True, slots=True)
class Receipt:
    """A record and its proof of inclusion.

    `proof` is a whole C2SP tlog-proof text under the batch's signed checkpoint.
    """

    record_id: UUID
    src: str
    ep: int
    seq: int
    record: bytes
    salt: bytes
    leaf: bytes
    index: int
    proof: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """The log could not take a record; a `rejected` entry stands at `index` instead."""

    record_id: UUID
    src: str
    ep: int
    seq: int
    code: str
    index: int


class ReceiptDiffers(ValueError):
    """A receipt is not about the record that we wrote at that place. `code` says in what."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def take_receipts(
    unit: Unit, outbox: Outbox, clock: Clock, receipts: AuditReceipts
) -> list[Receipt]:
    """Store the receipts that match our records and answer the new ones.

    One that differs is alarmed and stops no other.
    """
    rows = _rows(
        unit.connection, receipts.src, receipts.epoch, [item.seq for item in receipts.items]
    )
    taken: list[Receipt] = []
    outcomes: dict[str, int] = {}
    for item in receipts.items:
        try:
            receipt = _checked(rows.get(item.seq), item, receipts)
        except ReceiptDiffers as differs:
            outcome = differs.code
            _log.error("an audit receipt is not about our record", extra={"reason": differs.code})
        else:
            outcome = "taken" if receipt else "repeat"
            if receipt is not None:
                taken.append(receipt)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    unit.after_commit(lambda: _count(outcomes))
    _store(unit.connection, clock, taken)
    _confirm(unit, outbox, [rows[each.seq].batch_id for each in taken])
    return taken


def take_rejection(unit: Unit, outbox: Outbox, rejected: AuditRejected) -> Rejection | None:
    """Note that the log refused a record; None when it is not ours or was settled before.

    What waits on it must not leave.
    """
    row = _rows(unit.connection, rejected.src, rejected.epoch, [rejected.seq]).get(rejected.seq)
    if row is None or row.receipted_at is not None or row.rejected is not None:
        return None
    unit.connection.execute(
        update(PENDING).where(PENDING.c.record_id == row.record_id).values(rejected=rejected.code)
    )
    _confirm(unit, outbox, [row.batch_id])
    _log.error("the log rejected an audit record", extra={"reason": rejected.code})
    unit.after_commit(lambda: _receipts.add(1, {"outcome": "rejected"}))
    return Rejection(row.record_id, row.src, row.epoch, row.seq, rejected.code, rejected.index)


def _count(outcomes: Mapping[str, int]) -> None:
    for outcome, count in outcomes.items():
        _receipts.add(count, {"outcome": outcome})


def _checked(row: Any | None, item: ReceiptItem, receipts: AuditReceipts) -> Receipt | None:
    """Check leaf, place and hash; return the receipt, None for a repeat. Raises ReceiptDiffers."""
    if row is None:
        raise ReceiptDiffers("record-unknown")
    if row.receipted_at is not None:
        return None
    try:
        encoded = unb64u(item.leaf)
        leaf = Leaf.decode(encoded)
        proof = format_proof(item.index, [_hash(each) for each in item.path], receipts.checkpoint)
    except (RecordRefused, CanonicalError, ProofRefused, binascii.Error):
        raise ReceiptDiffers("receipt-malformed") from None
    if (leaf.src, leaf.ep, leaf.seq) != (row.src, row.epoch, row.seq) or item.record_id != str(
        row.record_id
    ):
        raise ReceiptDiffers("place-differs")
    if leaf.h != row.hash:
        raise ReceiptDiffers("hash-differs")
    return Receipt(
        row.record_id, row.src, row.epoch, row.seq, row.record, row.salt, encoded, item.index, proof
    )


def _hash(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if len(data) != _HASH:
        raise binascii.Error("not a hash")
    return data


def _rows(connection: Connection, src: str, epoch: int, seqs: Sequence[int]) -> Mapping[int, Any]:
    found = _WANTED.run(connection, {"b_src": src, "b_epoch": epoch, "b_seqs": list(seqs)})
    return {row.seq: row for row in found}


def _store(connection: Connection, clock: Clock, taken: Sequence[Receipt]) -> None:
    now = clock.now()
    rows = [
        {
            "record": each.record_id,
            "now": now,
            "leaf": each.leaf,
            "index": each.index,
            "proof": each.proof,
        }
        for each in taken
    ]
    _RECEIPTED.run_many(connection, rows)


def _confirm(unit: Unit, outbox: Outbox, batches: Sequence[UUID | None]) -> None:
    """Let the bodies of batches go whose records are all settled: they arrived end to end."""
    ids = {each for each in batches if each is not None}
    if not ids:
        return
    still = _STILL_OPEN.run(unit.connection, {"b_batches": list(ids)})
    outbox.confirm(unit, list(ids - set(still.scalars())))


def oldest_open(connection: Connection) -> Any:
    """Return when the oldest record without an answer was written, or None."""
    return _OLDEST_OPEN.run(connection).scalar_one()
