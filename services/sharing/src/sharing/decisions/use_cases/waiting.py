"""Have snapshots wait for their sender's turn, so that no sender's load delays another's danger.

Transaction 1 of design section 8 in two parts: taken in at once, decided on in turn.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from common.events.case import CaseSnapshot
from sharing.content.model.reader import SnapshotReader
from sharing.context import ContentGone
from sharing.decisions.model import Undecided
from sharing.decisions.ports import DecisionTx
from sharing.decisions.use_cases.deciding import note_older, take_snapshot
from sharing.decisions.use_cases.run import DecisionContext, decide

AT_ONCE: Final = 24 * 1024
"""Bytes of snapshots that one transaction decides on as they come, if nothing waits.

An ordinary form has 6 KiB, one with every field 18. What masking costs grows with the bytes alone,
so this bounds how long one sender holds the database's writer.
"""
_AGAIN: Final = timedelta(seconds=30)


def take_in(tx: DecisionTx, context: DecisionContext, snapshot: CaseSnapshot, spent: int) -> int:
    """Decide on a snapshot at once where that delays nobody, else have it wait for its turn.

    `spent` are the bytes that this transaction has decided on so far. Returns those of this one, 0
    if it waits. If we crash before the commit the event comes again. After it, the snapshot is
    decided on, or waits in the database.

    Raises NoAgreement, CategoryUnknown, of one that waits as well.
    """
    size = snapshot.size()
    if spent + size <= AT_ONCE and not tx.undecided.waits():
        take_snapshot(tx, context, snapshot)
        return size
    context.agreements.of_area(snapshot.area)
    SnapshotReader(snapshot).subject_categories()
    if not tx.undecided.add(snapshot):
        note_older(tx, snapshot)
    return 0


def open_undecided(tx: DecisionTx, context: DecisionContext, one: Undecided) -> CaseSnapshot | None:
    """Open a snapshot whose turn it is; None when it was decided on or erased meanwhile.

    Raises RowAltered.
    """
    authorised = tx.undecided.authorised(context.own_work(), one)
    try:
        return None if authorised is None else tx.undecided.snapshot(authorised)
    except ContentGone:
        return None


def read_through(
    context: DecisionContext, snapshot: CaseSnapshot, between: Callable[[], None]
) -> SnapshotReader:
    """Do the slow part of deciding, outside every transaction: take out of texts what must go.

    `between` is called before each text. Of what is worked out here only the reader is kept, with
    the texts it made. The decision itself is made in its transaction.

    Raises NoAgreement, CategoryUnknown.
    """
    reader = SnapshotReader(snapshot)
    for fact in snapshot.facts:
        between()
        reader.value(fact)
    decide(context, reader, ()).plan()
    return reader


def decide_in_turn(
    tx: DecisionTx, context: DecisionContext, one: Undecided, reader: SnapshotReader
) -> bool:
    """Decide on a snapshot that waited, once; False when it is gone.

    It is taken out and decided on in one transaction. If we crash before the commit it waits as
    before. Two processes may try: the second finds it gone.

    Raises NoAgreement, CategoryUnknown.
    """
    if not tx.undecided.done(one.case_id, one.version):
        return False
    take_snapshot(tx, context, reader.snapshot, reader)
    return True


def postpone(tx: DecisionTx, context: DecisionContext, one: Undecided) -> None:
    """Have one that could not be decided on tried again; until then its case is held."""
    tx.undecided.postpone(one, context.now() + _AGAIN)
