"""Taking batches of records into the log. Nothing is lost.

What is acceptable gets its place; what is not gets a `rejected` entry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from audit.intake.model import AnyBatch, Intake, Judged, LogBusy, Sender, judge, place_possible
from audit.log.model.entries import Known, LogHalted, LogState, time_flag
from audit.log.ports import LogTx
from audit.log.use_cases import Content, LogWriter
from common.events.audit import RecordItem
from hubformats.audit_record import content_commitment, new_salt, record_hash

UNSIGNED_LIMIT: Final = 50_000
"""Entries that may wait for a signature.

Past it producers wait, because the backlog is held in memory when it is signed.
"""

Seal = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One batch as it arrived. `now` is in microseconds; `seal` closes what is refused."""

    sender: Sender
    batch: AnyBatch
    now: int
    seal: Seal


def append_batch(tx: LogTx, fence: int, delivery: Delivery) -> Intake:
    """Append a verified batch.

    1. Only the fence holder writes. 2. The producer code must be the sender's. 3. A repeat is
    ignored and its receipt sent again; another record in a taken place is rejected. 4. A gap is
    noted, never waited for. 5. Compare-and-swap of the state.

    Raises LogHalted when this sequencer may no longer write or the clock went back; LogBusy.
    """
    state = tx.state()
    if state is None or state.fence != fence:  # 1
        raise LogHalted("fence-lost")
    if state.size - state.receipted > UNSIGNED_LIMIT:
        raise LogBusy("too much waits for its signature")
    append = _Append(tx, state, delivery)
    judged = [judge(item, delivery.sender.service) for item in delivery.batch.items]
    refusal = _not_its_place(tx, state, delivery)  # 2
    if refusal is not None:
        for item in judged:
            append.reject_elsewhere(item, refusal)
    else:
        append.in_place(judged)
    append.writer.finish()  # 5
    return append.intake


def _not_its_place(tx: LogTx, state: LogState, delivery: Delivery) -> str | None:
    batch, service = delivery.batch, delivery.sender.service
    if batch.service != service:
        return "service-differs"
    if not place_possible(batch.src, batch.epoch, 1):
        return "place-impossible"
    owner = tx.service_of(batch.src)
    if batch.src == state.own_src or owner not in {None, service}:
        return "source-of-another"
    if owner is None:
        tx.bind(batch.src, service, state.last_tr)
    return None


class _Append:
    """One batch on its way into the log, and what became of it."""

    def __init__(self, tx: LogTx, state: LogState, delivery: Delivery) -> None:
        self._tx = tx
        self._batch = delivery.batch
        self._sender = delivery.sender
        self._seal = delivery.seal
        self.writer = LogWriter(tx, state, delivery.now)
        self.intake = Intake(clock_went_back=self.writer.clock_went_back)

    def in_place(self, judged: list[Judged]) -> None:
        """Append each item in the place it claims, as far as that place is free."""
        tx, src, epoch = self._tx, self._batch.src, self._batch.epoch
        highest = before = tx.highest(src, epoch)
        places = [item.seq for item in judged]
        taken: dict[int, Known] = {}
        if places and min(places) <= before:
            taken = tx.known(src, epoch, min(places), max(places))
        for item in judged:
            if not place_possible(src, epoch, item.seq):
                self.reject_elsewhere(item, "place-impossible")
            elif item.seq in taken:  # 3
                self._repeat(taken[item.seq], item)
            else:
                if item.seq > highest + 1:  # 4
                    tx.open_gap(src, epoch, highest + 1, item.seq - 1, self.writer.at)
                    self.intake.missing += item.seq - highest - 1
                elif item.seq <= highest:
                    tx.fill_gap(src, epoch, item.seq)
                highest = max(highest, item.seq)
                taken[item.seq] = self._add(item)
        if judged:
            tx.heard(src, epoch, highest, self.writer.at)

    def reject_elsewhere(self, item: Judged, code: str) -> None:
        """Write a `rejected` entry under the log's own sequence.

        The place it claims is another's, taken or impossible.
        """
        content = self._rejection(item, code)
        content.claimed = (self._batch.src, self._batch.epoch, item.seq)
        self.writer.add_own(content)

    def _repeat(self, known: Known, item: Judged) -> None:
        same = item.code == known.rejected and (
            item.code is not None or record_hash(item.salt, item.record) == known.h
        )
        if not same:
            self.reject_elsewhere(item, "place-taken")
            return
        self.intake.repeated += 1
        self._tx.want_receipt(known.index)

    def _add(self, item: Judged) -> Known:
        """Write the item in its producer's place: as written, or as a `rejected` entry."""
        if item.code is not None:
            content = self._rejection(item, item.code)
        else:
            fields = item.fields or {}
            content = Content(
                self._sender.service,
                item.record,
                item.salt,
                fields,
                item.tokens or {},
                item.item.subject_sealed or None,
                item.item.actor_sealed or None,
                flags=time_flag(fields["te"], self.writer.at),
                account_sealed=_account(item),
                held=item.held,
            )
            self.intake.added += 1
        entry = self.writer.add((self._batch.src, self._batch.epoch, item.seq), content)
        return Known(entry.index, entry.leaf.h, item.code)

    def _rejection(self, item: Judged, code: str) -> Content:
        self.intake.rejected.append(code)
        salt = new_salt()
        record = self.writer.own_record(
            "rejected",
            "refused",
            why=code,
            dc=content_commitment(salt, item.raw),
            ed=self._sender.digest,
        )
        return Content(
            self._sender.service, record, salt, rejected=code, raw_sealed=self._seal(item.raw)
        )


def _account(judged: Judged) -> str | None:
    return (judged.item.account_sealed or None) if isinstance(judged.item, RecordItem) else None
