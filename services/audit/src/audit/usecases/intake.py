"""Taking batches of records into the log. Nothing is lost: what is acceptable gets its place, what
is not gets a `rejected` entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from audit.domain import (
    Entry,
    Judged,
    Known,
    LogHalted,
    LogState,
    judge,
    log_time,
    place_possible,
    time_flag,
)
from audit.merkle import CompactRange
from audit.ports import LogTx
from common.events.audit import AuditBatch
from common.faults import crash_point
from hubformats.audit_record import Leaf, check_record, content_commitment, new_salt, record_hash
from hubformats.canonical import b64u, canonical
from hubformats.ids import opaque, uuid7
from hubformats.tlog import leaf_hash

SERVICE: Final = "audit"
OWN_EPOCH: Final = 0
_GENESIS_SALT: Final = bytes(32)
"""Entry 0 hides nothing: anyone who holds the bootstrap file must be able to recompute it."""

UNSIGNED_LIMIT: Final = 50_000
"""Entries that may wait for a signature; past it producers wait, because the backlog is held in
memory when it is signed.
"""

Seal = Callable[[bytes], bytes]

_NO_TOKENS: Final[Mapping[str, tuple[bytes, ...]]] = {}


class LogBusy(Exception):
    """Try again later: the sequencer is behind."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a batch, as proven by its envelope's signature, and that envelope's digest
    (base64url SHA-256).
    """

    service: str
    digest: str


@dataclass(slots=True)
class Intake:
    """What became of a batch, for metrics and alarms. `rejected` holds codes."""

    added: int = 0
    repeated: int = 0
    missing: int = 0
    rejected: list[str] = field(default_factory=list)
    clock_went_back: bool = False


def open_log(tx: LogTx, now: int, bootstrap_digest: bytes) -> LogState:
    """The log's state; before the first entry, make entry 0, which commits to the operator's
    bootstrap file.
    """
    state = tx.state()
    if state is not None:
        return state
    empty = CompactRange(0, [])
    state = LogState(0, empty.root(), b"", now, opaque(), 0, 0, 0, 0)
    tx.begin(state)
    writer = _Writer(tx, state, now)
    writer.add_own("genesis", "done", _GENESIS_SALT, ed=b64u(bootstrap_digest))
    return writer.finish()


def append_batch(
    tx: LogTx, fence: int, now: int, sender: Sender, batch: AuditBatch, seal: Seal
) -> Intake:
    """Append a verified batch.

    Raises LogHalted when this sequencer may no longer write or the clock went back; LogBusy.

    1. Only the fence holder writes. 2. The producer code must be the sender's. 3. A repeat is
    ignored and its receipt sent
    again; another record in a taken place is rejected. 4. A gap is noted, never waited for. 5.
    Compare-and-swap of the state.
    """
    state = tx.state()
    if state is None or state.fence != fence:  # 1
        raise LogHalted("fence-lost")
    if state.size - state.receipted > UNSIGNED_LIMIT:
        raise LogBusy("too much waits for its signature")
    writer = _Writer(tx, state, now)
    judged = [judge(item, sender.service) for item in batch.items]
    refusal = _not_its_place(tx, state, sender, batch)  # 2
    if refusal:
        for item in judged:
            writer.reject_elsewhere(replace(item, code=refusal), sender, batch, seal)
    else:
        _append_in_place(tx, writer, sender, batch, judged, seal)
    writer.finish()  # 5
    return writer.intake


def _not_its_place(tx: LogTx, state: LogState, sender: Sender, batch: AuditBatch) -> str:
    if batch.service != sender.service:
        return "service-differs"
    if not place_possible(batch.src, batch.epoch, 1):
        return "place-impossible"
    owner = tx.service_of(batch.src)
    if batch.src == state.own_src or owner not in {None, sender.service}:
        return "source-of-another"
    if owner is None:
        tx.bind(batch.src, sender.service, state.last_tr)
    return ""


def _append_in_place(
    tx: LogTx,
    writer: "_Writer",
    sender: Sender,
    batch: AuditBatch,
    judged: list[Judged],
    seal: Seal,
) -> None:
    highest = before = tx.highest(batch.src, batch.epoch)
    places = [item.seq for item in judged]
    taken: dict[int, Known] = {}
    if places and min(places) <= before:
        taken = tx.known(batch.src, batch.epoch, min(places), max(places))
    for item in judged:
        if not place_possible(batch.src, batch.epoch, item.seq):
            writer.reject_elsewhere(replace(item, code="place-impossible"), sender, batch, seal)
        elif item.seq in taken:  # 3
            _repeat(tx, writer, taken[item.seq], item, sender, batch, seal)
        else:
            if item.seq > highest + 1:  # 4
                tx.open_gap(batch.src, batch.epoch, highest + 1, item.seq - 1, writer.at)
                writer.intake.missing += item.seq - highest - 1
            elif item.seq <= highest:
                tx.fill_gap(batch.src, batch.epoch, item.seq)
            highest = max(highest, item.seq)
            taken[item.seq] = writer.add_in_place(item, sender, batch, seal)
    if judged:
        tx.heard(batch.src, batch.epoch, highest, writer.at)


def _repeat(
    tx: LogTx,
    writer: "_Writer",
    known: Known,
    item: Judged,
    sender: Sender,
    batch: AuditBatch,
    seal: Seal,
) -> None:
    same = item.code == known.rejected and (
        bool(item.code) or record_hash(item.salt, item.record) == known.h
    )
    if not same:
        writer.reject_elsewhere(replace(item, code="place-taken"), sender, batch, seal)
        return
    writer.intake.repeated += 1
    tx.want_receipt(known.index)


class _Writer:
    """Entries gathered for one transaction, hashed as they come (the first of the two paths to the
    root).
    """

    def __init__(self, tx: LogTx, state: LogState, now: int) -> None:
        self._tx = tx
        self._state = state
        self._range = CompactRange.decode(state.size, state.edge)
        if self._range.root() != state.root:
            raise LogHalted("edge-differs-from-root")
        self.at, went_back = log_time(state.last_tr, now)
        self.intake = Intake(clock_went_back=went_back)
        self._own_seq = state.own_seq
        self._entries: list[Entry] = []

    def add_in_place(self, item: Judged, sender: Sender, batch: AuditBatch, seal: Seal) -> Known:
        """The item in its producer's place: as written, or as a `rejected` entry."""
        place = (batch.src, batch.epoch, item.seq)
        if item.code:
            salt = new_salt()
            record = self._rejection(item, salt, sender)
            self.intake.rejected.append(item.code)
            entry = self._entry(
                place, sender.service, record, salt, rejected=item.code, raw_sealed=seal(item.raw)
            )
        else:
            fields = item.fields or {}
            entry = self._entry(
                place,
                sender.service,
                item.record,
                item.salt,
                fields,
                tokens=item.tokens or {},
                subject_sealed=item.item.subject_sealed,
                actor_sealed=item.item.actor_sealed,
                flags=time_flag(fields["te"], self.at),
            )
            self.intake.added += 1
        self._push(entry)
        return Known(entry.index, entry.leaf.h, item.code)

    def reject_elsewhere(self, item: Judged, sender: Sender, batch: AuditBatch, seal: Seal) -> None:
        """A `rejected` entry under the log's own sequence, because the place it claims is
        another's, taken or impossible.
        """
        salt = new_salt()
        self._own_seq += 1
        self._push(
            self._entry(
                (self._state.own_src, OWN_EPOCH, self._own_seq),
                sender.service,
                self._rejection(item, salt, sender),
                salt,
                rejected=item.code,
                raw_sealed=seal(item.raw),
                claimed=(batch.src, batch.epoch, item.seq),
            )
        )
        self.intake.rejected.append(item.code)

    def add_own(self, operation: str, outcome: str, salt: bytes, **codes: str) -> None:
        """An entry of the log about itself."""
        self._own_seq += 1
        record = self._own_record(operation, outcome, **codes)
        self._push(
            self._entry((self._state.own_src, OWN_EPOCH, self._own_seq), SERVICE, record, salt)
        )

    def finish(self) -> LogState:
        """Hand everything to the transaction; the state moves last."""
        if not self._entries:
            return self._state
        self._tx.add(self._entries)
        new = replace(
            self._state,
            size=self._range.size,
            root=self._range.root(),
            edge=self._range.encode(),
            last_tr=self.at,
            own_seq=self._own_seq,
        )
        self._tx.advance(self._state, new)
        crash_point("audit.not-committed")
        return new

    def _rejection(self, item: Judged, salt: bytes, sender: Sender) -> bytes:
        return self._own_record(
            "rejected",
            "refused",
            why=item.code,
            dc=content_commitment(salt, item.raw),
            ed=sender.digest,
        )

    def _own_record(self, operation: str, outcome: str, **codes: str) -> bytes:
        return canonical(
            {
                "v": 1,
                "id": str(uuid7()),
                "te": self.at,
                "op": operation,
                "out": outcome,
                "svc": SERVICE,
                **codes,
            }
        )

    def _entry(
        self,
        place: tuple[str, int, int],
        service: str,
        record: bytes,
        salt: bytes,
        fields: Mapping[str, Any] | None = None,
        *,
        tokens: Mapping[str, tuple[bytes, ...]] = _NO_TOKENS,
        **more: Any,
    ) -> Entry:
        src, epoch, seq = place
        leaf = Leaf(src, epoch, seq, self.at, record_hash(salt, record))
        index = self._state.size + len(self._entries)
        return Entry(
            index,
            leaf,
            leaf.encode(),
            service,
            record,
            salt,
            fields or check_record(record),
            tokens,
            **more,
        )

    def _push(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._range.append(leaf_hash(entry.leaf_bytes))
